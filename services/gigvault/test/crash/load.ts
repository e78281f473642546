import { type AcmeClient, createAcmeClient } from '@gigvault/testkit/acme-client';
import type { Http01Responder } from '@gigvault/testkit/http-01-responder';
import type { HttpClient } from '@gigvault/testkit/http-client';
import type { PkiProcess } from '@gigvault/testkit/pki-process';
import { systemClock } from '@gigvault/time/clock';
import { fromPem } from '@gigvault/x509/pem';
import type { KnownCertificate, Oracle } from './oracle.ts';
import { askCrl, askOcsp, type RelyingParty } from './relying-party.ts';

/** What the load works on. */
export interface LoadOptions {
  readonly pki: PkiProcess;
  /** Trusts the root. */
  readonly http: HttpClient;
  readonly responder: Http01Responder;
  readonly oracle: Oracle;
  readonly relyingParty: RelyingParty;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Whatever went wrong for a client. */
  readonly found: (finding: string) => void;
}

/** Clients at work. */
export interface Load {
  /** Resolves when nobody is in the middle of something; they wait until `resume`. */
  pause(): Promise<void>;
  resume(): void;
  /** Ends it for good. */
  stop(): Promise<void>;
}

const ISSUING_CLIENTS = 3;
/** Milliseconds at most between two certificates of one client. */
const ISSUING_PAUSE = 300;
const ASKING_PAUSE = 40;
/** Milliseconds for which a client sends again what was not answered. */
export const PATIENCE = 60_000;
/** One certificate in so many is revoked, and one of these in so many because its key is known to others. */
const REVOKE_EVERY = 3;
const COMPROMISE_EVERY = 5;
const SUPERSEDED = 4;
const KEY_COMPROMISE = 1;

/** ACME clients that order, prove, finalize, download and revoke, and relying parties that ask OCSP and fetch the CRL. */
export async function startLoad(options: LoadOptions): Promise<Load> {
  const { pki, http, responder, oracle, relyingParty, random, found } = options;
  const gate = createGate(ISSUING_CLIENTS + 1);
  const { publicUrl } = pki;
  const accounts = await Promise.all(
    Array.from({ length: ISSUING_CLIENTS }, () =>
      createAcmeClient({ http, publicUrl, responder, patience: PATIENCE }),
    ),
  );

  async function issuing(client: AcmeClient, id: number): Promise<void> {
    for (let n = 1; await gate.pass(); n++) {
      const certificate = await orderCertificate(client, oracle, `c${id}-${n}.localhost`);
      if (n % REVOKE_EVERY === 0) await revoke(client, certificate, n, found);
      await systemClock.sleep(random() * ISSUING_PAUSE);
    }
  }

  async function asking(): Promise<void> {
    while (await gate.pass()) {
      const known = oracle.all();
      const one = known[Math.floor(random() * known.length)];
      if (one) await askOcsp(relyingParty, one);
      if (one && random() < 0.2) await askCrl(relyingParty, one.crlUrl, known);
      await systemClock.sleep(ASKING_PAUSE);
    }
  }

  /** A client that gives up is a finding, and the others go on. */
  const running = [...accounts.map((client, i) => () => issuing(client, i)), asking].map(
    async (work) => {
      try {
        await work();
      } catch (error) {
        found(`a client gave up: ${(error as Error).stack}`);
      } finally {
        gate.leave();
      }
    },
  );
  return {
    pause: gate.close,
    resume: gate.open,
    async stop() {
      await gate.end();
      await Promise.all(running);
    },
  };
}

/** From the order to the download; the certificate is known to the oracle then. */
export async function orderCertificate(
  client: AcmeClient,
  oracle: Oracle,
  name: string,
): Promise<KnownCertificate> {
  oracle.ordered(name);
  const [leaf, issuer] = fromPem(await client.certificate([name]), 'CERTIFICATE');
  return oracle.issued(name, leaf as Buffer, issuer as Buffer);
}

async function revoke(
  client: AcmeClient,
  certificate: KnownCertificate,
  n: number,
  found: (finding: string) => void,
): Promise<void> {
  const isCompromised = n % (REVOKE_EVERY * COMPROMISE_EVERY) === 0;
  const reasonCode = isCompromised ? KEY_COMPROMISE : SUPERSEDED;
  certificate.revoking = { at: systemClock.now(), reasonCode };
  const answer = await client.revoke(certificate.certificate, reasonCode);
  // A client that sends again what was not answered hears that it is done already.
  const isDone = answer.status === 200 || answer.text.includes('acme:error:alreadyRevoked');
  if (isDone) certificate.revokedAt = systemClock.now();
  else found(`revoking ${certificate.name} was answered ${answer.status}: ${answer.text}`);
}

/** Where workers wait between two pieces of work. */
function createGate(count: number) {
  let workers = count;
  const waiting: ((goOn: boolean) => void)[] = [];
  let isOpen = true;
  let hasEnded = false;
  let allWait = Promise.withResolvers<void>();

  const look = () => {
    if (!isOpen && waiting.length === workers) allWait.resolve();
  };
  function close(): Promise<void> {
    isOpen = false;
    allWait = Promise.withResolvers();
    look();
    return allWait.promise;
  }
  function open(): void {
    isOpen = true;
    for (const goOn of waiting.splice(0)) goOn(!hasEnded);
  }
  return {
    pass(): Promise<boolean> {
      if (isOpen) return Promise.resolve(!hasEnded);
      return new Promise((resolve) => {
        waiting.push(resolve);
        look();
      });
    },
    leave() {
      workers--;
      look();
    },
    close,
    open,
    async end() {
      hasEnded = true;
      open();
    },
  };
}
