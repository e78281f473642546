import { verifyWith } from '@gigvault/keystore/key-algorithm';
import type { KeyStore } from '@gigvault/keystore/key-store';
import { memoryKeyStore } from '@gigvault/keystore/memory-key-store';
import { silentLog } from '@gigvault/telemetry/log';
import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { checkpointTbs, crlTbs, ISSUER, jwsTbs, leafTbs, NOW } from '../../test/signing-fixture.ts';
import { memoryTables } from '../adapters/memory-tables.ts';
import { backendsOf } from '../backends/backends.ts';
import { createCaKey } from '../ca-keys/create-ca-key.ts';
import { generateServiceKey } from '../creation/generate-key.ts';
import { publicKeyOf } from '../keys/stored-key.ts';
import { closeSigning } from './close-signing.ts';
import { type SignDeps, sign } from './sign.ts';
import { signBatch } from './sign-batch.ts';
import { singleFlight } from './single-flight.ts';

async function setUp() {
  const inner = memoryKeyStore();
  const signs: Buffer[] = [];
  const keyStore: KeyStore = {
    ...inner,
    sign(handle, data, options) {
      signs.push(data);
      return inner.sign(handle, data, options);
    },
  };
  const tables = memoryTables();
  const clock = new FakeClock(NOW);
  const backends = backendsOf([keyStore], 'memory');
  const keyDeps = { ...tables, backends, clock, log: silentLog };
  const key = await createCaKey(keyDeps, {
    keyId: 'ca-issuing',
    keyType: 'ec-p256',
    subject: ISSUER,
  });
  const deps: SignDeps = { ...tables, backends, inFlight: singleFlight(), log: silentLog };
  const request = (tbs = leafTbs(), intentId: string = crypto.randomUUID()) => ({
    keyId: 'ca-issuing',
    purpose: 'certSign',
    intentId,
    tbs,
  });
  return { deps, keyDeps, key, signs, events: tables.events, request };
}

