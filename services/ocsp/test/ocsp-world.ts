import type { HttpReply } from '@gigvault/http/route';
import { RPC } from '@gigvault/rpc/contracts';
import { eventually } from '@gigvault/testkit/eventually';
import { produced } from '@gigvault/testkit/produced';
import { type ServiceWorld, serviceWorld } from '@gigvault/testkit/service-world';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import type { Pool } from 'pg';
import type { OcspConfig } from '../src/ocsp.config.ts';
import { ocspService } from '../src/ocsp.module.ts';
import { type FakeCa, fakeCa } from './fake-ca.ts';
import { type FakeKeymgr, fakeKeymgr } from './fake-keymgr.ts';

const OCSP_REQUEST = { 'content-type': 'application/ocsp-request' };
/** Octets of a response that only tells what went wrong. */
const ERROR_RESPONSE = 5;

interface Parts {
  readonly pool: Pool;
  readonly clock: FakeClock;
  readonly ca: FakeCa;
  readonly keymgr: FakeKeymgr;
}

/** The OCSP service, with a `ca` and a `keymgr` in memory. */
export interface OcspWorld extends ServiceWorld, Parts {
  /** A new instance over the same database, `ca` and keys; the old one must be stopped. */
  restart(config?: Partial<OcspConfig>): Promise<OcspWorld>;
  post(der: Buffer): Promise<HttpReply>;
  get(path: string, headers?: Record<string, string>): Promise<HttpReply>;
}

/** A world that is not started yet. The pool's tables are emptied. */
export async function ocspWorld(pool: Pool, config: Partial<OcspConfig> = {}): Promise<OcspWorld> {
  for (const table of ['status', 'responder', 'freshness', 'event_cursor']) {
    await pool.query(`DELETE FROM ${table}`);
  }
  const clock = new FakeClock(systemClock.now());
  return instance({ pool, clock, ca: fakeCa(clock), keymgr: fakeKeymgr() }, config);
}

/** The same, started, with its responder's certificate. */
export async function startedOcspWorld(pool: Pool, config = {}): Promise<OcspWorld> {
  const world = await ocspWorld(pool, config);
  await world.start();
  await eventually(() => world.health('ocsp.signer'));
  return world;
}

function instance(parts: Parts, config: Partial<OcspConfig>): OcspWorld {
  const { pool, clock, ca, keymgr } = parts;
  const world = serviceWorld({
    definition: ocspService,
    config,
    pool,
    clock,
    clients: new Map<never, object>([
      [RPC.certificate as never, ca.certificate],
      [RPC.eventLog as never, ca.events.source],
      [RPC.issuance as never, ca.issuance],
      [RPC.issuer as never, ca.issuer],
      [RPC.key as never, keymgr.key],
      [RPC.keySigning as never, keymgr.signing],
    ]),
    endPolls: ca.events.endPolls,
  });
  const call = (method: string, path: string, request: object) => {
    const route = world.routes.find((one) => one.method === method)!;
    const params = { '*': path.replace(/^\/ocsp\//, '') };
    return route.handle({ method, url: path, params, headers: {}, ...request } as never);
  };
  const noted = async (answer: Promise<HttpReply> | HttpReply) => {
    const reply = await answer;
    const der = reply.body as Buffer;
    if (reply.status === 200 && der.length > ERROR_RESPONSE) produced('ocsp', der);
    return reply;
  };
  return {
    ...parts,
    ...world,
    async restart(changed = config) {
      return instance(parts, changed);
    },
    post: (body) => noted(call('POST', '/ocsp', { body, headers: OCSP_REQUEST })),
    get: (path, headers = {}) => noted(call('GET', path, { headers, body: Buffer.alloc(0) })),
  };
}
