/** A certificate's row. All times are Unix milliseconds. */
export interface CertificateRecord {
  readonly issuerId: string;
  readonly serialNumber: string;
  /** DER; undefined for a serial number whose certificate was never released. */
  readonly certificate: Buffer | undefined;
  readonly requestId: string;
  readonly commonName: string;
  readonly names: readonly string[];
  readonly profile: string;
  readonly requester: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly crlShard: number;
  readonly status: 'valid' | 'revoked';
  readonly issuedAt: number;
  readonly revokedAt: number | undefined;
  readonly reasonCode: number | undefined;
}

/** What OCSP needs of a certificate. */
export type CertificateStatusRecord = Pick<
  CertificateRecord,
  'serialNumber' | 'status' | 'revokedAt' | 'reasonCode' | 'notAfter'
>;

/** Where a page ends; the next begins after it. */
export interface PagePosition {
  /** Unix milliseconds: by what the list is ordered, see `list`. */
  readonly at: number;
  readonly serialNumber: string;
  readonly issuerId: string;
}

/** Which certificates to list. Undefined means any. */
export interface CertificateFilter {
  readonly status?: 'valid' | 'revoked' | 'expired' | undefined;
  readonly commonName?: string | undefined;
  readonly requester?: string | undefined;
  /** Unix milliseconds: `expired` is computed against it. */
  readonly now: number;
}

/** Reads of the certificate database. */
export interface CertificateStore {
  /** All certificates with this serial number; of every issuer when `issuerId` is undefined. */
  findBySerialNumber(
    serialNumber: string,
    issuerId: string | undefined,
  ): Promise<readonly CertificateRecord[]>;
  /** Newest first, by `issuedAt`; what has expired by `notAfter`. */
  list(
    filter: CertificateFilter,
    after: PagePosition | undefined,
    limit: number,
  ): Promise<readonly CertificateRecord[]>;
  /** Of those that exist. @param issuerId empty for any */
  statusOf(
    issuerId: string,
    serialNumbers: readonly string[],
  ): Promise<readonly CertificateStatusRecord[]>;
}