describe('sign', () => {
  it('answers with a signature that verifies, and has told of it', async () => {
    const { deps, key, events, request } = await setUp();
    const asked = request();
    const signature = await sign(deps, asked, 'ca');
    expect(await verifyWith(publicKeyOf(key).keyObject, asked.tbs, signature, 'der')).toBe(true);
    expect(events.map(({ type }) => type)).toEqual(['key.generated', 'key.used']);
  });

  it('covers: T1. gives the same intent and bytes the same signature, also 64 times at once with one use of the key', async () => {
    const { deps, signs, request } = await setUp();
    const asked = request();
    const together = await Promise.all(Array.from({ length: 64 }, () => sign(deps, asked, 'ca')));
    expect(new Set(together.map((signature) => signature.toString('hex'))).size).toBe(1);
    expect(signs).toHaveLength(1);
    expect((await sign(deps, asked, 'ca')).equals(together[0]!)).toBe(true);
  });

  it('never signs other bytes under an intent, one after the other or at once', async () => {
    const { deps, events, request } = await setUp();
    const intentId = crypto.randomUUID();
    const outcomes = await Promise.allSettled([
      sign(deps, request(leafTbs(), intentId), 'ca'),
      sign(deps, request(leafTbs(), intentId), 'ca'),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(outcomes[1]).toMatchObject({ reason: { code: 'SIGNING_CLOSED' } });
    await expect(sign(deps, request(leafTbs(), intentId), 'ca')).rejects.toMatchObject({
      code: 'SIGNING_CLOSED',
    });
    const reason = `other bytes were signed under intent ${intentId}`;
    const told = {
      type: 'key.refused',
      actor: 'service:ca',
      data: { purpose: 'certSign', reason },
    };
    expect(events.slice(-2)).toMatchObject([told, told]);
  });

  it('never signs under a closed intent; closing a signed one gives its signature', async () => {
    const { deps, events, request } = await setUp();
    const closed = request();
    expect(await closeSigning(deps, closed.intentId, 'ca')).toMatchObject({ tombstoned: true });
    await expect(sign(deps, closed, 'ca')).rejects.toMatchObject({ code: 'SIGNING_CLOSED' });
    expect(events.at(-1)).toMatchObject({
      type: 'key.refused',
      subject: 'ca-issuing',
      data: { reason: `intent ${closed.intentId} was closed` },
    });
    expect(await closeSigning(deps, closed.intentId, 'ca')).toMatchObject({ tombstoned: true });

    const signed = request();
    const signature = await sign(deps, signed, 'ca');
    expect(await closeSigning(deps, signed.intentId, 'ca')).toEqual({
      signature,
      tombstoned: false,
    });
  });

  it('wants a UUID as intent where signatures are recorded', async () => {
    const { deps, request } = await setUp();
    for (const intentId of ['', 'x', '../1', crypto.randomUUID().toUpperCase()]) {
      await expect(sign(deps, request(leafTbs(), intentId), 'ca')).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
    await expect(closeSigning(deps, '', 'ca')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('covers: T13. keeps back a signature that does not verify, and records nothing', async () => {
    const { deps, events, request } = await setUp();
    const sound = deps.backends.forNewKeys;
    const faulty: KeyStore = {
      ...sound,
      async sign(handle, data, options) {
        return sound.sign(handle, Buffer.concat([data, Buffer.of(1)]), options);
      },
    };
    const asked = { ...request(crlTbs()), purpose: 'crlSign' };
    await expect(
      sign({ ...deps, backends: backendsOf([faulty], 'memory') }, asked, 'crl'),
    ).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    });
    expect(events.map(({ type }) => type)).toEqual(['key.generated']);
    expect(await sign(deps, asked, 'crl')).toEqual(expect.any(Buffer));
  });

  it('signs checkpoints and tokens without an intent, tokens as r and s side by side', async () => {
    const { deps, keyDeps, events } = await setUp();
    await generateServiceKey(
      keyDeps,
      { keyId: 'auth-token', keyType: 'ec-p256', purposes: ['jwtSign'], actor: '' },
      'auth',
    );
    await generateServiceKey(
      keyDeps,
      { keyId: 'audit-checkpoint', keyType: 'ec-p256', purposes: ['auditSign'], actor: '' },
      'audit',
    );
    const token = { keyId: 'auth-token', purpose: 'jwtSign', intentId: '', tbs: jwsTbs() };
    expect(await sign(deps, token, 'auth')).toHaveLength(64);
    const note = {
      keyId: 'audit-checkpoint',
      purpose: 'auditSign',
      intentId: '',
      tbs: checkpointTbs(),
    };
    await sign(deps, note, 'audit');
    // The checkpoint's signature is not told: its event would call for the next checkpoint.
    expect(events.filter(({ type }) => type === 'key.used')).toMatchObject([
      { subject: 'auth-token' },
    ]);
  });

  it('does not know keys that are not there', async () => {
    const { deps, request } = await setUp();
    await expect(sign(deps, { ...request(), keyId: 'ca-other' }, 'ca')).rejects.toMatchObject({
      code: 'KEY_NOT_FOUND',
    });
    await expect(sign(deps, { ...request(), keyId: '../ca' }, 'ca')).rejects.toMatchObject({
      code: 'INVALID_KEY_ID',
    });
  });
});

describe('signBatch', () => {
  it('signs the good items and tells what is wrong with the others, in order', async () => {
    const { deps, request } = await setUp();
    const items = [
      request(),
      { ...request(), keyId: 'none' },
      request(Buffer.from('junk')),
      request(),
    ];
    const results = await signBatch(deps, items, 'ca');
    expect(results.map(({ errorCode }) => errorCode)).toEqual([
      '',
      'KEY_NOT_FOUND',
      'KEY_USE_REFUSED',
      '',
    ]);
    expect(results.map(({ signature }) => signature.length > 0)).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });

  it('has 1 to 1000 items', async () => {
    const { deps, request } = await setUp();
    const many = Array.from({ length: 1001 }, () => request(Buffer.of(1)));
    for (const items of [[], many]) {
      await expect(signBatch(deps, items, 'ca')).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    }
  });
});
