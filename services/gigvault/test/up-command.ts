import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { NODE_FLAGS, type PkiProcess, REPOSITORY } from '@gigvault/testkit/pki-process';
import { type ProgramResult, runProgram } from '@gigvault/testkit/run-program';

/** `up` with these flags, in the mode and on the ports of a PKI that is stopped, to its end. */
export function runUp(pki: PkiProcess, ...flags: string[]): Promise<ProgramResult> {
  return runProgram(process.execPath, command(pki, flags), options(pki));
}

/** The same, as a shell starts it: a process group of its own, which Ctrl-C is sent to. */
export function spawnUp(pki: PkiProcess, ...flags: string[]): ChildProcess {
  return spawn(process.execPath, command(pki, flags), {
    ...options(pki),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function command({ mode, ports }: PkiProcess, flags: readonly string[]): string[] {
  return [
    ...NODE_FLAGS,
    join(REPOSITORY, 'dist', 'gigvault.js'),
    'up',
    ...['--https-port', `${ports.https}`, '--grpc-port', `${ports.grpc}`, '--metrics-port', '0'],
    ...['--http-port', `${ports.http}`, '--ra-http01-port', `${ports.http01}`],
    ...(mode === 'split' ? ['--split'] : []),
    ...flags,
  ];
}

function options({ home }: PkiProcess) {
  const own = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('GIGVAULT_') && name !== 'NODE_OPTIONS',
  );
  const env = { ...Object.fromEntries(own), XDG_CONFIG_HOME: join(home, 'config') };
  return { env, cwd: home };
}
