/** What is known of an issued certificate. */
export interface CertificateState {
  readonly status: 'good' | 'revoked';
  /** Unix ms; 0 when good. */
  readonly revokedAt: number;
  /** CRLReason, RFC 5280 §5.3.1; 0 when good or unspecified. */
  readonly reasonCode: number;
  /** Unix ms. */
  readonly notAfter: number;
}

/** A state of one certificate, as told by an event. */
export interface StateChange extends CertificateState {
  readonly issuerId: string;
  /** Lower-case hex. */
  readonly serialNumber: string;
}

/** Which certificate. */
export type CertificateKey = Pick<StateChange, 'issuerId' | 'serialNumber'>;
