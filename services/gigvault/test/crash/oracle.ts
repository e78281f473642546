import type { Acknowledged } from '@gigvault/testkit/check/acknowledged';
import { readCertificate } from '@gigvault/x509/certificate';
import { readCrlDistributionPoints } from '@gigvault/x509/extension-values';
import { OID } from '@gigvault/x509/oid';

/** A certificate as its client knows it. */
export interface KnownCertificate {
  readonly name: string;
  readonly serialNumber: string;
  readonly certificate: Buffer;
  /** The CA certificate that came with it, DER. */
  readonly issuer: Buffer;
  /** Where it says that its CRL is. */
  readonly crlUrl: string;
  /** When the client began to ask for its revocation, Unix ms, and what for. */
  revoking?: { readonly at: number; readonly reasonCode: number };
  /** When the answer came that it is revoked, Unix ms. */
  revokedAt?: number;
}

/** What clients were told: nothing of it may ever be untrue again, whatever dies. */
export interface Oracle {
  issued(name: string, certificate: Buffer, issuer: Buffer): KnownCertificate;
  /** A name that was ordered: at most one certificate may come of it. */
  ordered(name: string): void;
  all(): readonly KnownCertificate[];
  /** For the check against the database. */
  acknowledged(): Acknowledged;
}

/** Starts empty. */
export function createOracle(): Oracle {
  const known: KnownCertificate[] = [];
  const names = new Set<string>();
  return {
    issued(name, certificate, issuer) {
      const { serialNumber, extensions } = readCertificate(certificate);
      const points = extensions.get(OID.crlDistributionPoints)?.value as Buffer;
      const crlUrl = readCrlDistributionPoints(points)[0] as string;
      const entry = { name, serialNumber, certificate, issuer, crlUrl };
      known.push(entry);
      return entry;
    },
    ordered: (name) => void names.add(name),
    all: () => known,
    acknowledged: () => ({
      names: [...names],
      certificates: known.map(({ name, certificate, serialNumber, revoking, revokedAt }) => ({
        name,
        certificate,
        serialNumber,
        ...(revokedAt !== undefined && revoking ? { revokedFor: revoking.reasonCode } : {}),
      })),
    }),
  };
}
