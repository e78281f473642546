import type { IssueCertificateRequest, IssuedCertificate } from '@gigvault/proto/ca/v1/issuance';
import type { Profile } from '@gigvault/proto/ca/v1/issuer';

/** The certificate authority. */
export interface CertificateAuthority {
  /**
   * The profile of this name, or undefined. It may be some seconds old, unless that would make it unknown or of another
   * hash than `profileHash` (empty: any).
   */
  profile(name: string, profileHash: string): Promise<Profile | undefined>;
  /** Refuses what `issue` would refuse for the request's sake, and keeps nothing. Errors as the RPC. */
  check(request: IssueCertificateRequest): Promise<void>;
  /** Idempotent on the request's id. Errors as the RPC. */
  issue(request: IssueCertificateRequest): Promise<IssuedCertificate>;
}
