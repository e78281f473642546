import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KeyHandle, KeyStore } from '@gigvault/keystore/key-store';
import {
  createMasterKey,
  givenMasterKeys,
  type MasterKey,
  masterKeyFiles,
  masterKeyOf,
} from '@gigvault/keystore/master-key';
import { memoryKeyStore } from '@gigvault/keystore/memory-key-store';
import { pkcs8KeyStore } from '@gigvault/keystore/pkcs8-key-store';
import { secretResolver } from '@gigvault/secrets/secret-resolver';
import { secretsConfig } from '@gigvault/secrets/secrets.config';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { runProgram } from '@gigvault/testkit/run-program';
import { systemClock } from '@gigvault/time/clock';
import { readPublicKey } from '@gigvault/x509/public-key';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openBackends } from '../src/adapters/open-backends.ts';
import { backendsOf } from '../src/backends/backends.ts';
import { keymgrConfig } from '../src/keymgr.config.ts';
import {
  continueRotations,
  type MasterKeyDeps,
  masterKeyStatus,
  rotateMasterKey,
} from '../src/master-key/rotate-master-key.ts';
import type { KeyEvent } from '../src/ports/key-event.ts';

const STEPS = ['told', '', 'taken', 'end-told', 'end'].map((name) =>
  ['keymgr.master-key', ...(name === '' ? [] : [name])].join('-'),
);
const KEYS = 8;
const KILLED = -1;
const never = new AbortController().signal;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gigvault-rotation-'));
  await createMasterKey(join(folder, 'master.key'));
});
afterEach(() => rm(folder, { recursive: true }));

function openStore() {
  const masterKeys = masterKeyFiles(join(folder, 'master.key'));
  return pkcs8KeyStore({ directory: join(folder, 'keys'), masterKeys });
}

async function keysOf(store: ReturnType<typeof openStore>, handles: readonly KeyHandle[]) {
  const keys: string[] = [];
  for (const handle of handles) keys.push(readPublicKey(await store.publicKey(handle)).spkiSha256);
  return keys;
}

describe('a start with another master key', () => {
  const [first, second] = [1, 2].map(() => randomBytes(32).toString('base64')) as [string, string];

  /** With the master keys at these places. */
  function open(config: object, environment: Record<string, string> = {}) {
    return openBackends(
      keymgrConfig.parse({ directory: join(folder, 'keys'), ...config }),
      folder,
      {
        metrics: createMetrics(),
        clock: systemClock,
        log: silentLog,
        secrets: secretResolver(secretsConfig.parse({}), environment),
        tellingKeys: async () => [],
      },
    );
  }

  it('that lies elsewhere is refused while keys are under one that is not named', async () => {
    const masterKey = 'env://MASTER';
    const before = await open({ masterKey }, { MASTER: first });
    const handle = await before.forNewKeys.generate('ec-p256');
    await before.forNewKeys.secretKeys!.generate('aes-256');
    const changed = { MASTER: second, EARLIER: first };
    const [earlier, current] = [first, second].map((key) => masterKeyOf(key, 'the test').id);
    await expect(open({ masterKey }, changed)).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
      message: `env://MASTER holds the master key ${current}, but 2 of 2 keys in ${folder}/keys are under one that is not there (${earlier}). Name the place of the earlier one in keymgr.earlierMasterKeys.`,
    });

    const both = await open({ masterKey, earlierMasterKeys: ['env://EARLIER'] }, changed);
    expect(await both.forNewKeys.masterKeyRotation!.rewrapNext(1)).toBe(1);
    await expect(open({ masterKey }, changed)).rejects.toThrow('1 of 2 keys');
    expect(await both.forNewKeys.masterKeyRotation!.rewrapNext(1)).toBe(0);
    const after = await open({ masterKey }, changed);
    expect(await after.forNewKeys.publicKey(handle)).toEqual(
      await before.forNewKeys.publicKey(handle),
    );
  });

  it('in a file is refused; keys of before they said which one they are under are not', async () => {
    const path = join(folder, 'master.key');
    const masterKey = `file://${path}`;
    const before = await open({ masterKey });
    const handle = await before.forNewKeys.generate('ec-p256');
    await rm(path);
    await createMasterKey(path);
    await expect(open({ masterKey })).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
      message: expect.stringMatching(/master\.key holds .+ 1 of 1 keys .+ from a backup\.$/),
    });
    const file = join(folder, 'keys', `${handle}.p8`);
    const [, body] = (await readFile(file, 'utf8')).split(/^master-key: .+\n/);
    await writeFile(file, body!);
    await open({ masterKey });
  });
});

