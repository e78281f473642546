import { generateKeyPairSync } from 'node:crypto';
import { parseKeyHandle } from '@gigvault/keystore/key-store';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { describe, expect, it } from '@jest/globals';
import type { KeyVersion, StoredKey } from '../keys/stored-key.ts';
import type { KeyEvent } from './key-event.ts';
import type { KeyTable } from './key-table.ts';

const publicKey = publicKeyInfoOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);

/** A key row, with random ids unless they are given. */
export function someKey(difference: Partial<StoredKey> = {}): StoredKey {
  return {
    keyId: crypto.randomUUID(),
    keyType: 'ec-p256',
    usage: 'sign',
    state: 'active',
    destroyAt: null,
    restoreState: null,
    destroyBy: [],
    version: 1,
    publicKey,
    backend: 'memory',
    handle: parseKeyHandle(crypto.randomUUID()),
    versionCreatedAt: 1_767_225_600_123,
    purposes: ['certSign', 'crlSign'],
    callers: ['ca', 'crl'],
    issuerName: Buffer.from('3000', 'hex'),
    owner: 'service:ca',
    grants: [],
    grantsVersion: 0,
    tenantId: 'default',
    createdAt: 1_767_225_600_123,
    ...difference,
  };
}

/** A key of a person. */
export function personsKey(difference: Partial<StoredKey> = {}): StoredKey {
  return someKey({ purposes: [], callers: [], issuerName: null, owner: 'user:a', ...difference });
}

/** The event that goes with it. */
export function generated(key: StoredKey): KeyEvent {
  return { type: 'key.generated', actor: 'test', subject: key.keyId, data: {} };
}

/** What every KeyTable must do. `make` gives an empty one and a look at its events. */
export function describeKeyTable(
  name: string,
  make: () => Promise<{ table: KeyTable; events(): Promise<readonly string[]> }>,
): void {
  describe(`KeyTable contract: ${name}`, () => {
    it('finds what was inserted, to the millisecond and octet', async () => {
      const { table } = await make();
      const keys = [someKey(), someKey({ issuerName: null, purposes: [], callers: [] })];
      for (const key of keys) expect(await table.insert(key, generated(key))).toBe(true);
      for (const key of keys) expect(await table.find(key.keyId)).toEqual(key);
      expect(await table.find('none')).toBeUndefined();
    });

    it('takes a key id once, with one event', async () => {
      const { table, events } = await make();
      const key = someKey();
      const rivals = [key, someKey({ keyId: key.keyId }), someKey({ keyId: key.keyId })];
      const inserted = await Promise.all(
        rivals.map((rival) => table.insert(rival, generated(rival))),
      );
      expect(inserted.filter(Boolean)).toHaveLength(1);
      expect((await events()).filter((subject) => subject === key.keyId)).toHaveLength(1);
    });

    it('lists pages in order of key id, by tenant', async () => {
      const { table } = await make();
      const tenantId = crypto.randomUUID();
      for (const keyId of ['m-3', 'm-1', 'm-2']) {
        const key = someKey({ keyId: `${tenantId}-${keyId}`, tenantId });
        await table.insert(key, generated(key));
      }
      const ids = async (after: string) =>
        (await table.list({ limit: 2, after, tenantId })).map((key) => key.keyId.slice(-3));
      expect(await ids('')).toEqual(['m-1', 'm-2']);
      expect(await ids(`${tenantId}-m-2`)).toEqual(['m-3']);
      expect((await table.list({ limit: 1000, after: '' })).length).toBeGreaterThanOrEqual(3);
    });

    it('lists the keys of a state', async () => {
      const { table } = await make();
      const tenantId = crypto.randomUUID();
      const suspended = personsKey({ tenantId, state: 'suspended' });
      for (const key of [personsKey({ tenantId }), suspended])
        await table.insert(key, generated(key));
      const page = { limit: 10, after: '', tenantId };
      expect(await table.list({ ...page, state: 'suspended' })).toEqual([suspended]);
      expect(await table.list({ ...page, state: 'compromised' })).toEqual([]);
      expect(await table.list(page)).toHaveLength(2);
    });

    describeChanges(make);
  });
}

interface UnderTest {
  readonly table: KeyTable;
  events(): Promise<readonly string[]>;
}

const DUE = 1_767_225_600_000;
const WAITING = {
  state: 'deactivated',
  destroyAt: DUE,
  restoreState: 'active',
  destroyBy: ['user:a'],
} as const;

function told(key: StoredKey): KeyEvent {
  return { type: 'key.used', actor: 'test', subject: key.keyId, data: {} };
}

function nextVersion(key: StoredKey): KeyVersion {
  const { version, publicKey: same, backend, handle, versionCreatedAt } = someKey();
  return { publicKey: same, backend, handle, versionCreatedAt, version: version + key.version };
}

