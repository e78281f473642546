import { X509Certificate } from 'node:crypto';
import { readJwk } from '@gigvault/enroll/jws/jwk';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { eventually } from '@gigvault/testkit/eventually';
import { type ModelCommand, runModel } from '@gigvault/testkit/model-run';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { certificatesOf, check } from '../../ca/test/test-ca.ts';
import {
  type AcmeTestClient,
  acmeTestClient,
  csrFor,
  type Reply,
} from '../../enroll/test/acme-test-client.ts';
import { type AcmePath, startAcmePath } from './acme-path.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Above the hour that a reused authorization must still last, so that there are some too old for that. */
const AUTHORIZATION_VALIDITY = 5 * HOUR;
const PENDING_VALIDITY = 3 * HOUR;
const ORDER_LIFETIME = 2 * HOUR;
const REUSE_MARGIN = HOUR;
const NAMES = ['a.localhost', 'b.localhost', 'c.localhost'];
const KEY_COMPROMISE = 1;

/** RFC 8555 §7.1.6, as far as it is kept: `expired` is a matter of the clock. */
interface Authorization {
  readonly url: string;
  readonly name: string;
  readonly challenge: string;
  status: 'pending' | 'valid' | 'invalid' | 'deactivated';
  expiresAt: number;
}

interface Order {
  readonly url: string;
  readonly finalize: string;
  readonly names: readonly string[];
  readonly authorizations: readonly Authorization[];
  readonly expiresAt: number;
  status: 'pending' | 'ready' | 'processing' | 'valid' | 'invalid';
  /** Of the finalize that was taken, base64url. */
  csr?: string;
  /** The CA could be asked at some moment since then: a worker may have done it. */
  asked?: boolean;
  /** The leaf, once somebody has seen it. */
  leaf?: X509Certificate;
  /** CRLReason, once it is revoked. */
  reason?: number;
}

/** What a client of one account should see. */
interface Model {
  readonly authorizations: Authorization[];
  readonly orders: Order[];
}

/** The clients of one run: every run has accounts of its own. */
interface Real {
  readonly client: AcmeTestClient;
  readonly stranger: AcmeTestClient;
}

let path: AcmePath;

beforeAll(async () => {
  path = await startAcmePath({
    ra: {
      authorizationValidity: '5h',
      pendingAuthorizationValidity: '3h',
    },
    enroll: { orderLifetime: '2h', finalizeWait: '20s' },
  });
}, 60_000);
afterEach(() => installFaultHook(undefined));
afterAll(() => path.stop());

/** Posts once more with a fresh nonce when the process that had given out the first is gone (RFC 8555 §6.5). */
async function post(client: AcmeTestClient, url: string, payload: unknown): Promise<Reply> {
  const reply = await client.post(url, payload);
  if (reply.json.type !== problem('badNonce')) return reply;
  return client.post(url, payload, { nonce: String(reply.headers['replay-nonce']) });
}

const problem = (type: string) => `urn:ietf:params:acme:error:${type}`;

function said({ status, json }: Reply): string {
  return status < 400 ? `${status} ${json.status ?? ''}`.trim() : `${status} ${json.type}`;
}

const refused = (status: number, type: string) => `${status} ${problem(type)}`;

/** @param index 0 is the newest */
function pick<T>(all: readonly T[], index: number): T {
  return all.at(-1 - (index % all.length))!;
}

function statusOf({ status, expiresAt }: Authorization): string {
  const over = (status === 'pending' || status === 'valid') && expiresAt <= path.clock.now();
  return over ? 'expired' : status;
}

/** What the next look at an order may find: one status, or two where it depends on how far the RA had come. */
function next(order: Order): readonly Order['status'][] {
  const proofs = order.authorizations.map(statusOf);
  const proved = proofs.every((status) => status === 'valid');
  switch (order.status) {
    case 'pending':
    case 'ready':
      if (order.expiresAt <= path.clock.now()) return ['invalid'];
      if (!proofs.every((status) => status === 'pending' || status === 'valid')) return ['invalid'];
      return proved ? ['ready'] : ['pending'];
    case 'processing': {
      const reached: Order['status'][] = path.caAway ? ['processing'] : ['valid'];
      if (path.caAway && order.asked) reached.push('valid');
      // Proofs are needed until the RA has taken the request, and not after it.
      return proved ? reached : [...reached, 'invalid'];
    }
    default:
      return [order.status];
  }
}

