import { generateKeyPairSync } from 'node:crypto';
import { parseKeyHandle } from '@gigvault/keystore/key-store';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { describe, expect, it } from '@jest/globals';
import type { StoredKey } from '../keys/stored-key.ts';
import type { KeyEvent } from './key-event.ts';
import type { KeyTable } from './key-table.ts';

const publicKey = publicKeyInfoOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);

/** A key row, with random ids unless they are given. */
export function someKey(difference: Partial<StoredKey> = {}): StoredKey {
  return {
    keyId: crypto.randomUUID(),
    state: 'active',
    destroyAt: null,
    restoreState: null,
    version: 1,
    publicKey,
    backend: 'memory',
    handle: parseKeyHandle(crypto.randomUUID()),
    versionCreatedAt: 1_767_225_600_123,
    purposes: ['certSign', 'crlSign'],
    callers: ['ca', 'crl'],
    issuerName: Buffer.from('3000', 'hex'),
    owner: 'service:ca',
    tenantId: 'default',
    createdAt: 1_767_225_600_123,
    ...difference,
  };
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
  });
}
