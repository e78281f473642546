import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { compileTemplate, type Template } from '@gigvault/x509/certificate-template';
import type { CertificateProfile } from '@gigvault/x509/profile';
import { signatureAlgorithm } from '@gigvault/x509/signature';
import type { IssuerRecord, IssuerStore } from '../ports/issuer-store.ts';

/** An issuing CA, ready to issue: parsed once, its templates compiled once a profile. */
export interface Issuer {
  readonly record: IssuerRecord;
  readonly certificate: ParsedCertificate;
  /** AlgorithmIdentifier of what this CA signs, DER. */
  readonly signatureAlgorithm: Buffer;
  /** The leaf's issuer first, the root last. */
  readonly chain: readonly Buffer[];
  templateFor(profile: CertificateProfile): Template;
}

/** The issuers in memory. They never change once they exist, so nothing is ever invalidated. */
export interface IssuerRegistry {
  /** Errors: NOT_FOUND. */
  get(issuerId: string): Promise<Issuer>;
  /** Every issuer of the database, by id. */
  list(): Promise<readonly Issuer[]>;
}

/** @param onLoad is told of each issuer once. */
export function createIssuerRegistry(
  store: IssuerStore,
  onLoad: (issuer: Issuer) => void = () => undefined,
): IssuerRegistry {
  const loaded = new Map<string, Issuer>();

  function load(record: IssuerRecord): Issuer {
    const known = loaded.get(record.issuerId);
    if (known) return known;
    const issuer = toIssuer(record);
    loaded.set(record.issuerId, issuer);
    onLoad(issuer);
    return issuer;
  }

  return {
    async get(issuerId) {
      const known = loaded.get(issuerId);
      if (known) return known;
      const record = await store.find(issuerId);
      if (record) return load(record);
      throw new GigvaultError('NOT_FOUND', `Issuer '${issuerId}' does not exist.`, {
        details: { issuerId },
      });
    },
    list: async () => (await store.list()).map(load),
  };
}

/** Parses the issuer's certificate. Errors: what readCertificate throws. */
export function toIssuer(record: IssuerRecord): Issuer {
  const certificate = readCertificate(record.certificate);
  const { keyType } = certificate.publicKey;
  const templates = new Map<CertificateProfile, Template>();
  return {
    record,
    certificate,
    signatureAlgorithm: signatureAlgorithm(keyType),
    chain: [record.certificate, ...record.chain],
    templateFor(profile) {
      const compiled = templates.get(profile);
      if (compiled) return compiled;
      const template = compileTemplate(profile, { ...record, keyType });
      templates.set(profile, template);
      return template;
    },
  };
}
