import { readFileSync, rmSync } from 'node:fs';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { installFaultHook } from '@gigvault/telemetry/durable-step';

const FAULT = /^[a-z]+\.[a-z-]+:(before|after)$/;

/**
 * Makes this process die by SIGKILL at the durable step that `file` names, for tests of crashes (docs/operations/crash-testing.md). The file holds
 * `<step>:<before|after>`, as `ca.intent:after`; it may come and go while the process runs, and it is removed before the
 * process dies: each fault happens once, and whoever starts again finds none.
 *
 * Errors: INVALID_ARGUMENT outside the development environment.
 */
export function installFaultInjection(
  file: string,
  environment: 'development' | 'production',
): void {
  if (environment !== 'development')
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'Faults are injected in the development environment only.',
    );
  installFaultHook((step, moment) => {
    if (wantedFault(file) !== `${step}:${moment}`) return;
    rmSync(file);
    process.kill(process.pid, 'SIGKILL');
  });
}

function wantedFault(file: string): string | undefined {
  try {
    const text = readFileSync(file, 'utf8').trim();
    return FAULT.test(text) ? text : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
