import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { durableStep, installFaultHook } from '@gigvault/telemetry/durable-step';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { installFaultInjection } from './fault-injection.ts';

let folder: string;
let file: string;
const kill = jest.spyOn(process, 'kill').mockImplementation(() => {
  throw new Error('dead');
});

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gigvault-fault-'));
  file = join(folder, 'fault');
});

afterEach(() => {
  installFaultHook(undefined);
  kill.mockClear();
  rmSync(file, { force: true });
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a step and says whether its work was done and whether the process died. */
async function step(name: string): Promise<{ done: boolean; died: boolean }> {
  let done = false;
  const died = await durableStep(name, async () => {
    done = true;
  }).then(
    () => false,
    () => true,
  );
  return { done, died };
}

describe('an injected fault', () => {
  it('ends the process at its step by a signal that nobody can catch, and at no other', async () => {
    installFaultInjection(file, 'development');
    writeFileSync(file, 'ca.intent:after\n');
    expect(await step('ra.request')).toEqual({ done: true, died: false });
    expect(await step('ca.intent')).toEqual({ done: true, died: true });
    expect(kill).toHaveBeenCalledWith(process.pid, 'SIGKILL');
  });

  it('before the step leaves it undone', async () => {
    installFaultInjection(file, 'development');
    writeFileSync(file, 'keymgr.signature:before');
    expect(await step('keymgr.signature')).toEqual({ done: false, died: true });
  });

  it('happens once, and may come while the process runs', async () => {
    installFaultInjection(file, 'development');
    expect(await step('ca.intent')).toEqual({ done: true, died: false });
    writeFileSync(file, 'ca.intent:before');
    expect(await step('ca.intent')).toEqual({ done: false, died: true });
    expect(existsSync(file)).toBe(false);
    expect(await step('ca.intent')).toEqual({ done: true, died: false });
  });

  it.each(['', 'ca.intent', 'ca.intent:during', 'ca.intent:after:2', 'intent:after'])(
    'that cannot be read is none: "%s"',
    async (text) => {
      installFaultInjection(file, 'development');
      writeFileSync(file, text);
      expect((await step('ca.intent')).died).toBe(false);
    },
  );

  it('is refused in production', () => {
    expect(() => installFaultInjection(file, 'production')).toThrow('development environment only');
  });
});
