import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { installFaultHook } from '@gigvault/telemetry/durable-step';

/**
 * Makes this process die by SIGKILL at a durable step, for tests of crashes.
 *
 * @param spec `<step>:<before|after>[:<n>]`, as `ca.intent:after` or `keymgr.signature:before:3` (the third time).
 * Errors: INVALID_ARGUMENT outside the development environment, or when the spec cannot be read.
 */
export function installFaultInjection(
  spec: string,
  environment: 'development' | 'production',
): void {
  if (environment !== 'development')
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'Faults are injected in the development environment only.',
    );
  const match = /^([a-z-]+\.[a-z-]+):(before|after)(?::(\d+))?$/.exec(spec);
  if (!match)
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `"${spec}" is no fault: expected <step>:<before|after>[:<n>].`,
    );
  const [, step, moment] = match;
  let left = Number(match[3] ?? 1);
  installFaultHook((name, when) => {
    if (name === step && when === moment && --left === 0) process.kill(process.pid, 'SIGKILL');
  });
}
