import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { type AcmeConnection, openAcmeConnection, type Refusal } from './acme-connection.ts';
import { type ChallengeResponder, startChallengeResponder } from './challenge-responder.ts';
import type { Load } from './loads.ts';

/** Which server, and how it is to be asked. */
export interface AcmeSetup {
  /** As `https://localhost:8443/acme/directory`. */
  readonly directory: string;
  /** PEM file; absent: the server's certificate is not verified. */
  readonly rootFile?: string;
  /** Where the server's http-01 validations arrive. */
  readonly http01Port: number;
  /** The one name of every order; absent: each order of an account has another, below `localhost`. */
  readonly name?: string;
}

/** Names with their certification requests, made beforehand; an account uses each once. */
const REQUESTS = 2_000;
/** Milliseconds between questions about what is being worked on. */
const SHORTEST_PAUSE = 5;
const LONGEST_PAUSE = 80;

interface Order {
  readonly status: string;
  readonly authorizations: readonly string[];
  readonly finalize: string;
  readonly certificate?: string;
}

/** What newOrder answers. */
export interface BegunOrder {
  readonly body: Order;
  readonly location: string;
}

interface Authorization {
  readonly status: string;
  readonly challenges: readonly {
    readonly type: string;
    readonly url: string;
    readonly token: string;
  }[];
}

/**
 * Full http-01 issuance (RFC 8555 §7.1): order, authorization, challenge, its result, finalize, the order's end, download.
 * Every client has an account and a connection of its own.
 */
export async function acmeLoad(setup: AcmeSetup): Promise<Load> {
  const responder = await startChallengeResponder(setup.http01Port);
  const requestOf = requestsFor(setup.name);
  const options = {
    directory: setup.directory,
    ...(setup.rootFile === undefined ? {} : { ca: readFileSync(setup.rootFile, 'utf8') }),
  };
  const clients: { connection: AcmeConnection; orders: number }[] = [];
  return {
    async prepare(count) {
      while (clients.length < count)
        clients.push({ connection: await openAcmeConnection(options), orders: 0 });
    },
    async operation(index) {
      const client = clients[index] as (typeof clients)[number];
      await issue(client.connection, responder, requestOf(client.orders++));
    },
  };
}

async function issue(
  acme: AcmeConnection,
  responder: ChallengeResponder,
  { name, csr }: { readonly name: string; readonly csr: string },
): Promise<void> {
  await finish(acme, responder, await beginInTurn(acme, name), csr);
}

/** Comes back when it is told to. */
async function beginInTurn(acme: AcmeConnection, name: string): Promise<BegunOrder> {
  for (;;) {
    try {
      return await begin(acme, name);
    } catch (error) {
      const { retryAfter } = ((error as Error).cause ?? {}) as Partial<Refusal>;
      if (retryAfter === undefined) throw error;
      await pause(retryAfter * 1_000);
    }
  }
}

/** A new order. */
export function begin(acme: AcmeConnection, name: string): Promise<BegunOrder> {
  return acme.post<Order>(acme.newOrder, { identifiers: [{ type: 'dns', value: name }] });
}

/** From a new order to the download of its certificate. */
export async function finish(
  acme: AcmeConnection,
  responder: ChallengeResponder,
  { body: order, location }: BegunOrder,
  csr: string,
): Promise<void> {
  const [url = ''] = order.authorizations;
  const { body: authorization } = await acme.post<Authorization>(url, '');
  const challenge = authorization.challenges.find(({ type }) => type === 'http-01');
  if (challenge === undefined) throw new Error(`no http-01: ${JSON.stringify(authorization)}`);
  // Pebble uses an authorization of the same name again now and then; nobody else does here.
  if (authorization.status === 'pending') {
    responder.put(challenge.token, `${challenge.token}.${acme.thumbprint}`);
    await acme.post(challenge.url, {});
    await until<Authorization>(acme, url, ['valid']);
    responder.remove(challenge.token);
  }
  await acme.post(order.finalize, { csr });
  const { certificate = '' } = await until<Order>(acme, location, ['valid']);
  const pem = await acme.download(certificate);
  if (!pem.startsWith('-----BEGIN CERTIFICATE-----')) throw new Error(`no certificate: ${pem}`);
}

/** Asks at least once, as clients do, whatever the answer before said. */
async function until<T extends { readonly status: string }>(
  acme: AcmeConnection,
  url: string,
  good: readonly string[],
): Promise<T> {
  for (let wait = SHORTEST_PAUSE; ; wait = Math.min(2 * wait, LONGEST_PAUSE)) {
    const { body } = await acme.post<T>(url, '');
    if (good.includes(body.status)) return body;
    if (body.status === 'invalid') throw new Error(`${url}: ${JSON.stringify(body)}`);
    await pause(wait);
  }
}

/** Names with their certification requests, by number. @param fixed the one name of all; absent: each has its own */
export function requestsFor(fixed: string | undefined) {
  const make = (n: number) => {
    const name = fixed ?? `n${n}.localhost`;
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const subjectAltName = [{ type: 'dns' as const, value: name }];
    const der = buildCertificationRequest({ privateKey, subject: [], subjectAltName });
    return { name, csr: der.toString('base64url') };
  };
  const made = Array.from({ length: REQUESTS }, (_, n) => make(n));
  return (n: number) => {
    made[n] ??= make(n);
    return made[n];
  };
}
