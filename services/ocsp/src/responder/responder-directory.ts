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
  /** Whether a CA that has no responder here may get one: it is public, or nobody has told yet which CAs are. */
  mayCome(name: IssuerName): boolean;
  all(): readonly Responder[];
  /** These are the public CAs, by their certificates, DER; each should have a responder. */
  expect(issuerCertificates: readonly Buffer[]): void;
  /** Adds or replaces the issuer's responder. */
  put(record: ResponderRecord): Responder;
  /** Answers for this CA no more. */
  remove(issuerId: string): void;
}

/** Starts empty. @param keyReplaced told when a responder has another key: what the old one signed must not be served any more */
export function createResponderDirectory(keyReplaced: () => void): ResponderDirectory {
  const byIssuer = new Map<string, Responder>();
  const byHashes = new Map<string, string>();
  let expected: ReadonlySet<string> | undefined;

  function forgetHashes(issuerId: string): void {
    for (const [key, owner] of byHashes) if (owner === issuerId) byHashes.delete(key);
  }

  return {
    find(name) {
      const issuerId = byHashes.get(keyOf(name));
      return issuerId === undefined ? undefined : byIssuer.get(issuerId);
    },
    mayCome: (name) => expected === undefined || expected.has(keyOf(name)),
    all: () => [...byIssuer.values()],
    expect(issuerCertificates) {
      expected = new Set(issuerCertificates.flatMap(keysOf));
    },
    put(record) {
      const responder = toResponder(record);
      forgetHashes(record.issuerId);
      for (const key of keysOf(record.issuerCertificate)) byHashes.set(key, record.issuerId);
      const before = byIssuer.get(record.issuerId);
      byIssuer.set(record.issuerId, responder);
      if (before && before.keyId !== responder.keyId) keyReplaced();
      return responder;
    },
    remove(issuerId) {
      forgetHashes(issuerId);
      byIssuer.delete(issuerId);
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

/** Of each name that a CertID may have for the CA. */
function keysOf(issuerCertificate: Buffer): string[] {
  const hashes = certIdHashes(issuerCertificate);
  const algorithms = ['sha1', 'sha256'] as const;
  return algorithms.map((hashAlgorithm) => keyOf({ hashAlgorithm, ...hashes[hashAlgorithm] }));
}

function keyOf({ hashAlgorithm, issuerNameHash, issuerKeyHash }: IssuerName): string {
  return hashAlgorithm + issuerNameHash.toString('latin1') + issuerKeyHash.toString('latin1');
}
