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

/** The certificate profiles in force. */
export interface Profiles {
  /** SHA-256 (hex) of a profile that enrolment protocols may use; undefined when there is none of that name. */
  hashOf(profile: string): Promise<string | undefined>;
}
