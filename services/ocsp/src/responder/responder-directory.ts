import type { KeyObject } from 'node:crypto';
import { readCertificate } from '@gigvault/x509/certificate';
import { type CertIdHash, certIdHashes, type IssuerHashes } from '@gigvault/x509/ocsp';
import { signatureAlgorithm } from '@gigvault/x509/signature';
import type { ResponderRecord } from '../ports/responder-store.ts';

/** A responder certificate, ready to sign with. */
export interface Responder {
  readonly issuerId: string;
  /** Of the certificate, lower-case hex. */
  readonly serialNumber: string;
  readonly keyId: string;
  /** The delegated certificate, DER: stands in every response. */
  readonly certificate: Buffer;
  /** SHA-1 of the responder's key: the ResponderID. */
  readonly responderKeyHash: Buffer;
  /** AlgorithmIdentifier, DER. */
  readonly algorithm: Buffer;
  readonly publicKey: KeyObject;
  /** Unix ms. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** The issuer as a CertID names it. */
export type IssuerName = IssuerHashes & { readonly hashAlgorithm: CertIdHash };

/** The responders of this process, by the hashes of their CA. */
export interface ResponderDirectory {
  /** Undefined for a CA that this service does not answer for. */
  find(name: IssuerName): Responder | undefined;
  all(): readonly Responder[];
  /** Adds or replaces the issuer's responder. */
  put(record: ResponderRecord): Responder;
}

/** Starts empty. @param keyReplaced told when a responder has another key: what the old one signed must not be served any more */
export function createResponderDirectory(keyReplaced: () => void): ResponderDirectory {
  const byIssuer = new Map<string, Responder>();
  const byHashes = new Map<string, string>();
  return {
    find(name) {
      const issuerId = byHashes.get(keyOf(name));
      return issuerId === undefined ? undefined : byIssuer.get(issuerId);
    },
    all: () => [...byIssuer.values()],
    put(record) {
      const responder = toResponder(record);
      const hashes = certIdHashes(record.issuerCertificate);
      for (const [key, issuerId] of byHashes) {
        if (issuerId === record.issuerId) byHashes.delete(key);
      }
      for (const hashAlgorithm of ['sha1', 'sha256'] as const) {
        byHashes.set(keyOf({ hashAlgorithm, ...hashes[hashAlgorithm] }), record.issuerId);
      }
      const before = byIssuer.get(record.issuerId);
      byIssuer.set(record.issuerId, responder);
      if (before && before.keyId !== responder.keyId) keyReplaced();
      return responder;
    },
  };
}

function toResponder(record: ResponderRecord): Responder {
  const { publicKey, serialNumber } = readCertificate(record.certificate);
  return {
    issuerId: record.issuerId,
    serialNumber,
    keyId: record.keyId,
    certificate: record.certificate,
    responderKeyHash: publicKey.keyIdentifier,
    algorithm: signatureAlgorithm(publicKey.keyType),
    publicKey: publicKey.keyObject,
    notBefore: record.notBefore,
    notAfter: record.notAfter,
  };
}

function keyOf({ hashAlgorithm, issuerNameHash, issuerKeyHash }: IssuerName): string {
  return hashAlgorithm + issuerNameHash.toString('latin1') + issuerKeyHash.toString('latin1');
}
