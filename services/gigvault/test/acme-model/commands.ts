import { readJwk } from '@gigvault/enroll/jws/jwk';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { eventually } from '@gigvault/testkit/eventually';
import type { ModelCommand } from '@gigvault/testkit/model-run';
import { expect } from '@jest/globals';
import { type AcmeTestClient, csrFor, type Reply } from '../../../enroll/test/acme-test-client.ts';
import {
  AUTHORIZATION_VALIDITY,
  type Authorization,
  download,
  look,
  MINUTE,
  type Model,
  next,
  ORDER_LIFETIME,
  type Order,
  PENDING_VALIDITY,
  path,
  pick,
  post,
  problem,
  REUSE_MARGIN,
  type Real,
  refused,
  said,
  statusOf,
} from './model.ts';

const KEY_COMPROMISE = 1;

type Command = ModelCommand<Model, Real>;
const hasOrders = ({ orders }: Readonly<Model>) => orders.length > 0;
const hasAuthorizations = ({ authorizations }: Readonly<Model>) => authorizations.length > 0;

export class NewOrder implements Command {
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
export class Answer implements Command {
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

export class Deactivate implements Command {
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
export type Request = 'good' | 'same' | 'others' | 'wrong names' | 'account key' | 'no CSR';

export const MENDABLE: readonly Request[] = ['wrong names', 'account key', 'no CSR'];

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
export class Finalize implements Command {
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

export const DURABLE = [
  ...['enroll.finalize', 'ra.request', 'ca.intent', 'keymgr.signature'],
  ...['ca.certificate', 'ra.issued', 'enroll.order-valid'],
];

/** The process ends on the way; the next one finds what was durable. */
export class DieFinalizing implements Command {
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

export class Look implements Command {
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

export class Revoke implements Command {
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

export class Wait implements Command {
  constructor(readonly minutes: number) {}
  check = () => true;
  toString = () => `wait(${this.minutes} min)`;
  async run(): Promise<void> {
    path.clock.advance(this.minutes * MINUTE);
  }
}

export class Restart implements Command {
  check = () => true;
  toString = () => 'restart';
  run = (_model: Model, real: Real) => restart(real);
}

/** For all that follows, also for what waits to be completed. */
export class CaAway implements Command {
  constructor(readonly away: boolean) {}
  check = () => true;
  toString = () => `the CA is ${this.away ? 'away' : 'back'}`;
  async run({ orders }: Model): Promise<void> {
    path.caAway = this.away;
    if (!this.away) for (const order of orders) order.asked = true;
  }
}
