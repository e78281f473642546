import { X509Certificate } from 'node:crypto';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { afterAll, afterEach, beforeAll, expect } from '@jest/globals';
import type { AcmeTestClient, Reply } from '../../../enroll/test/acme-test-client.ts';
import { type AcmePath, startAcmePath } from '../acme-path.ts';

export const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Above the hour that a reused authorization must still last, so that there are some too old for that. */
export const AUTHORIZATION_VALIDITY = 5 * HOUR;
export const PENDING_VALIDITY = 3 * HOUR;
export const ORDER_LIFETIME = 2 * HOUR;
export const REUSE_MARGIN = HOUR;

/** RFC 8555 §7.1.6, as far as it is kept: `expired` is a matter of the clock. */
export interface Authorization {
  readonly url: string;
  readonly name: string;
  readonly challenge: string;
  status: 'pending' | 'valid' | 'invalid' | 'deactivated';
  expiresAt: number;
}

export interface Order {
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
export interface Model {
  readonly authorizations: Authorization[];
  readonly orders: Order[];
}

/** The clients of one run: every run has accounts of its own. */
export interface Real {
  readonly client: AcmeTestClient;
  readonly stranger: AcmeTestClient;
}

/** What all of it walks on, once useAcmePath has started it. */
export let path: AcmePath;

/** Starts the path before the tests of a file, and stops it after them. */
export function useAcmePath(): void {
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
}

/** Posts once more with a fresh nonce when the process that had given out the first is gone (RFC 8555 §6.5). */
export async function post(client: AcmeTestClient, url: string, payload: unknown): Promise<Reply> {
  const reply = await client.post(url, payload);
  if (reply.json.type !== problem('badNonce')) return reply;
  return client.post(url, payload, { nonce: String(reply.headers['replay-nonce']) });
}

export const problem = (type: string) => `urn:ietf:params:acme:error:${type}`;

export function said({ status, json }: Reply): string {
  return status < 400 ? `${status} ${json.status ?? ''}`.trim() : `${status} ${json.type}`;
}

export const refused = (status: number, type: string) => `${status} ${problem(type)}`;

/** @param index 0 is the newest */
export function pick<T>(all: readonly T[], index: number): T {
  return all.at(-1 - (index % all.length))!;
}

export function statusOf({ status, expiresAt }: Authorization): string {
  const over = (status === 'pending' || status === 'valid') && expiresAt <= path.clock.now();
  return over ? 'expired' : status;
}

/** What the next look at an order may find: one status, or two where it depends on how far the RA had come. */
export function next(order: Order): readonly Order['status'][] {
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
export async function look({ client }: Real, order: Order): Promise<void> {
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
export async function download({ client }: Real, order: Order): Promise<X509Certificate> {
  const { json } = await post(client, order.url, '');
  const { status, text } = await post(client, json.certificate, '');
  expect(status).toBe(200);
  const leaf = new X509Certificate(text);
  expect(leaf.subjectAltName).toBe(order.names.map((name) => `DNS:${name}`).join(', '));
  order.leaf ??= leaf;
  expect(leaf.raw).toEqual(order.leaf.raw);
  return leaf;
}
