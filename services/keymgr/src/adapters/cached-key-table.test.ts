import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { NOW } from '../../test/signing-fixture.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import { someKey } from '../ports/key-table.contract.ts';
import { cachedKeyTable } from './cached-key-table.ts';

const HOUR = 3_600_000;

function cachedKey() {
  const clock = new FakeClock(NOW);
  const row: { key: StoredKey; read: () => Promise<void> } = {
    key: someKey(),
    read: async () => undefined,
  };
  const { keyId } = row.key;
  const table = {
    async find() {
      const { key } = row;
      await row.read();
      return key;
    },
  };
  const cached = cachedKeyTable(table, clock);
  const suspend = () => {
    row.key = { ...row.key, state: 'suspended' };
  };
  return { clock, row, suspend, state: async () => (await cached.find(keyId))?.state };
}

describe('rows that services sign by', () => {
  it('are a second old at most', async () => {
    const { clock, suspend, state } = cachedKey();
    expect(await state()).toBe('active');
    suspend();
    clock.advance(999);
    expect(await state()).toBe('active');
    clock.advance(1);
    expect(await state()).toBe('suspended');
  });

  it('count from when the table was asked, however long it took to answer', async () => {
    const { clock, row, suspend, state } = cachedKey();
    row.read = async () => clock.advance(900);
    expect(await state()).toBe('active');
    row.read = async () => undefined;
    suspend();
    clock.advance(100);
    expect(await state()).toBe('suspended');
  });

  it('are forgotten when the clock is set back — covers: T15', async () => {
    const { clock, suspend, state } = cachedKey();
    expect(await state()).toBe('active');
    suspend();
    clock.step(-HOUR);
    expect(await state()).toBe('suspended');
  });
});
