import type { GeneralName } from '@gigvault/proto/ca/v1/issuance';
import type { PublicKeyInfo } from '@gigvault/x509/public-key';

/** What issuance is asked for, whoever asks. The fields of IssueCertificateRequest, checked by nobody yet. */
export interface IssuanceOrder {
  readonly requestId: string;
  /** The profile's CA or, for a profile that has none, the issuer. Empty: the profile's CA. */
  readonly issuerId: string;
  readonly profile: string;
  readonly profileHash: string;
  /** CertificationRequest, DER. */
  readonly certificationRequest: Buffer;
  readonly subjectAltName: readonly GeneralName[];
  /** Empty for none. */
  readonly commonName: string;
  /** Unix milliseconds; 0 lets the profile decide. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly requester: string;
  readonly tenantId: string;
  readonly protocol: string;
  /** True for certificates that GigVault itself runs on: internal profiles only, and the audit gate does not apply. */
  readonly internal: boolean;
  /** A key that keymgr holds itself: stands for a certification request and its proof of possession. */
  readonly heldKey?: PublicKeyInfo;
}