describe('a rotation of the master key — covers: T66', () => {
  it('goes on after SIGKILL at each of its steps, and every key opens at every moment', async () => {
    const store = openStore();
    const handles: KeyHandle[] = [];
    for (let i = 0; i < KEYS; i++) handles.push(await store.generate('ec-p256'));
    const keys = await keysOf(store, handles);
    const program = fileURLToPath(new URL('./rotate-and-die.ts', import.meta.url));
    const run = (fault: string) =>
      runProgram(process.execPath, [
        '--disable-warning=ExperimentalWarning',
        program,
        folder,
        fault,
      ]);

    for (const step of STEPS)
      for (const moment of ['before', 'after']) {
        const fault = `${step}:${moment}`;
        const { code, stderr } = await run(fault);
        expect([fault, code, stderr.includes('Error')]).toEqual([fault, KILLED, false]);
        expect(await keysOf(openStore(), handles)).toEqual(keys);
      }
    expect(await run('none')).toMatchObject({ code: 0, stderr: '' });

    expect(await keysOf(openStore(), handles)).toEqual(keys);
    const { current, ...status } = await openStore().masterKeyRotation.status();
    expect(status).toEqual({ earlier: [], keys: KEYS, keysUnderEarlier: 0 });
    const masterKeyNames = (await readdir(folder)).filter((name) => name.startsWith('master.key'));
    expect(masterKeyNames).toHaveLength(1);
    await expectTold(current);
  }, 120_000);

  async function expectTold(current: string): Promise<void> {
    const lines = (await readFile(join(folder, 'events'), 'utf8')).trim().split('\n');
    const events = lines.map((line) => JSON.parse(line) as KeyEvent);
    const begun = events.filter(({ type }) => type === 'master-key.rotation-begun');
    const ended = events.filter(({ type }) => type === 'master-key.rotated');
    // One run for each moment and one to the end: one died before it told, two more before there was a new master key.
    const runs = 2 * STEPS.length + 1;
    expect(begun).toHaveLength(runs - 1);
    expect(new Set(ended.map(({ data }) => (data as { to: string }).to)).size).toBe(runs - 3);
    expect(ended.at(-1)?.data).toMatchObject({ to: current, keys: KEYS });
    expect(begun.every(({ actor }) => actor === 'user:admin')).toBe(true);
  }

  it('is one at a time, and is not begun where there is nothing to rotate', async () => {
    const events: KeyEvent[] = [];
    const deps: MasterKeyDeps = {
      backends: backendsOf([openStore(), memoryKeyStore()], 'pkcs8'),
      events: { append: async (event) => void events.push(event) },
      log: silentLog,
    };
    await deps.backends.of('pkcs8').generate('ec-p256');
    const pkcs8 = { backend: 'pkcs8' };
    const { current } = await masterKeyStatus(deps, 'pkcs8');
    const begun = await rotateMasterKey(deps, pkcs8, 'user:admin');
    expect(begun).toMatchObject({ earlier: [expect.any(String)], keys: 1, keysUnderEarlier: 1 });
    await expect(rotateMasterKey(deps, pkcs8, 'user:eve')).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    const over = AbortSignal.abort();
    await continueRotations(deps, over);
    expect(await masterKeyStatus(deps, 'pkcs8')).toEqual(begun);
    await continueRotations(deps, never);
    expect(await masterKeyStatus(deps, 'pkcs8')).toMatchObject({
      current: begun.current,
      earlier: [],
      keysUnderEarlier: 0,
    });
    // As whoever asks again did not hear the first answer.
    const again = { ...pkcs8, replaces: current };
    await expect(rotateMasterKey(deps, again, 'user:admin')).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining(begun.current),
    });
    for (const [name, code] of [
      ['memory', 'OPERATION_NOT_SUPPORTED'],
      ['hsm', 'NOT_FOUND'],
    ] as const)
      await expect(rotateMasterKey(deps, { backend: name }, 'user:admin')).rejects.toMatchObject({
        code,
      });
    expect(events.map(({ type }) => type)).toEqual([
      'master-key.rotation-begun',
      'master-key.rotated',
    ]);
  });

  it('is one of two that are asked for at one time', async () => {
    const store = openStore();
    const deps: MasterKeyDeps = {
      backends: backendsOf([store], 'pkcs8'),
      events: { append: async () => undefined },
      log: silentLog,
    };
    const asked = { backend: 'pkcs8', replaces: (await masterKeyStatus(deps, 'pkcs8')).current };
    const two = await Promise.allSettled(
      ['user:admin', 'user:eve'].map((actor) => rotateMasterKey(deps, asked, actor)),
    );
    expect(two.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(two.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'CONFLICT' },
    });
    expect(await masterKeyStatus(deps, 'pkcs8')).toMatchObject({ earlier: [asked.replaces] });
  });

  it('of one that is kept elsewhere is not begun, and is told once: when keys were put under it', async () => {
    const [first, second] = [1, 2].map(() =>
      masterKeyOf(randomBytes(32).toString('base64'), 'the test'),
    ) as [MasterKey, MasterKey];
    const directory = join(folder, 'keys');
    const before = pkcs8KeyStore({ directory, masterKeys: givenMasterKeys(first) });
    await before.generate('ec-p256');
    const after = pkcs8KeyStore({ directory, masterKeys: givenMasterKeys(second, [first]) });
    const told: KeyEvent[] = [];
    const logged: string[] = [];
    const depsOf = (store: KeyStore): MasterKeyDeps => ({
      backends: backendsOf([store], 'pkcs8'),
      events: { append: async (event) => void told.push(event) },
      log: { ...silentLog, info: (_, text) => void logged.push(text) },
    });

    const asked = rotateMasterKey(depsOf(before), { backend: 'pkcs8' }, 'user:admin');
    await expect(asked).rejects.toMatchObject({ code: 'OPERATION_NOT_SUPPORTED' });
    expect(told).toEqual([]);
    // As at a start, and an hour later.
    for (let round = 0; round < 2; round++) await continueRotations(depsOf(after), never);
    expect(await after.masterKeyRotation.status()).toMatchObject({
      earlier: [first.id],
      keysUnderEarlier: 0,
    });
    expect(told).toMatchObject([
      { type: 'master-key.rotated', data: { from: [first.id], to: second.id, keys: 1 } },
    ]);
    expect(logged.filter((text) => text.includes('are removed'))).toEqual([]);
  });
});