/** Looks at an order as its client does. */
async function look({ client }: Real, order: Order): Promise<void> {
  const allowed = next(order);
  const { status, json } = await post(client, order.url, '');
  expect(status).toBe(200);
  expect(allowed).toContain(json.status);
  order.status = json.status;
  expect(Date.parse(json.expires)).toBe(order.expiresAt);
  expect(json.identifiers.map(({ value }: { value: string }) => value)).toEqual(order.names);
  expect(json.certificate !== undefined).toBe(order.status === 'valid');
  if (order.status !== 'invalid') return expect(json.error).toBeUndefined();
  expect([problem('orderNotReady'), problem('unauthorized')]).toContain(json.error.type);
}

/** The leaf of a valid order: the same at every look, for its names and its key. */
async function download({ client }: Real, order: Order): Promise<X509Certificate> {
  const { json } = await post(client, order.url, '');
  const { status, text } = await post(client, json.certificate, '');
  expect(status).toBe(200);
  const leaf = new X509Certificate(text);
  expect(leaf.subjectAltName).toBe(order.names.map((name) => `DNS:${name}`).join(', '));
  order.leaf ??= leaf;
  expect(leaf.raw).toEqual(order.leaf.raw);
  return leaf;
}

type Command = ModelCommand<Model, Real>;
const hasOrders = ({ orders }: Readonly<Model>) => orders.length > 0;
const hasAuthorizations = ({ authorizations }: Readonly<Model>) => authorizations.length > 0;

class NewOrder implements Command {
  constructor(readonly names: readonly string[]) {}
  check = () => true;
  toString = () => `newOrder(${this.names})`;
  async run(model: Model, real: Real): Promise<void> {
    const now = path.clock.now();
    const identifiers = this.names.map((value) => ({ type: 'dns', value }));
    const reply = await post(real.client, `${path.url}/acme/new-order`, { identifiers });
    // Whether it goes well without the CA is a matter of when the profiles were last asked for.
    if (path.caAway && reply.status === 503)
      return expect(said(reply)).toBe(refused(503, 'serverInternal'));
    expect(reply.status).toBe(201);
    const urls = reply.json.authorizations as string[];
    const authorizations: Authorization[] = [];
    for (const [index, name] of this.names.entries())
      authorizations.push(await this.#authorization(model, real, name, urls[index]!));
    const order: Order = {
      url: String(reply.headers.location),
      finalize: reply.json.finalize,
      names: this.names,
      authorizations,
      expiresAt: Math.min(now + ORDER_LIFETIME, ...authorizations.map((one) => one.expiresAt)),
      status: reply.json.status,
    };
    expect([order.status]).toEqual(next({ ...order, status: 'pending' }));
    model.orders.push(order);
    await look(real, order);
  }

  /** A valid one that lasts long enough is used again, otherwise there is a new one (RFC 8555 §7.4). */
  async #authorization(
    { authorizations }: Model,
    { client }: Real,
    name: string,
    url: string,
  ): Promise<Authorization> {
    const usable = authorizations.filter(
      (one) =>
        one.name === name &&
        one.status === 'valid' &&
        one.expiresAt > path.clock.now() + REUSE_MARGIN,
    );
    const known = usable.find((one) => one.url === url);
    if (known) return known;
    expect(usable).toEqual([]);
    expect(authorizations.map((one) => one.url)).not.toContain(url);
    const { json } = await post(client, url, '');
    expect(json).toMatchObject({ status: 'pending', identifier: { type: 'dns', value: name } });
    const made: Authorization = {
      url,
      name,
      challenge: json.challenges[0].url,
      status: 'pending',
      expiresAt: path.clock.now() + PENDING_VALIDITY,
    };
    authorizations.push(made);
    return made;
  }
}

