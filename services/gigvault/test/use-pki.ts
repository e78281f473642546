import { readFileSync } from 'node:fs';
import { type AcmeClient, createAcmeClient } from '@gigvault/testkit/acme-client';
import { checkPki } from '@gigvault/testkit/check-pki';
import { type Http01Responder, startHttp01Responder } from '@gigvault/testkit/http-01-responder';
import { type HttpClient, httpClient } from '@gigvault/testkit/http-client';
import { type Mode, type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { afterAll, beforeAll, expect } from '@jest/globals';

/** Milliseconds for a whole PKI to start, with a machine that is busy otherwise. */
export const START_TIMEOUT = 120_000;

/** And to be re-verified: each certificate is read by several programs, and a load makes thousands. */
const CHECK_TIMEOUT = 5 * START_TIMEOUT;

/** Revocations are on the CRL at once: for scenarios that are not about the time that this may take. */
export const QUICK_CRL = ['--crl-coalesce', '200ms'];

/** What the tests of one block share. */
export interface SharedPki {
  readonly pki: PkiProcess;
  /** Trusts the root. */
  readonly http: HttpClient;
}

/** One PKI for all tests of a `describe`: started before them, re-verified and ended after them. */
export function usePki(mode: Mode, ...flags: string[]): SharedPki {
  let pki: PkiProcess | undefined;
  let http: HttpClient | undefined;

  beforeAll(async () => {
    pki = await startPki(mode, ...flags);
    http = httpClient(readFileSync(pki.rootFile));
  }, START_TIMEOUT);

  afterAll(async () => {
    try {
      if (pki) expect((await checkPki(pki)).findings).toEqual([]);
    } finally {
      http?.close();
      await pki?.dispose();
    }
  }, CHECK_TIMEOUT);

  return {
    get pki() {
      return started(pki);
    },
    get http() {
      return started(http);
    },
  };
}

/** A new ACME account whose challenges are answered; `stop` lets go of the port. */
export async function startAcmeClient(
  { pki, http }: SharedPki,
  patience = 0,
): Promise<{ client: AcmeClient; responder: Http01Responder }> {
  const responder = await startHttp01Responder(pki.ports.http01);
  try {
    const { publicUrl } = pki;
    return { client: await createAcmeClient({ http, publicUrl, responder, patience }), responder };
  } catch (error) {
    await responder.stop();
    throw error;
  }
}

function started<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the PKI is not started yet: ask inside of a test');
  return value;
}