function describeChanges(make: () => Promise<UnderTest>): void {
  async function stored(key = personsKey()) {
    const { table, events } = await make();
    await table.insert(key, generated(key));
    const count = async () => (await events()).filter((subject) => subject === key.keyId).length;
    return { table, key, count };
  }

  it('moves a key that is as it was read, once, with one event', async () => {
    const { table, key, count } = await stored();
    const rivals = Array.from({ length: 5 }, () => table.move(key, WAITING, told(key)));
    expect((await Promise.all(rivals)).filter(Boolean)).toHaveLength(1);
    expect(await table.find(key.keyId)).toEqual({ ...key, ...WAITING });
    expect(await count()).toBe(2);
    const back = { state: 'active', destroyAt: null, restoreState: null, destroyBy: [] } as const;
    expect(await table.move({ ...key, ...WAITING, destroyAt: DUE + 1 }, back, told(key))).toBe(
      false,
    );
    expect(await table.move({ ...key, ...WAITING }, back, told(key))).toBe(true);
    expect(await table.find(key.keyId)).toEqual(key);
  });

  it('rotates once, and keeps what was', async () => {
    const { table, key, count } = await stored();
    const nexts = [nextVersion(key), nextVersion(key), nextVersion(key)];
    const outcomes = await Promise.all(nexts.map((next) => table.rotate(key, next, told(key))));
    expect(outcomes.filter(Boolean)).toHaveLength(1);
    expect(await count()).toBe(2);
    const second = { ...key, ...nexts[outcomes.indexOf(true)] };
    expect(await table.find(key.keyId)).toEqual(second);
    expect(await table.rotate(second, nextVersion(second), told(key))).toBe(true);
    const { version, publicKey: own, backend, handle, versionCreatedAt } = key;
    const first = { version, publicKey: own, backend, handle, versionCreatedAt };
    expect((await table.versions(key.keyId, 3, 10)).map((one) => one.version)).toEqual([2, 1]);
    expect(await table.versions(key.keyId, 2, 10)).toEqual([first]);
    expect(await table.versions(key.keyId, 3, 1)).toMatchObject([{ version: 2 }]);
  });

  it('does not rotate a key that was moved, and tells of no use of it', async () => {
    const { table, key, count } = await stored();
    expect(await table.recordUse(key, told(key))).toBe(true);
    await table.move(key, WAITING, told(key));
    expect(await table.rotate(key, nextVersion(key), told(key))).toBe(false);
    expect(await table.recordUse(key, told(key))).toBe(false);
    expect(await table.versions(key.keyId, 9, 10)).toEqual([]);
    expect(await count()).toBe(3);
  });

  it('changes grants once, and no change or use goes by the earlier ones', async () => {
    const { table, key, count } = await stored();
    const grants = [{ user: 'user:b', uses: ['sign', 'rotate'] }] as const;
    const rivals = Array.from({ length: 5 }, () => table.grant(key, grants, told(key)));
    expect((await Promise.all(rivals)).filter(Boolean)).toHaveLength(1);
    const granted = { ...key, grants, grantsVersion: 1 };
    expect(await table.find(key.keyId)).toEqual(granted);
    expect(await table.recordUse(key, told(key))).toBe(false);
    expect(await table.move(key, WAITING, told(key))).toBe(false);
    expect(await table.rotate(key, nextVersion(key), told(key))).toBe(false);
    expect(await count()).toBe(2);
    expect(await table.recordUse(granted, told(key))).toBe(true);
    expect(await table.grant(granted, [], told(key))).toBe(true);
    expect(await table.find(key.keyId)).toEqual({ ...key, grantsVersion: 2 });
  });

  it('tells of each of many uses, except of those whose key has changed', async () => {
    const { table, key, count } = await stored();
    const stale = { ...key, version: 7 };
    const uses = [key, stale, key, key, stale].map((one) => table.recordUse(one, told(one)));
    expect(await Promise.all(uses)).toEqual([true, false, true, true, false]);
    expect(await count()).toBe(4);
  });

  it('finds what is due, in order and in pages', async () => {
    const { table } = await make();
    const id = crypto.randomUUID();
    const keys = [2, 0, 1, 1].map((hour, n) =>
      personsKey({ ...WAITING, keyId: `${id}-${n}`, destroyAt: hour * 3_600_000 }),
    );
    for (const key of keys) await table.insert(key, generated(key));
    const names = (found: readonly StoredKey[]) =>
      found.filter(({ keyId }) => keyId.startsWith(id)).map(({ keyId }) => keyId.slice(-1));
    expect(names(await table.due(3_600_000, 0, undefined, 1_000))).toEqual(['1', '2', '3']);
    expect(names(await table.due(3_600_000, 0, keys[2], 1))).toEqual(['3']);
    expect(names(await table.due(DUE, 0, keys[3], 1_000))).toEqual(['0']);
  });

  it('finds what enough people have approved, and what has begun', async () => {
    const { table } = await make();
    const id = crypto.randomUUID();
    const people = ['user:a', 'user:b', 'user:c'];
    const keys = [0, 1, 2, 3].map((count) =>
      personsKey({ ...WAITING, keyId: `${id}-${count}`, destroyBy: people.slice(0, count) }),
    );
    const begun = personsKey({ ...WAITING, keyId: `${id}-begun`, restoreState: null });
    for (const key of [...keys, begun]) await table.insert(key, generated(key));
    const found = async (approvals: number) =>
      (await table.due(DUE, approvals, undefined, 1_000))
        .filter(({ keyId }) => keyId.startsWith(id))
        .map(({ keyId }) => keyId.slice(id.length + 1));
    expect(await found(0)).toEqual(['0', '1', '2', '3', 'begun']);
    expect(await found(1)).toEqual(['2', '3', 'begun']);
    expect(await found(2)).toEqual(['3', 'begun']);
    expect(await found(3)).toEqual(['begun']);
    const [, one] = keys;
    const next = { ...WAITING, destroyBy: ['user:a', 'user:b'] };
    const rivals = Array.from({ length: 4 }, () => table.move(one!, next, told(one!)));
    expect((await Promise.all(rivals)).filter(Boolean)).toHaveLength(1);
  });
}
