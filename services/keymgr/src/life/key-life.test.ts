import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { readPublicKey } from '@gigvault/x509/public-key';
import { describe, expect, it } from '@jest/globals';
import { namedKeyStore, person, personWorld, WAIT } from '../../test/person.ts';
import { ISSUER } from '../../test/signing-fixture.ts';
import { backendsOf } from '../backends/backends.ts';
import { createCaKey } from '../ca-keys/create-ca-key.ts';
import { generateServiceKey, generateUserKey } from '../creation/generate-key.ts';
import { destroyDueKeys } from '../destruction/destroy-due-keys.ts';
import { scheduleDestruction, undoDestruction } from '../destruction/schedule-destruction.ts';
import { earlierVersions, getKey } from '../keys/find-keys.ts';
import type { PersonDeps } from '../keys/require-own-key.ts';
import { publicKeyOf, type StoredKey } from '../keys/stored-key.ts';
import type { KeyTable } from '../ports/key-table.ts';
import { changeGrants } from './change-grants.ts';
import { changeState } from './change-state.ts';
import { rotateKey } from './rotate-key.ts';

const never = new AbortController().signal;

describe('rotateKey', () => {
  it('makes a new key of the same type the current one, and keeps the earlier ones', async () => {
    const { deps, key, alice, store, events } = personWorld();
    const first = await key('k', 'ec-p384');
    const second = await rotateKey(deps, 'k', undefined, alice);
    expect(second).toMatchObject({ version: 2, keyId: 'k', createdAt: first.createdAt });
    expect(second.keyType).toBe('ec-p384');
    expect(second.publicKey?.spkiSha256).not.toBe(first.publicKey?.spkiSha256);
    expect(await getKey(deps, 'k')).toEqual(second);
    expect(await earlierVersions(deps, second)).toMatchObject([
      { version: 1, handle: first.handle },
    ]);
    expect(store.handles).toEqual(new Set([first.handle, second.handle]));
    expect(events.at(-1)).toMatchObject({
      type: 'key.rotated',
      actor: 'user:alice',
      data: {
        version: 2,
        spkiSha256: second.publicKey?.spkiSha256,
        earlierSpkiSha256: first.publicKey?.spkiSha256,
      },
    });
  });

  it('replaces the version that was meant, so that a repetition makes no third', async () => {
    const { deps, key, alice, store } = personWorld();
    await key();
    await rotateKey(deps, 'k', 1, alice);
    await expect(rotateKey(deps, 'k', 1, alice)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: "Key 'k' is at version 2, not 1.",
      details: { key_id: 'k', version: 2 },
    });
    expect(store.handles.size).toBe(2);
  });

  it('says which version there is now when another rotation was first', async () => {
    const { deps, key, alice } = personWorld();
    await key();
    const rivals = [1, 2].map(() => rotateKey(deps, 'k', 1, alice));
    const [lost] = (await Promise.allSettled(rivals)).filter(({ status }) => status === 'rejected');
    expect(lost).toMatchObject({ reason: { code: 'CONFLICT', details: { version: 2 } } });
  });

  it('leaves no private key behind when several rotate at once', async () => {
    const { deps, key, alice, store, told } = personWorld();
    await key();
    const rivals = Array.from({ length: 8 }, () => rotateKey(deps, 'k', undefined, alice));
    const outcomes = await Promise.allSettled(rivals);
    const won = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect(won).toBeGreaterThanOrEqual(1);
    const { version } = await getKey(deps, 'k');
    expect(version).toBe(1 + won);
    expect(store.handles.size).toBe(version);
    expect(told().filter((type) => type === 'key.rotated')).toHaveLength(won);
  });
});

