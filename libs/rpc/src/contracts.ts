import type { AuditService } from '@gigvault/proto/audit/v1/audit';
import type { IdentityService } from '@gigvault/proto/auth/v1/identity';
import type { TokenService } from '@gigvault/proto/auth/v1/token';
import type { CertificateService } from '@gigvault/proto/ca/v1/certificate';
import type { IssuanceService } from '@gigvault/proto/ca/v1/issuance';
import type { IssuerService } from '@gigvault/proto/ca/v1/issuer';
import type { RevocationService } from '@gigvault/proto/ca/v1/revocation';
import type { NonceService } from '@gigvault/proto/enroll/v1/nonce';
import type { EventLogService } from '@gigvault/proto/event/v1/event_log';
import type { KeyService } from '@gigvault/proto/keymgr/v1/key';
import type { KeyApiService } from '@gigvault/proto/keymgr/v1/key_api';
import type { KeySigningService } from '@gigvault/proto/keymgr/v1/signing';
import type { PolicyService } from '@gigvault/proto/policy/v1/policy';
import type { AuthorizationService } from '@gigvault/proto/ra/v1/authorization';
import type { EnrolmentService } from '@gigvault/proto/ra/v1/enrolment';

declare const contract: unique symbol;

/** A service of `proto/`, by its full name, with its generated interface as type. */
export interface RpcService<S> {
  /** As `gigvault.ca.v1.IssuanceService`. */
  readonly fullName: string;
  readonly [contract]?: S;
}

function define<S>(fullName: string): RpcService<S> {
  return { fullName };
}

/** Every RPC service. */
export const RPC = {
  audit: define<AuditService>('gigvault.audit.v1.AuditService'),
  authorization: define<AuthorizationService>('gigvault.ra.v1.AuthorizationService'),
  certificate: define<CertificateService>('gigvault.ca.v1.CertificateService'),
  enrolment: define<EnrolmentService>('gigvault.ra.v1.EnrolmentService'),
  eventLog: define<EventLogService>('gigvault.event.v1.EventLogService'),
  identity: define<IdentityService>('gigvault.auth.v1.IdentityService'),
  issuance: define<IssuanceService>('gigvault.ca.v1.IssuanceService'),
  issuer: define<IssuerService>('gigvault.ca.v1.IssuerService'),
  key: define<KeyService>('gigvault.keymgr.v1.KeyService'),
  keyApi: define<KeyApiService>('gigvault.keymgr.v1.KeyApiService'),
  keySigning: define<KeySigningService>('gigvault.keymgr.v1.KeySigningService'),
  nonce: define<NonceService>('gigvault.enroll.v1.NonceService'),
  policy: define<PolicyService>('gigvault.policy.v1.PolicyService'),
  revocation: define<RevocationService>('gigvault.ca.v1.RevocationService'),
  token: define<TokenService>('gigvault.auth.v1.TokenService'),
} as const;
