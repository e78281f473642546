import type { Principal } from '@gigvault/access/permissions';
import { describe, expect, it } from '@jest/globals';
import { namedKeyStore, personWorld, WAIT } from '../../test/person.ts';
import { backendsOf } from '../backends/backends.ts';
import { generateUserKey } from '../creation/generate-key.ts';
import { destroyDueKeys } from '../destruction/destroy-due-keys.ts';
import { scheduleDestruction } from '../destruction/schedule-destruction.ts';
import { earlierVersions, getKey } from '../keys/find-keys.ts';
import type { PersonDeps } from '../keys/require-own-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import type { KeyTable } from '../ports/key-table.ts';
import { changeGrants } from './change-grants.ts';
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
