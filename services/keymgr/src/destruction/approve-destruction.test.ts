import { describe, expect, it } from '@jest/globals';
import { person, personWorld, WAIT } from '../../test/person.ts';
import { getKey } from '../keys/find-keys.ts';
import { changeState } from '../life/change-state.ts';
import { approveDestruction } from './approve-destruction.ts';
import { destroyDueKeys } from './destroy-due-keys.ts';
import { scheduleDestruction, undoDestruction } from './schedule-destruction.ts';

const never = new AbortController().signal;
const [bob, carol, root] = [person('bob'), person('carol'), person('root', 'admin')];

/** A key of alice's whose destruction needs so many approvals; she has asked for it. */
async function waiting(destructionApprovals: number) {
  const world = personWorld();
  const deps = { ...world.deps, destructionApprovals };
  await world.key();
  await scheduleDestruction(deps, 'k', world.alice);
  const approve = (who = bob) => approveDestruction(deps, 'k', who);
  const destroyed = () => destroyDueKeys(deps, never);
  return { ...world, deps, approve, destroyed };
}

describe('covers: T64. the destruction of a key that needs approvals', () => {
  it('comes when as many people as it needs have approved it, and not before', async () => {
    const { approve, destroyed, clock, store, events, told } = await waiting(2);
    clock.advance(WAIT);
    expect(await destroyed()).toBe(0);
    await approve(bob);
    expect(await destroyed()).toBe(0);
    expect(await approve(root)).toMatchObject({
      destroyBy: ['user:alice', 'user:bob', 'user:root'],
    });
    expect(events.at(-1)).toMatchObject({
      type: 'key.destruction-approved',
      actor: 'user:root',
      data: { approvals: 2, approvalsNeeded: 2 },
    });
    expect(store.handles.size).toBe(1);
    expect(await destroyed()).toBe(1);
    expect(store.handles.size).toBe(0);
    expect(told().slice(-4)).toEqual([
      'key.destruction-approved',
      'key.destruction-approved',
      'key.destruction-begun',
      'key.destroyed',
    ]);
  });

  it('does not come sooner for its approvals: the wait is as long', async () => {
    const { approve, destroyed, clock } = await waiting(1);
    await approve();
    clock.advance(WAIT - 1);
    expect(await destroyed()).toBe(0);
    clock.advance(1);
    expect(await destroyed()).toBe(1);
  });

  it.each(['operator', 'admin'] as const)('is not approved by the %s who asked', async (role) => {
    const { deps, key, events, store, clock } = personWorld();
    const strict = { ...deps, destructionApprovals: 1 };
    const asker = person('asker', role);
    await key();
    await scheduleDestruction(strict, 'k', asker);
    await expect(approveDestruction(strict, 'k', asker)).rejects.toMatchObject({
      code: 'SELF_APPROVAL',
    });
    expect(events.at(-1)).toMatchObject({
      type: 'key.refused',
      actor: 'user:asker',
      data: { purpose: 'approve-destruction' },
    });
    clock.advance(10 * WAIT);
    expect(await destroyDueKeys(strict, never)).toBe(0);
    expect(store.handles.size).toBe(1);
  });

  it('counts each person once, whatever they repeat', async () => {
    const { approve, destroyed, clock, told } = await waiting(2);
    const rivals = await Promise.allSettled(Array.from({ length: 5 }, () => approve()));
    expect(rivals.some(({ status }) => status === 'fulfilled')).toBe(true);
    await approve();
    expect(told().filter((type) => type === 'key.destruction-approved')).toHaveLength(1);
    clock.advance(WAIT);
    expect(await destroyed()).toBe(0);
  });

  it('that is undone and asked for again begins with no approval', async () => {
    const { deps, approve, destroyed, clock } = await waiting(1);
    await approve();
    await undoDestruction(deps, 'k', carol);
    expect(await getKey(deps, 'k')).toMatchObject({ destroyBy: [], state: 'active' });
    await expect(approve()).rejects.toMatchObject({ code: 'KEY_STATE_REFUSED' });
    await scheduleDestruction(deps, 'k', bob);
    await expect(approve()).rejects.toMatchObject({ code: 'SELF_APPROVAL' });
    clock.advance(WAIT);
    expect(await destroyed()).toBe(0);
    await changeState(deps, 'k', { state: 'compromised', reason: 'stolen' }, carol);
    await approve(carol);
    expect(await destroyed()).toBe(1);
  });

  it('is not approved when nobody knows who asked', async () => {
    const { deps, approve } = await waiting(1);
    const { state, destroyAt, restoreState } = await getKey(deps, 'k');
    const key = await getKey(deps, 'k');
    const event = { type: 'key.used', actor: 'test', subject: 'k', data: {} } as const;
    await deps.keys.move(key, { state, destroyAt, restoreState, destroyBy: [] }, event);
    await expect(approve()).rejects.toMatchObject({ code: 'KEY_STATE_REFUSED' });
  });

  it('needs none unless the configuration says so', async () => {
    const { destroyed, clock } = await waiting(0);
    clock.advance(WAIT);
    expect(await destroyed()).toBe(1);
  });
});