describe('a rotation in a backend that finds keys by name', () => {
  function namedWorld() {
    const world = personWorld();
    const named = namedKeyStore();
    return { ...world, named, deps: { ...world.deps, backends: backendsOf([named], 'memory') } };
  }

  /** The deps of somebody whose change is held up until `until`. */
  function heldUp(deps: PersonDeps, until: () => Promise<unknown>): PersonDeps {
    const rotate: KeyTable['rotate'] = async (...change) => {
      await until();
      return deps.keys.rotate(...change);
    };
    return { ...deps, keys: { ...deps.keys, rotate } };
  }

  const grantsChange = (deps: PersonDeps, alice: Principal) =>
    changeGrants(deps, 'k', { grants: [] }, alice);

  it('that lost removes no key that another one still may write down', async () => {
    const { deps, alice, named } = namedWorld();
    await generateUserKey(deps, { keyId: 'k', keyType: 'ec-p256' }, alice);
    const made = Promise.withResolvers<void>();
    const lost = Promise.withResolvers<void>();
    let winner: Promise<StoredKey> | undefined;
    const loser = rotateKey(
      heldUp(deps, async () => {
        await grantsChange(deps, alice);
        winner = rotateKey(
          heldUp(deps, async () => {
            made.resolve();
            await lost.promise;
          }),
          'k',
          1,
          alice,
        );
        await made.promise;
      }),
      'k',
      1,
      alice,
    );
    await expect(loser).rejects.toMatchObject({ code: 'CONFLICT' });
    lost.resolve();
    const { handle } = await (winner as Promise<StoredKey>);
    expect(named.handles).toContain(handle);
    expect(named.handles.size).toBe(2);
  });

  it('that lost leaves a key to the next one, and to the destruction of them all', async () => {
    const { deps, alice, named, clock } = namedWorld();
    await generateUserKey(deps, { keyId: 'k', keyType: 'ec-p256' }, alice);
    const changed = heldUp(deps, () => grantsChange(deps, alice));
    await expect(rotateKey(changed, 'k', 1, alice)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(named.handles.size).toBe(2);
    await rotateKey(deps, 'k', 1, alice);
    expect(named.handles.size).toBe(2);
    await named.generate('ec-p256', { name: 'k/3' });
    await scheduleDestruction(deps, 'k', alice);
    clock.advance(WAIT);
    expect(await destroyDueKeys(deps, never)).toBe(1);
    expect(named.handles.size).toBe(0);
  });
});

describe('the destruction of a key', () => {
  it('takes it out of use at once, and destroys every version when the wait is over', async () => {
    const { deps, key, alice, store, clock, told } = personWorld();
    const { createdAt } = await key();
    await rotateKey(deps, 'k', undefined, alice);
    const waiting = await scheduleDestruction(deps, 'k', alice);
    expect(waiting).toMatchObject({ state: 'deactivated', destroyAt: createdAt + WAIT });
    clock.advance(WAIT - 1);
    expect(await destroyDueKeys(deps, never)).toBe(0);
    expect(store.handles.size).toBe(2);
    clock.advance(1);
    expect(await destroyDueKeys(deps, never)).toBe(1);
    expect(store.handles.size).toBe(0);
    const gone = await getKey(deps, 'k');
    expect(gone).toMatchObject({ state: 'destroyed', destroyAt: null });
    expect(readPublicKey(publicKeyOf(gone).spki)).toEqual(gone.publicKey);
    expect(await earlierVersions(deps, gone)).toHaveLength(1);
    expect(told().slice(2)).toEqual([
      'key.destruction-scheduled',
      'key.destruction-begun',
      'key.destroyed',
    ]);
    expect(await destroyDueKeys(deps, never)).toBe(0);
  });

  it('is undone: the key is in the state that it had, or that was found out meanwhile', async () => {
    const { deps, key, alice, clock } = personWorld();
    await key();
    await scheduleDestruction(deps, 'k', alice);
    expect(await undoDestruction(deps, 'k', alice)).toMatchObject({ state: 'active' });
    await changeState(deps, 'k', { state: 'suspended', reason: '' }, alice);
    await scheduleDestruction(deps, 'k', alice);
    expect(await undoDestruction(deps, 'k', alice)).toMatchObject({ state: 'suspended' });
    await scheduleDestruction(deps, 'k', alice);
    await changeState(deps, 'k', { state: 'compromised', reason: 'stolen' }, alice);
    expect(await undoDestruction(deps, 'k', alice)).toMatchObject({
      state: 'compromised',
      destroyAt: null,
    });
    clock.advance(2 * WAIT);
    expect(await destroyDueKeys(deps, never)).toBe(0);
  });

  it('cannot be undone once it has begun, whatever then becomes of the worker', async () => {
    const { deps, key, alice, store, clock } = personWorld();
    await key();
    await rotateKey(deps, 'k', undefined, alice);
    await scheduleDestruction(deps, 'k', alice);
    clock.advance(WAIT);
    const silent = {
      ...store,
      remove: () => Promise.reject(new GigvaultError('KEY_UNAVAILABLE', 'no answer')),
    };
    const cut = { ...deps, backends: backendsOf([silent], 'memory') };
    expect(await destroyDueKeys(cut, never)).toBe(0);
    await expect(undoDestruction(deps, 'k', alice)).rejects.toMatchObject({
      code: 'KEY_STATE_REFUSED',
    });
    expect(await destroyDueKeys(deps, never)).toBe(1);
    expect(store.handles.size).toBe(0);
  });

  it('of one key does not hold up that of others, of which there may be many', async () => {
    const { deps, alice, store, clock, key } = personWorld();
    const stuck = await key('a');
    const ids = Array.from({ length: 120 }, (_, n) => `b${n}`);
    for (const keyId of ids) await key(keyId);
    for (const keyId of ['a', ...ids]) await scheduleDestruction(deps, keyId, alice);
    clock.advance(WAIT);
    const failing = {
      ...store,
      async remove(handle: typeof stuck.handle) {
        if (handle === stuck.handle) throw new GigvaultError('KEY_UNAVAILABLE', 'no answer');
        await store.remove(handle);
      },
    };
    const mostly = { ...deps, backends: backendsOf([failing], 'memory') };
    expect(await destroyDueKeys(mostly, never)).toBe(120);
    expect(store.handles).toEqual(new Set([stuck.handle]));
  });

  it('covers: T15. does not come by a clock that was set forward', async () => {
    const { deps, key, alice, store, clock } = personWorld();
    await key();
    await scheduleDestruction(deps, 'k', alice);
    clock.step(2 * WAIT);
    await expect(destroyDueKeys(deps, never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(store.handles.size).toBe(1);
    clock.step(-2 * WAIT);
    expect(await destroyDueKeys(deps, never)).toBe(0);
    clock.step(-WAIT);
    await key('other');
    await expect(scheduleDestruction(deps, 'other', alice)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });
});

describe('covers: T63. keys of others', () => {
  const USES = {
    rotate: rotateKey,
    destroy: scheduleDestruction,
    restore: undoDestruction,
  } as const;

  function all(
    world: ReturnType<typeof personWorld>,
    keyId: string,
    who: ReturnType<typeof person>,
  ) {
    const { deps } = world;
    return {
      rotate: () => USES.rotate(deps, keyId, undefined, who),
      'change-state': () => changeState(deps, keyId, { state: 'suspended', reason: '' }, who),
      destroy: () => USES.destroy(deps, keyId, who),
      restore: () => USES.restore(deps, keyId, who),
    };
  }

  it.each(['ca-issuing', 'ocsp-issuing', 'audit-checkpoint', 'auth-token'])(
    '%s of a service: nobody does anything with it, and each attempt is told',
    async (keyId) => {
      const world = personWorld();
      const { deps, events, store } = world;
      const service = keyId.split('-')[0] as 'ca' | 'ocsp' | 'audit' | 'auth';
      const purposes = [{ ca: '', ocsp: 'ocspSign', audit: 'auditSign', auth: 'jwtSign' }[service]];
      const request = { keyId, keyType: 'ec-p256', purposes, actor: '' };
      const made =
        service === 'ca'
          ? await createCaKey(deps, { keyId, keyType: 'ec-p256', subject: ISSUER })
          : await generateServiceKey(deps, request, service);
      for (const [use, attempt] of Object.entries(all(world, keyId, person('root', 'admin')))) {
        await expect(attempt()).rejects.toMatchObject({ code: 'KEY_USE_REFUSED' });
        expect(events.at(-1)).toMatchObject({
          type: 'key.refused',
          actor: 'user:root',
          subject: keyId,
          data: { purpose: use, reason: 'it is a key of a service' },
        });
      }
      expect(await getKey(deps, keyId)).toEqual(made);
      expect(store.handles.size).toBe(1);
    },
  );

  it('of another tenant are not there, and the attempt is told', async () => {
    const world = personWorld();
    await world.key();
    const stranger = person('eve', 'admin', 'other');
    for (const attempt of Object.values(all(world, 'k', stranger))) {
      await expect(attempt()).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
      expect(world.events.at(-1)).toMatchObject({ type: 'key.refused', actor: 'user:eve' });
    }
  });

  it('of a colleague are managed by operators, and by nobody of a lesser role', async () => {
    const world = personWorld();
    await world.key();
    for (const attempt of Object.values(all(world, 'k', person('mallory', 'auditor'))))
      await expect(attempt()).rejects.toMatchObject({ code: 'KEY_USE_REFUSED' });
    const bob = all(world, 'k', person('bob'));
    expect(await bob.rotate()).toMatchObject({ version: 2 });
    expect(await bob.destroy()).toMatchObject({ state: 'deactivated' });
    expect(await bob.restore()).toMatchObject({ state: 'active' });
  });
});
