import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { person, personWorld } from '../../test/person.ts';
import { NOW } from '../../test/signing-fixture.ts';
import { generateServiceKey, generateUserKey } from '../creation/generate-key.ts';
import { scheduleDestruction, undoDestruction } from '../destruction/schedule-destruction.ts';
import { decryptForPerson } from '../encryption/decrypt-for-person.ts';
import { encryptForPerson } from '../encryption/encrypt-for-person.ts';
import { keymgrConfig } from '../keymgr.config.ts';
import { listKeys } from '../keys/find-keys.ts';
import { changeGrants } from '../life/change-grants.ts';
import { changeState } from '../life/change-state.ts';
import { rotateKey } from '../life/rotate-key.ts';
import type { KeyTable } from '../ports/key-table.ts';
import { signForPerson } from '../signing/sign-for-person.ts';
import { verifyForPerson } from '../signing/verify-for-person.ts';
import { memoryEncryptionTable } from './memory-encryption-table.ts';
import { memoryTables } from './memory-tables.ts';
import { useLimits } from './use-limits.ts';

const MINUTE = 60_000;
const SIGN = { data: Buffer.from('a'), format: 'der' } as const;

/** A world whose people and services have the limits that a configuration without a word about them gives. */
function limitedWorld(limits: object = {}) {
  const world = personWorld();
  const { clock } = world;
  const { usage } = world.deps;
  const config = keymgrConfig.parse({ limits });
  return { ...world, deps: { ...world.deps, limits: useLimits(config.limits, { usage, clock }) } };
}

/** How many of `times` calls pass, and the error of the first that does not. */
async function passed(times: number, call: () => Promise<unknown>) {
  for (let n = 0; n < times; n++) {
    const error = await call().then(
      () => undefined,
      (e: unknown) => e,
    );
    if (error !== undefined) return { n, error };
  }
  return { n: times, error: undefined };
}

describe('limits of people, by default', () => {
  it('10 new keys in a minute, rotations among them; another person has their own', async () => {
    const { deps, alice, clock } = limitedWorld();
    const make = (who = alice) => generateUserKey(deps, { keyType: 'ec-p256' }, who);
    const { keyId } = await make();
    expect(await passed(5, () => rotateKey(deps, keyId, undefined, alice))).toMatchObject({ n: 5 });
    const { n, error } = await passed(20, make);
    expect(n).toBe(4);
    expect(error).toMatchObject({ code: 'RATE_LIMITED', retryAfter: 6 });
    await make(person('bob'));
    clock.advance(6_000);
    expect(await passed(2, make)).toMatchObject({ n: 1, error: { code: 'RATE_LIMITED' } });
  });

  it('100 signatures and 50 lists in a minute', async () => {
    const { deps, alice, key, clock } = limitedWorld();
    await key();
    const sign = () => signForPerson(deps, 'k', SIGN, alice);
    expect(await passed(101, sign)).toMatchObject({ n: 100, error: { code: 'RATE_LIMITED' } });
    const list = () => listKeys(deps, { limit: 1, cursor: '', actor: alice.actor });
    expect(await passed(51, list)).toMatchObject({ n: 50, error: { code: 'RATE_LIMITED' } });
    clock.advance(MINUTE);
    expect(await passed(51, list)).toMatchObject({ n: 50 });
  });

  it('60 changes in a minute, of states, grants and destructions together', async () => {
    const { deps, alice, key, clock } = limitedWorld();
    await key();
    const grants = [{ user: person('bob').actor, uses: ['sign' as const] }];
    const changes = [
      () => changeState(deps, 'k', { state: 'suspended', reason: '' }, alice),
      () => changeState(deps, 'k', { state: 'active', reason: '' }, alice),
      () => scheduleDestruction(deps, 'k', alice),
      () => undoDestruction(deps, 'k', alice),
      () => changeGrants(deps, 'k', { grants }, alice),
    ];
    let n = 0;
    const change = () => changes[n++ % changes.length]!();
    const refused = { error: { code: 'RATE_LIMITED', retryAfter: 1 } };
    expect(await passed(61, change)).toMatchObject({ n: 60, ...refused });
    for (const one of changes) expect(await passed(1, one)).toMatchObject({ n: 0, ...refused });
    clock.advance(MINUTE);
    n = 0;
    expect(await passed(61, change)).toMatchObject({ n: 60 });
  });

  it('each refusal is told', async () => {
    const { deps, alice, key, events } = limitedWorld({ people: { sign: 2 } });
    await key();
    const sign = () => signForPerson(deps, 'k', SIGN, alice);
    await passed(2, sign);
    for (let n = 0; n < 2; n++) await expect(sign()).rejects.toMatchObject({ retryAfter: 30 });
    const told = {
      type: 'key.refused',
      actor: 'user:alice',
      subject: 'k',
      data: { purpose: 'sign', reason: 'too many in a minute' },
    };
    expect(events.slice(-2)).toEqual([told, told]);
  });
});