/** The client says that its web server is ready, for every name of an order; whether it is right is another matter. */
class Answer implements Command {
  constructor(
    readonly index: number,
    readonly right: boolean,
  ) {}
  check = hasOrders;
  toString = () => `answer(${this.index}, ${this.right ? 'right' : 'wrong'})`;
  async run(model: Model, { client }: Real): Promise<void> {
    path.thumbprint = this.right ? readJwk(client.signer.jwk).thumbprint : 'wrong';
    for (const one of pick(model.orders, this.index).authorizations)
      await this.#authorize(client, one);
  }

  async #authorize(client: AcmeTestClient, authorization: Authorization): Promise<void> {
    const open = statusOf(authorization) === 'pending';
    expect((await post(client, authorization.challenge, {})).status).toBe(200);
    if (!open) return;
    const json = await eventually(async () => {
      const seen = await post(client, authorization.url, '');
      expect(seen.json.status).not.toBe('pending');
      return seen.json;
    });
    authorization.status = this.right ? 'valid' : 'invalid';
    expect(json.status).toBe(authorization.status);
    if (this.right) authorization.expiresAt = path.clock.now() + AUTHORIZATION_VALIDITY;
    else expect(json.challenges[0].error.type).toBe(problem('incorrectResponse'));
    expect(Date.parse(json.expires)).toBe(authorization.expiresAt);
  }
}

class Deactivate implements Command {
  constructor(readonly index: number) {}
  check = hasAuthorizations;
  toString = () => `deactivate(${this.index})`;
  async run(model: Model, { client }: Real): Promise<void> {
    const authorization = pick(model.authorizations, this.index);
    const before = statusOf(authorization);
    const reply = await post(client, authorization.url, { status: 'deactivated' });
    if (before === 'invalid' || before === 'expired')
      return expect(said(reply)).toBe(refused(400, 'malformed'));
    expect(said(reply)).toBe('200 deactivated');
    authorization.status = 'deactivated';
  }
}

/** `same`: as the finalize that was taken. `others`: each with a key of its own. */
type Request = 'good' | 'same' | 'others' | 'wrong names' | 'account key' | 'no CSR';

const MENDABLE: readonly Request[] = ['wrong names', 'account key', 'no CSR'];

function requests(client: AcmeTestClient, order: Order, request: Request, times: number): string[] {
  const one = () => {
    if (request === 'wrong names') return csrFor([...order.names, 'more.localhost']).csr;
    if (request === 'account key') return csrFor(order.names, client.signer.privateKey).csr;
    if (request === 'no CSR') return Buffer.from('3000', 'hex').toString('base64url');
    return csrFor(order.names).csr;
  };
  if (request === 'others') return Array.from({ length: times }, one);
  return Array<string>(times).fill((request === 'same' && order.csr) || one());
}

/** Several times at once: one takes the order, and the others with the same request are told the same. */
class Finalize implements Command {
  constructor(
    readonly index: number,
    readonly request: Request,
    readonly times: number,
  ) {}
  check = hasOrders;
  toString = () => `finalize(${this.index}, ${this.request}, ${this.times} times)`;
  async run(model: Model, real: Real): Promise<void> {
    const order = pick(model.orders, this.index);
    const allowed = next(order);
    const sent = requests(real.client, order, this.request, this.times);
    const replies = await Promise.all(
      sent.map((csr) => post(real.client, order.finalize, { csr })),
    );
    const told = new Set(replies.map(said));
    const late = refused(403, 'orderNotReady');
    if (allowed.includes('ready')) this.#ready(order, sent, replies);
    else if (sent[0] === order.csr && order.status !== 'invalid')
      for (const one of told)
        expect([...allowed.map((status) => `200 ${status}`), late]).toContain(one);
    else expect(told).toEqual(new Set([late]));
    await look(real, order);
  }

