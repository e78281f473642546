import type { Certificate } from '@gigvault/proto/ca/v1/certificate';

/** The certificates that the CA has issued. */
export interface Certificates {
  /** Errors: CERTIFICATE_NOT_FOUND. */
  get(serialNumber: string): Promise<Certificate>;
  /** Errors: ALREADY_REVOKED, BAD_REVOCATION_REASON. */
  revoke(revocation: {
    readonly serialNumber: string;
    readonly issuerId: string;
    readonly reasonCode: number;
    readonly actor: string;
  }): Promise<void>;
}

/** What an order must know of its profile. */
export interface OrderProfile {
  /** SHA-256 (hex). */
  readonly profileHash: string;
  /** Milliseconds. */
  readonly maxValidity: number;
  /** Milliseconds that a wanted notBefore may lie before now. */
  readonly backdate: number;
}

/** The certificate profiles in force. */
export interface Profiles {
  /** A profile that enrolment protocols may use; undefined when there is none of that name. */
  find(profile: string): Promise<OrderProfile | undefined>;
}
