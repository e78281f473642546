import { LRUCache } from 'lru-cache';
import type { CertificateKey } from '../ports/certificate-state.ts';

/** What one certificate's answer says. */
export type Outcome = 'good' | 'revoked' | 'unknown';

/** A signed answer without nonce, about one certificate. Times are Unix ms. */
export interface SignedResponse {
  /** OCSPResponse, DER. */
  readonly response: Buffer;
  readonly outcome: Outcome;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Half of the validity: from here on a new one is signed. */
  readonly refreshAt: number;
}

/** Signed answers by certificate and by the form in which it is asked for. */
export interface ResponseCache {
  /** The cached answer, fit to be served or not. */
  get(key: CertificateKey, certId: Buffer): SignedResponse | undefined;
  /** False when a change may have been missed since this answer was kept. */
  isTrusted(answer: SignedResponse): boolean;
  /** Runs `make` once for all who ask meanwhile, and keeps the result unless the certificate changed meanwhile. */
  produce(key: CertificateKey, certId: Buffer, make: Make): Promise<SignedResponse>;
  /** Forgets the kept answers of a certificate; what is being made will be kept. */
  forget(key: CertificateKey): void;
  /** Forgets these certificates' answers, also those that are being made. */
  purge(keys: readonly CertificateKey[]): void;
  /** Trusts nothing that is kept or being made now: some change may have been missed. */
  distrust(): void;
  /** Forgets everything. */
  clear(): void;
}

/** SHA-1 and SHA-256, each with NULL or absent parameters. */
const MAX_FORMS = 4;

type Forms<T> = Map<string, T>;
type Make = () => Promise<SignedResponse>;

/** A cache of at most `maxBytes` octets of responses, the least recently used dropped first. */
export function createResponseCache(maxBytes: number): ResponseCache {
  const entries = new LRUCache<string, Forms<SignedResponse>>({
    maxSize: Math.max(1, maxBytes),
    sizeCalculation: (forms) => [...forms.values()].reduce((n, r) => n + r.response.length, 0) || 1,
  });
  const flights = new Map<string, Forms<Promise<SignedResponse>>>();
  let trusted = new WeakSet<SignedResponse>();

  function land(key: string, form: string, flight: Promise<SignedResponse>): boolean {
    const open = flights.get(key);
    // A purge has removed the flight: its answer may be from before the change.
    if (open?.get(form) !== flight) return false;
    open.delete(form);
    if (open.size === 0) flights.delete(key);
    return true;
  }

  function keep(key: string, form: string, answer: SignedResponse): void {
    // Who was never issued may be issued a moment later.
    if (answer.outcome === 'unknown') return;
    const forms = new Map(entries.peek(key));
    if (forms.size >= MAX_FORMS) forms.clear();
    entries.set(key, forms.set(form, answer));
    trusted.add(answer);
  }

  function fly(key: string, form: string, make: Make): Promise<SignedResponse> {
    const flight = make().then(
      (answer) => {
        if (land(key, form, flight)) keep(key, form, answer);
        return answer;
      },
      (error) => {
        land(key, form, flight);
        throw error;
      },
    );
    const open = flights.get(key) ?? new Map<string, Promise<SignedResponse>>();
    flights.set(key, open.set(form, flight));
    return flight;
  }

  return {
    get: (key, certId) => entries.get(keyOf(key))?.get(certId.toString('latin1')),
    isTrusted: (answer) => trusted.has(answer),
    produce(certificate, certId, make) {
      const key = keyOf(certificate);
      const form = certId.toString('latin1');
      return flights.get(key)?.get(form) ?? fly(key, form, make);
    },
    forget: (key) => void entries.delete(keyOf(key)),
    purge(keys) {
      for (const certificate of keys) {
        entries.delete(keyOf(certificate));
        flights.delete(keyOf(certificate));
      }
    },
    distrust() {
      trusted = new WeakSet();
      flights.clear();
    },
    clear() {
      entries.clear();
      flights.clear();
    },
  };
}

function keyOf(key: CertificateKey): string {
  return `${key.issuerId}/${key.serialNumber}`;
}