  #ready(order: Order, sent: readonly string[], replies: readonly Reply[]): void {
    if (MENDABLE.includes(this.request)) {
      expect(new Set(replies.map(said))).toEqual(new Set([refused(400, 'badCSR')]));
      return;
    }
    order.status = path.caAway ? 'processing' : 'valid';
    const taken = replies.findIndex(({ status }) => status === 200);
    order.csr = sent[taken]!;
    const expected = sent.map((csr) =>
      csr === order.csr ? `200 ${order.status}` : refused(403, 'orderNotReady'),
    );
    expect(replies.map(said)).toEqual(expected);
  }
}

async function restart({ client, stranger }: Real): Promise<void> {
  await path.restart();
  client.disconnect();
  stranger.disconnect();
}

const DURABLE = [
  ...['enroll.finalize', 'ra.request', 'ca.intent', 'keymgr.signature'],
  ...['ca.certificate', 'ra.issued', 'enroll.order-valid'],
];

/** The process ends on the way; the next one finds what was durable. */
class DieFinalizing implements Command {
  constructor(
    readonly index: number,
    readonly step: string,
    readonly moment: 'before' | 'after',
  ) {}
  check = hasOrders;
  toString = () => `die(${this.index}, ${this.moment} ${this.step})`;
  async run(model: Model, real: Real): Promise<void> {
    const order = pick(model.orders, this.index);
    if (!next(order).includes('ready') || path.caAway) return;
    const { csr } = csrFor(order.names);
    let dead = false;
    installFaultHook((step, moment) => {
      dead ||= step === this.step && moment === this.moment;
      if (dead) throw new Error('the power went');
    });
    expect([refused(500, 'serverInternal'), '200 processing']).toContain(
      said(await post(real.client, order.finalize, { csr })),
    );
    await restart(real);
    if (this.step === 'enroll.finalize' && this.moment === 'before') return;
    order.csr = csr;
    order.asked = true;
    order.status = 'processing';
  }
}

class Look implements Command {
  constructor(readonly index: number) {}
  check = hasOrders;
  toString = () => `look(${this.index})`;
  async run(model: Model, real: Real): Promise<void> {
    const order = pick(model.orders, this.index);
    await look(real, order);
    if (order.status === 'valid') await download(real, order);
    expect(said(await post(real.stranger, order.url, ''))).toBe(refused(403, 'unauthorized'));
    for (const authorization of order.authorizations) {
      const { json } = await post(real.client, authorization.url, '');
      expect(json.status).toBe(statusOf(authorization));
    }
  }
}

class Revoke implements Command {
  constructor(
    readonly index: number,
    readonly reason: number,
  ) {}
  check = hasOrders;
  toString = () => `revoke(${this.index}, ${this.reason})`;
  async run(model: Model, real: Real): Promise<void> {
    const order = pick(model.orders, this.index);
    if (order.status !== 'valid') return;
    const { raw } = await download(real, order);
    const url = `${path.url}/acme/revoke-cert`;
    const asked = { certificate: raw.toString('base64url'), reason: this.reason };
    if (path.caAway)
      return expect(said(await post(real.client, url, asked))).toBe(refused(503, 'serverInternal'));
    expect(said(await post(real.stranger, url, asked))).toBe(refused(403, 'unauthorized'));
    const raised = order.reason !== KEY_COMPROMISE && this.reason === KEY_COMPROMISE;
    const done = order.reason === undefined || raised;
    expect(said(await post(real.client, url, asked))).toBe(
      done ? '200' : refused(400, 'alreadyRevoked'),
    );
    if (done) order.reason = this.reason;
  }
}

class Wait implements Command {
  constructor(readonly minutes: number) {}
  check = () => true;
  toString = () => `wait(${this.minutes} min)`;
  async run(): Promise<void> {
    path.clock.advance(this.minutes * MINUTE);
  }
}

class Restart implements Command {
  check = () => true;
  toString = () => 'restart';
  run = (_model: Model, real: Real) => restart(real);
}

