import { transaction } from '@gigvault/database/transaction';
import { verifyLog } from '@gigvault/merkle/verify-log';
import { eventually } from '@gigvault/testkit/eventually';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { type AuditWorld, auditWorld } from './audit-world.ts';

let world: AuditWorld;
let owner: Pool;

beforeAll(async () => {
  world = await auditWorld();
  owner = world.database.ownerPool('audit');
  // Two blocks of entries, and a part of a third.
  for (let i = 0; i < 5; i += 1)
    await world.say('ca', ...Array.from({ length: 420 }, (_, n) => `${i}/${n}`));
  await world.recorded();
});

beforeEach(() => void world.errors.splice(0));
afterAll(() => world.stop());

async function exported() {
  return world.audit.log.leaves.leaves(0, 10_000);
}

async function signedHead() {
  const { treeSize, rootHash } = (await world.audit.log.checkpoints.newest())!;
  return { size: treeSize, root: rootHash };
}

async function failures(): Promise<number> {
  const text = await world.metrics.exposition();
  return Number(/gigvault_audit_verify_failures_total (\d+)/.exec(text)?.[1]);
}

/** Lines that were logged as errors, and tell of this. */
function told(what: string) {
  return world.errors.filter(({ fields, msg }) => {
    const { error, damage } = fields as { error?: Error; damage?: string };
    return `${msg}: ${error?.message ?? damage}`.includes(what);
  });
}

/** Changes tables behind the service's back; the result puts back what was there. */
async function tamper(sql: string, ...tables: string[]): Promise<() => Promise<void>> {
  for (const table of tables) await owner.query(`CREATE TABLE kept_${table} AS TABLE ${table}`);
  expect((await owner.query(sql)).rowCount).toBeGreaterThan(0);
  return () =>
    transaction(owner, async (client) => {
      for (const table of tables) {
        await client.query(`DELETE FROM ${table}`);
        await client.query(`INSERT INTO ${table} TABLE kept_${table}`);
        await client.query(`DROP TABLE kept_${table}`);
      }
    });
}

// covers: T65, G56
describe('the verifier', () => {
  it('finds nothing in a sound log', async () => {
    await world.health('audit.verification');
    expect(await failures()).toBe(0);
  });

  it.each([
    [
      'an entry that was changed',
      "UPDATE leaf SET leaf = replace(encode(leaf, 'escape'), '3/7', 'x/7')::bytea WHERE position = 1268",
      'entry 1267 is not what was appended',
    ],
    [
      'an entry that was changed with its hash',
      `UPDATE leaf SET leaf = forged, leaf_hash = sha256('\\x00' || forged)
       FROM (SELECT replace(encode(leaf, 'escape'), '0/12', '0/66')::bytea AS forged FROM leaf WHERE position = 13) f
       WHERE position = 13`,
      'hash 6 of level 1 is not that of its entries',
    ],
    [
      'an entry that is gone from the middle',
      'DELETE FROM leaf WHERE position = 1500',
      'entry 1499 is missing',
    ],
    [
      'an entry under another number',
      "UPDATE leaf SET producer = 'ra' WHERE position = 2100",
      'entry 2099 is not the event under whose number it stands',
    ],
    [
      'a stored hash inside a block',
      "UPDATE node SET hash = sha256('x') WHERE level = 3 AND index = 130",
      'the hash 130 of level 3 is not that of its entries',
    ],
    [
      'a stored hash above the blocks',
      "UPDATE node SET hash = sha256('x') WHERE level = 11 AND index = 0",
      'do not give the root that was signed',
    ],
    [
      'a checkpoint that another key signed',
      "UPDATE checkpoint SET note = replace(note, ' gigvault.local/audit ', ' gigvault.local/audit A')",
      'is not one that was signed',
    ],
  ])(
    'finds %s: counted, logged once, health red, until it is repaired',
    async (_what, sql, reason) => {
      const before = await failures();
      const table = /^UPDATE (checkpoint|node)/.exec(sql)?.[1] ?? 'leaf';
      const repair = await tamper(sql, table);
      await eventually(async () => {
        await expect(world.health('audit.verification')).rejects.toThrow(reason);
        expect(await failures()).toBeGreaterThan(before + 3);
      });
      await repair();
      await eventually(() => world.health('audit.verification'));
      expect(told(reason)).toHaveLength(1);
      expect(told('does not verify')).toHaveLength(1);
    },
  );
});

// covers: T65
describe('damage at the end of the log', () => {
  it.each([
    [
      'signed entries are gone',
      'DELETE FROM leaf WHERE leaf_index >= 2098',
      'it ends at 2098 entries',
    ],
    ['a hash is gone', 'DELETE FROM node WHERE level = 11', 'the hash 0 of level 11 is missing'],
    [
      'something stands where the next entry belongs',
      "INSERT INTO node SELECT 1, (SELECT (max(leaf_index) + 1) / 2 FROM leaf), sha256('x')",
      'what is to be appended is there already',
    ],
  ])(
    '%s: nothing is appended, the reason is told once, and no event is lost',
    async (_what, sql, reason) => {
      const repair = await tamper(sql, 'leaf', 'node');
      const before = await world.audit.log.tree.size();
      await world.say('ca', 'after', 'the', 'damage');
      await eventually(() => expect(world.health('audit.lag')).rejects.toThrow(reason));
      await world.say('ra', 'of', 'somebody', 'else');
      const waiting = () =>
        told('consuming failed').map(({ fields }) => (fields as { producer: string }).producer);
      // One line for each producer whose events wait, however often it is tried.
      await eventually(() => expect(waiting().sort()).toEqual(['ca', 'ra']));
      expect(await world.audit.log.tree.size()).toBe(before);
      await repair();
      await world.recorded();
      await eventually(() => world.health('audit.lag'));
      const log = await exported();
      expect(await verifyLog(log, [await signedHead()])).toMatchObject({ findings: [] });
      const newest = log.slice(-6).map(({ producer }) => producer);
      expect(newest.sort()).toEqual(['ca', 'ca', 'ca', 'ra', 'ra', 'ra']);
    },
  );

  it('the exported log says which entry it was', async () => {
    const repair = await tamper(
      "UPDATE leaf SET leaf = leaf || ' ' WHERE leaf_index = 1267",
      'leaf',
    );
    const { findings } = await verifyLog(await exported(), [await signedHead()]);
    expect(findings[0]).toMatchObject({ problem: 'edited', leafIndex: 1267 });
    await repair();
  });

  it('entries that no checkpoint covers yet are missed as well', async () => {
    const size = await world.audit.log.tree.size();
    await owner.query('DELETE FROM checkpoint');
    await owner.query('DELETE FROM leaf WHERE leaf_index >= $1', [size - 4]);
    await owner.query('DELETE FROM node WHERE (index + 1) * 2 ^ level > $1', [size - 4]);
    await world.say('ca', 'next');
    const reason = /event \d+ of ca was appended and is missing/;
    await eventually(() => expect(world.health('audit.lag')).rejects.toThrow(reason));
  });
});
