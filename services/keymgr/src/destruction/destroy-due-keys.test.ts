import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { readPublicKey } from '@gigvault/x509/public-key';
import { describe, expect, it } from '@jest/globals';
import { personWorld, WAIT } from '../../test/person.ts';
import { backendsOf } from '../backends/backends.ts';
import { earlierVersions, getKey } from '../keys/find-keys.ts';
import { publicKeyOf } from '../keys/stored-key.ts';
import { changeState } from '../life/change-state.ts';
import { rotateKey } from '../life/rotate-key.ts';
import { destroyDueKeys } from './destroy-due-keys.ts';
import { scheduleDestruction, undoDestruction } from './schedule-destruction.ts';

const never = new AbortController().signal;

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
