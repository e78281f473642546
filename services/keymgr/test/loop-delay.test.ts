import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { givenMasterKeys, masterKeyOf } from '@gigvault/keystore/master-key';
import { pkcs8KeyStore } from '@gigvault/keystore/pkcs8-key-store';
import { LOOP_DELAY_P99, loopDelayP99, loopTurns } from '@gigvault/testkit/loop-delay';
import { afterAll, beforeAll, expect, it } from '@jest/globals';

const KEYS = 200;
const masterKeys = givenMasterKeys(masterKeyOf(randomBytes(32).toString('base64'), 'the test'));
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gigvault-loop-'));
});
afterAll(() => rm(directory, { recursive: true }));

it('RSA keys of 4096 bits are made without holding up the loop (covers: T72)', async () => {
  const store = pkcs8KeyStore({ directory, masterKeys });
  const twoKeys = () => Promise.all([store.generate('rsa-4096'), store.generate('rsa-4096')]);
  expect(await loopDelayP99(twoKeys)).toBeLessThan(LOOP_DELAY_P99);
}, 60_000);

it('the loop turns between any two keys that are opened, since each derives the key of its file (covers: T72)', async () => {
  const store = pkcs8KeyStore({ directory, masterKeys });
  const handles = await Promise.all(Array.from({ length: KEYS }, () => store.generate('ec-p256')));
  const reopened = pkcs8KeyStore({ directory, masterKeys });
  const open = () => Promise.all(handles.map((handle) => reopened.publicKey(handle)));
  expect(await loopTurns(open)).toBeGreaterThanOrEqual(KEYS);
}, 60_000);
