import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { HttpReply } from '@gigvault/http/route';
import { RPC } from '@gigvault/rpc/contracts';
import { eventually } from '@gigvault/testkit/eventually';
import { produced } from '@gigvault/testkit/produced';
import { type ServiceWorld, serviceWorld } from '@gigvault/testkit/service-world';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import { type CrlEntry, type ParsedCertList, readCertList } from '@gigvault/x509/crl';
import type { Pool } from 'pg';
import type { CrlConfig } from '../src/crl.config.ts';
import { crlService } from '../src/crl.module.ts';
import { type FakeCa, fakeCa } from './fake-ca.ts';
import { type FakeKeymgr, fakeKeymgr } from './fake-keymgr.ts';

interface Parts {
  readonly pool: Pool;
  readonly clock: FakeClock;
  readonly ca: FakeCa;
  readonly keymgr: FakeKeymgr;
  readonly dataDir?: string;
}

/** The CRL service, with a `ca` and a `keymgr` in memory. */
export interface CrlWorld extends ServiceWorld, Parts {
  /** A new instance over the same database, `ca` and keys. */
  another(config?: Partial<CrlConfig>, dataDir?: string): CrlWorld;
  fetch(path: string, headers?: Record<string, string>): Promise<HttpReply>;
  /** The CRL at this path, read; throws when it is not served. */
  crl(path?: string): Promise<ServedCrl>;
  /** Moves the time until the newest CRL lists this serial number. */
  listed(serialNumber: string, path?: string): Promise<{ crl: ServedCrl; entry: CrlEntry }>;
  /** The how manieth number of its shard the CRL has, of those that are still in the table. */
  ordinal(crl: ServedCrl): Promise<number>;
}

/** A CRL as it is served, and its entries. */
export type ServedCrl = ParsedCertList & { readonly list: readonly CrlEntry[] };

/** A world with the CA `issuing` (one shard), not started yet. The pool's tables are emptied. */
export async function crlWorld(
  pool: Pool,
  config: Partial<CrlConfig> = {},
  dataDir?: string,
): Promise<CrlWorld> {
  for (const table of ['issuer', 'shard', 'revoked', 'crl', 'crl_run', 'event_cursor']) {
    await pool.query(`DELETE FROM ${table}`);
  }
  const clock = new FakeClock(Math.floor(systemClock.now() / 1000) * 1000);
  const ca = fakeCa(clock);
  const keymgr = fakeKeymgr();
  ca.addIssuer('issuing', 1, keymgr.keys);
  return instance({ pool, clock, ca, keymgr, ...(dataDir && { dataDir }) }, config);
}

/** The same, started, with its first CRL served. */
export async function startedCrlWorld(pool: Pool, config = {}): Promise<CrlWorld> {
  const world = await crlWorld(pool, config);
  await world.start();
  await eventually(() => world.crl());
  return world;
}

function instance(parts: Parts, config: Partial<CrlConfig>): CrlWorld {
  const { pool, clock, ca, keymgr } = parts;
  const world = serviceWorld({
    definition: crlService,
    config,
    pool,
    clock,
    ...(parts.dataDir && { dataDir: parts.dataDir }),
    clients: new Map<never, object>([
      [RPC.eventLog as never, ca.events.source],
      [RPC.issuer as never, ca.issuer],
      [RPC.keySigning as never, keymgr.signing],
    ]),
    endPolls: ca.events.endPolls,
  });
  const fetch = async (path: string, headers: Record<string, string> = {}) => {
    const [issuerId = '', file = ''] = path.replace(/^\/crl\//, '').split('/');
    const request = { method: 'GET', url: path, params: { issuerId, file }, headers };
    return world.routes.find((route) => route.method === 'GET')!.handle(request as never);
  };
  async function crl(path = '/crl/issuing/0.crl'): Promise<ServedCrl> {
    const reply = await fetch(path);
    if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${reply.body}`);
    const { body } = reply;
    const der = body instanceof Readable ? await buffer(body) : (body as Buffer);
    const parsed = readCertList(produced('crl', der));
    return { ...parsed, list: [...parsed.entries()] };
  }
  return {
    ...parts,
    ...world,
    another: (changed = config, dataDir = parts.dataDir) =>
      instance({ ...parts, ...(dataDir && { dataDir }) }, changed),
    fetch,
    crl,
    listed: (serialNumber, path) =>
      eventually(async () => {
        clock.advance(1_000);
        const newest = await crl(path);
        const entry = newest.list.find((one) => one.serialNumber === serialNumber);
        if (!entry) throw new Error(`CRL ${newest.crlNumber} does not list ${serialNumber}`);
        return { crl: newest, entry };
      }),
    async ordinal({ crlNumber }) {
      const text = 'SELECT count(*)::int AS n FROM crl WHERE crl_number <= $1';
      return (await pool.query(text, [crlNumber])).rows[0].n;
    },
  };
}
