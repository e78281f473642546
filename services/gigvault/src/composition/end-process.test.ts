import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { endProcess } from './end-process.ts';

/** A program that says so once it runs, and then does this on SIGTERM. */
async function program(onTerm: string) {
  const source = `process.on('SIGTERM', () => { ${onTerm} }); setInterval(() => {}, 1000); console.log('runs')`;
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  return child;
}

describe('the end of a process', () => {
  it('is its own when it ends in time', async () => {
    const child = await program('process.exit(3)');
    await endProcess(child);
    expect([child.exitCode, child.signalCode]).toEqual([3, null]);
    await endProcess(child);
  });

  it('comes all the same when it does not', async () => {
    const child = await program('');
    await endProcess(child, 100);
    expect(child.signalCode).toBe('SIGKILL');
  });
});
