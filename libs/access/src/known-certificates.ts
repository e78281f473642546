import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { LRUCache } from 'lru-cache';
import { type Identity, toPrincipal } from './api-key.ts';
import type { ShownCertificate } from './client-certificate.ts';
import type { Principal } from './permissions.ts';

/** A certificate that was accepted, as `auth` is asked about it. */
export interface PresentedCertificate {
  readonly name: string;
  readonly serialNumber: string;
  readonly sha256: string;
  readonly clientIp: string;
}

/** A certificate that was not accepted, is missing, or is of somebody else than the token. */
export interface RefusedCertificate {
  readonly clientIp: string;
  /** Whose the token or API key is, as `user:<id>`; '' where that is not known. */
  readonly actor: string;
  /** Of somebody else than that. */
  readonly certificate?:
    | { readonly actor: string; readonly serialNumber: string; readonly sha256: string }
    | undefined;
}

/** What recognising certificates needs. */
export interface CertificateOptions {
  /** Asks `auth` who that is, and whether the certificate is revoked. Errors: UNAUTHENTICATED, RATE_LIMITED, UNAVAILABLE. */
  identifyCertificate(
    certificate: PresentedCertificate,
  ): Promise<{ readonly identity?: Identity | undefined }>;
  /** Tells `auth` of a certificate that was not accepted, is missing, or is of somebody else than the token. */
  reportCertificate(refused: RefusedCertificate): Promise<unknown>;
  readonly clock: Clock;
}

/** Milliseconds that an answer serves: a user who is disabled, or a certificate that is revoked, is refused within that. */
const MAX_AGE = 10_000;
const MOST = 10_000;

/** Recognises client certificates, each of which `auth` is asked about every ten seconds. */
export function recogniseCertificates(options: CertificateOptions): {
  /** Errors: UNAUTHENTICATED, RATE_LIMITED, UNAVAILABLE. */
  principalOf(shown: ShownCertificate, clientIp: string): Promise<Principal>;
  /** The refusal, once it is told. */
  refusal(
    code: 'UNAUTHENTICATED' | 'FORBIDDEN',
    message: string,
    refused: RefusedCertificate,
  ): Promise<GigvaultError>;
} {
  const { clock } = options;
  const known = new LRUCache<
    string,
    { readonly asked: Promise<Principal>; readonly until: number }
  >({
    max: MOST,
  });

  async function refusal(
    code: 'UNAUTHENTICATED' | 'FORBIDDEN',
    message: string,
    refused: RefusedCertificate,
  ): Promise<GigvaultError> {
    await options.reportCertificate(refused);
    return new GigvaultError(code, message, { details: { reason: 'certificate' } });
  }

  function ask(certificate: PresentedCertificate): Promise<Principal> {
    const { sha256: certificateId } = certificate;
    const found = known.get(certificateId);
    if (found !== undefined && clock.elapsed() < found.until) return found.asked;
    const asked = options.identifyCertificate(certificate).then(({ identity }) => {
      if (identity === undefined) throw new Error('auth has answered nobody');
      return { ...toPrincipal(identity), certificateId };
    });
    known.set(certificateId, { asked, until: clock.elapsed() + MAX_AGE });
    // A refusal, or an outage, is nobody else's.
    asked.catch(() => known.get(certificateId)?.asked === asked && known.delete(certificateId));
    return asked;
  }

  return {
    refusal,
    async principalOf({ name, problem, serialNumber, sha256 }, clientIp) {
      if (name === undefined)
        throw await refusal('UNAUTHENTICATED', `The client certificate ${problem}.`, {
          clientIp,
          actor: '',
        });
      return ask({ name, serialNumber, sha256, clientIp });
    },
  };
}