describe('the share of a person', () => {
  it.each([
    ['sign', 'ec-p256'],
    ['encrypt', 'aes-256'],
    ['decrypt', 'aes-256'],
  ] as const)(
    'to %s is taken once, however often the key is changed meanwhile',
    async (use, keyType) => {
      const { deps, alice, key } = limitedWorld({ people: { sign: 2 } });
      await key('k', keyType);
      const none = Buffer.alloc(0);
      const sealed =
        use === 'decrypt'
          ? await encryptForPerson(deps, 'k', { plaintext: SIGN.data, additionalData: none }, alice)
          : { ciphertext: none };
      const rival = changingKeys(deps.keys, 3);
      const raced = {
        ...deps,
        keys: rival,
        encryptions: memoryEncryptionTable(rival),
      };
      const uses = {
        sign: () => signForPerson(raced, 'k', SIGN, alice),
        encrypt: () =>
          encryptForPerson(raced, 'k', { plaintext: SIGN.data, additionalData: none }, alice),
        decrypt: () => decryptForPerson(raced, 'k', { ...sealed, additionalData: none }, alice),
      };
      await uses[use]();
      expect(rival.changes()).toBe(3);
      const left = use === 'decrypt' ? 0 : 1;
      expect(await passed(2, uses[use])).toMatchObject({
        n: left,
        error: { code: 'RATE_LIMITED' },
      });
    },
  );

  it('is not used for ever: who meets a change at each of five attempts is told so', async () => {
    const { deps, alice, key } = limitedWorld();
    await key();
    const rival = changingKeys(deps.keys, 5);
    const sign = () => signForPerson({ ...deps, keys: rival }, 'k', SIGN, alice);
    await expect(sign()).rejects.toMatchObject({ code: 'CONFLICT', details: { key_id: 'k' } });
    await sign();
  });

  it('covers verifying with a key without a public half, and with no other', async () => {
    const { deps, alice, key } = limitedWorld({ people: { sign: 2 } });
    await key('mac', 'hmac-sha256');
    await key('pair');
    const asked = { ...SIGN, signature: Buffer.alloc(32) };
    const verify = (keyId: string) => verifyForPerson(deps, keyId, asked, alice);
    expect(await passed(3, () => verify('mac'))).toMatchObject({
      n: 2,
      error: { code: 'RATE_LIMITED' },
    });
    expect(await passed(10, () => verify('pair'))).toMatchObject({ n: 10 });
  });
});

/** A table in which somebody else changes a key before so many of its uses are told. */
function changingKeys(keys: KeyTable, times: number): KeyTable & { changes(): number } {
  let changes = 0;
  return {
    ...keys,
    changes: () => changes,
    async recordUse(key, event) {
      if (changes === times) return keys.recordUse(key, event);
      changes += 1;
      return false;
    },
  };
}

describe('limits of services', () => {
  it('are their own, and each service’s', async () => {
    const { deps } = limitedWorld({ people: { generate: 0 }, services: { generate: 1 } });
    const make = (peer: 'ocsp' | 'auth', purpose: string) => {
      const keyId = `${peer}-${crypto.randomUUID()}`;
      const request = { keyId, keyType: 'ec-p256', purposes: [purpose], actor: '' };
      return generateServiceKey(deps, request, peer);
    };
    await make('ocsp', 'ocspSign');
    await expect(make('ocsp', 'ocspSign')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    await make('auth', 'jwtSign');
  });

  it('of signatures are above what one core signs, and 0 is none', async () => {
    const { limits } = keymgrConfig.parse({});
    expect(limits.services.sign / MINUTE).toBeGreaterThan(40);
    const { usage } = memoryTables();
    const none = useLimits(keymgrConfig.parse({ limits: { people: { list: 0 } } }).limits, {
      usage,
      clock: new FakeClock(NOW),
    });
    expect(await passed(1_000, () => none.take('list', 'user:a', '*'))).toMatchObject({ n: 1_000 });
  });
});
