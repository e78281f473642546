import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { AcmeClient } from '@gigvault/testkit/acme-client';
import { createAcmeClient } from '@gigvault/testkit/acme-client';
import { connect } from '@gigvault/testkit/check-pki';
import { startHttp01Responder } from '@gigvault/testkit/http-01-responder';
import { type HttpAnswer, type HttpClient, httpClient } from '@gigvault/testkit/http-client';
import type { PkiProcess } from '@gigvault/testkit/pki-process';
import { fromPem } from '@gigvault/x509/pem';
import type { ClientConfig } from 'pg';

/** What a client has in hand: nobody may take it back. */
interface Acknowledged {
  readonly name: string;
  readonly der: Buffer;
  /** Its revocation was acknowledged as well. */
  revoked: boolean;
}

/** ACME clients that go on for ever, and never give up what got no answer. */
export interface AcmeLoad {
  /** Certificates that clients have downloaded so far. */
  count(): number;
  /** Resolves with the milliseconds until a client has a certificate whose order was not begun when this was called. */
  next(): Promise<number>;
  /** Answers that no client should see: errors of the server other than 503 with Retry-After, and refusals. */
  readonly surprises: readonly string[];
  /** How many requests were answered with 503 or 429 and Retry-After. */
  turnedAway(): number;
  /** How many got no answer. */
  unanswered(): number;
  /** Lets every client finish what it is at. Rejects when one had to give up. */
  stop(): Promise<void>;
  /** What was acknowledged and is not in the database. */
  lost(database?: ClientConfig): Promise<string[]>;
}

/** Milliseconds for which a request is sent again. */
const PATIENCE = 60_000;
/** Every so many certificates, one is revoked. */
const REVOKED = 5;

/** Starts `clients` of them, an account each. Resolves when each has its first certificate. */
export async function startAcmeLoad(pki: PkiProcess, clients: number): Promise<AcmeLoad> {
  const plain = httpClient(readFileSync(pki.rootFile));
  const seen = observe(plain);
  const responder = await startHttp01Responder(pki.ports.http01);
  const acknowledged: Acknowledged[] = [];
  const waiting = new Set<(begunAt: number) => void>();
  let stopping = false;

  async function client(number: number, begun: () => void): Promise<void> {
    const { publicUrl } = pki;
    const acme = await createAcmeClient({
      http: seen.http,
      publicUrl,
      responder,
      patience: PATIENCE,
    });
    for (let i = 0; !stopping; i++) {
      const name = `c${number}-${i}-${process.pid}.localhost`;
      const begunAt = performance.now();
      const [der] = fromPem(await acme.certificate([name]), 'CERTIFICATE');
      const own: Acknowledged = { name, der: der as Buffer, revoked: false };
      acknowledged.push(own);
      for (const wake of waiting) wake(begunAt);
      begun();
      if (i % REVOKED === 1) await revoke(acme, own);
    }
  }

  const first = Array.from({ length: clients }, () => Promise.withResolvers<void>());
  const running = first.map(({ resolve, reject }, number) => {
    const run = client(number, resolve);
    run.catch(reject);
    return run;
  });
  const end = async () => {
    stopping = true;
    const results = await Promise.allSettled(running);
    await responder.stop();
    plain.close();
    return results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  };
  try {
    await Promise.all(first.map(({ promise }) => promise));
  } catch (error) {
    await end();
    throw error;
  }
  return {
    count: () => acknowledged.length,
    next() {
      const start = performance.now();
      return new Promise((resolve) => {
        const wake = (begunAt: number) => {
          if (begunAt < start) return;
          waiting.delete(wake);
          resolve(performance.now() - start);
        };
        waiting.add(wake);
      });
    },
    surprises: seen.surprises,
    turnedAway: seen.turnedAway,
    unanswered: seen.unanswered,
    async stop() {
      const [failure] = await end();
      if (failure) throw failure;
    },
    lost: (database) => lost(acknowledged, pki, database),
  };
}

/** A second time hears that it is done already: the answer to the first was lost. */
async function revoke(acme: AcmeClient, own: Acknowledged): Promise<void> {
  const { status, text } = await acme.revoke(own.der, 4);
  if (status !== 200 && !text.includes('alreadyRevoked')) throw new Error(`${status}: ${text}`);
  own.revoked = true;
}

/** Passes requests on and notes which answers are none that a client can live with. */
export function observe({ fetch, close }: HttpClient) {
  const surprises: string[] = [];
  let turnedAway = 0;
  let unanswered = 0;
  const note = (url: string, { status, headers, text }: HttpAnswer) => {
    const isRetryable = status === 503 || status === 429;
    if (isRetryable && Number(headers['retry-after']) > 0) turnedAway++;
    else if (status >= 400 && !/acme:error:(badNonce|alreadyRevoked)/.test(text))
      surprises.push(`${status} ${new URL(url).pathname}: ${text}`);
  };
  const http: HttpClient = {
    async fetch(url, question) {
      try {
        const answer = await fetch(url, question);
        note(url, answer);
        return answer;
      } catch (error) {
        unanswered++;
        throw error;
      }
    },
    close,
  };
  return {
    http,
    surprises: surprises as readonly string[],
    turnedAway: () => turnedAway,
    unanswered: () => unanswered,
  };
}

async function lost(
  acknowledged: readonly Acknowledged[],
  pki: PkiProcess,
  server?: ClientConfig,
): Promise<string[]> {
  const database = await connect(pki, server);
  try {
    const { rows } = await database.query<{ certificate: Buffer | null; status: string }>(
      'SELECT certificate, status FROM ca.certificate WHERE certificate IS NOT NULL',
    );
    const kept = new Map(rows.map((row) => [row.certificate?.toString('hex'), row.status]));
    return acknowledged.flatMap(({ name, der, revoked }) => {
      const status = kept.get(der.toString('hex'));
      if (status === (revoked ? 'revoked' : 'valid')) return [];
      // A revocation that was sent and not acknowledged may have happened.
      if (status === 'revoked') return [];
      const { serialNumber } = new X509Certificate(der);
      return [`${name} (${serialNumber}), revoked: ${revoked}, is ${status ?? 'not there'}`];
    });
  } finally {
    await database.end();
  }
}