/** For all that follows, also for what waits to be completed. */
class CaAway implements Command {
  constructor(readonly away: boolean) {}
  check = () => true;
  toString = () => `the CA is ${this.away ? 'away' : 'back'}`;
  async run({ orders }: Model): Promise<void> {
    path.caAway = this.away;
    if (!this.away) for (const order of orders) order.asked = true;
  }
}

async function newClient(): Promise<AcmeTestClient> {
  const client = acmeTestClient(path);
  expect((await client.newAccount()).status).toBe(201);
  return client;
}

/** The names that were validated under these authorizations, once for each record of it, in order. */
async function provedNames(authorizations: readonly Authorization[]): Promise<string[]> {
  const { rows } = await path.raPool.query<{ name: string }>(
    `SELECT identifier_value AS name FROM validation_evidence
     WHERE authorization_id = ANY ($1) AND outcome = 'valid' ORDER BY identifier_value`,
    [authorizations.map(({ url }) => url.split('/').at(-1))],
  );
  return rows.map(({ name }) => name);
}

/**
 * A valid order has one certificate, and a record of the validation of each of its names; every other order has no certificate:
 * whatever its client was told, and whatever became of the process.
 */
async function compareCertificates({ orders }: Model, real: Real): Promise<void> {
  path.caAway = false;
  for (const order of orders) await look(real, order);
  for (const { url, status, leaf, reason, names, authorizations } of orders) {
    const { rows } = await path.enrollPool.query(
      'SELECT status, request_id FROM order_ WHERE order_id = $1',
      [url.split('/').at(-1)],
    );
    expect(rows).toMatchObject([{ status }]);
    const certificates = await certificatesOf(path.ca, rows[0].request_id);
    const released = certificates.filter(({ certificate }) => certificate !== null);
    expect(released).toHaveLength(status === 'valid' ? 1 : 0);
    if (leaf) expect(released[0]!.certificate).toEqual(leaf.raw);
    if (status !== 'valid') continue;
    expect(released[0]!.status).toBe(reason === undefined ? 'valid' : 'revoked');
    expect(await provedNames(authorizations)).toEqual(names.toSorted());
  }
}

describe('the state machines of orders and authorizations', () => {
  it('keep to their model, whatever a client, the clock and the processes do — covers: T1, T2, T3, T4, T5, T33, T38, T56, L1', async () => {
    const index = fc.constantFrom(0, 0, 0, 0, 1, 1, 2, 3, 7);
    const few = fc.constantFrom(1, 1, 2, 5);
    const names = fc.subarray(NAMES, { minLength: 1 });
    const request = fc.constantFrom<Request>(
      ...(['good', 'good', 'good', 'same', 'others', 'others'] as const),
      ...MENDABLE,
    );
    const step = fc.constantFrom(...DURABLE);
    const moment = fc.constantFrom('before' as const, 'after' as const);
    const newOrder = names.map((some) => new NewOrder(some));
    const right = index.map((i) => new Answer(i, true));
    const finalize = fc.tuple(index, request, few).map((args) => new Finalize(...args));
    await runModel<Model, Real>({
      commands: [
        ...[newOrder, newOrder, right, right, right, right, finalize, finalize, finalize],
        index.map((i) => new Answer(i, false)),
        index.map((i) => new Deactivate(i)),
        fc.tuple(index, step, moment).map((args) => new DieFinalizing(...args)),
        index.map((i) => new Look(i)),
        fc.tuple(index, fc.constantFrom(0, 1, 4)).map((args) => new Revoke(...args)),
        fc.constantFrom(1, 1, 20, 20, 50, 130).map((minutes) => new Wait(minutes)),
        fc.constant(new Restart()),
        fc.boolean().map((away) => new CaAway(away)),
      ],
      maxCommands: 50,
      runs: 10,
      async begin() {
        path.caAway = false;
        const real = { client: await newClient(), stranger: await newClient() };
        return { model: { authorizations: [], orders: [] }, real };
      },
      end: compareCertificates,
    });
    await check(path.ca);
  }, 600_000);
});
