import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { AuditEntry, AuditService } from '@gigvault/proto/audit/v1/audit';
import type { TokenService } from '@gigvault/proto/auth/v1/token';
import type { Issuer, IssuerService } from '@gigvault/proto/ca/v1/issuer';
import type { RevocationService } from '@gigvault/proto/ca/v1/revocation';
import type { EnrolmentRequest, EnrolmentService } from '@gigvault/proto/ra/v1/enrolment';
import type { Client } from '@gigvault/rpc/call';
import type { Clock } from '@gigvault/time/clock';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { DerError } from '@gigvault/x509/der';
import type { CertStatus } from '@gigvault/x509/ocsp';
import { buildOcspRequest, isAuthorizedAnswer, readOcspResponse } from '@gigvault/x509/ocsp-client';
import { isIncluded } from './audit-proof.ts';
import { fetchStatus, isReady, type PublicListener } from './status-client.ts';

/** What the check talks to, with the composition root's identity. */
export interface SelfCheckClients {
  readonly audit: Client<AuditService>;
  readonly enrolment: Client<EnrolmentService>;
  readonly issuer: Client<IssuerService>;
  readonly revocation: Client<RevocationService>;
  readonly token: Client<TokenService>;
}

/** What to check. */
export interface SelfCheckOptions {
  readonly clients: SelfCheckClients;
  /** Where OCSP and CRLs are served. */
  readonly statusUrl: string;
  /** The public listener, and whom its certificate must lead to. */
  readonly publicListener: PublicListener;
  /** Issue and revoke a certificate; otherwise only look that status and audit answer, so that restarts leave nothing behind. */
  readonly whole: boolean;
  /** Leaves of the audit log before this start left its own first event, which must arrive. */
  readonly auditedBefore: number;
  readonly clock: Clock;
}

/** Milliseconds in which every service is ready after a start: has its keys and certificates, has published its CRLs. */
const READY_WITHIN = 20_000;
/** Milliseconds in which a revocation must show in OCSP, and an event in the audit log. */
const REVOKED_WITHIN = 1_000;
const AUDITED_WITHIN = 10_000;

/**
 * Proves that the PKI works, by the front doors. Returns what it did, for the progress line.
 * Errors: INTERNAL saying what did not hold.
 */
export async function selfCheck(options: SelfCheckOptions): Promise<string> {
  const issuer = await issuingCa(options.clients.issuer);
  await until(options.clock, READY_WITHIN, 'the OCSP responder does not answer', () =>
    answers(options, issuer),
  );
  await until(
    options.clock,
    READY_WITHIN,
    'not every service is ready (see /admin/v1/healthz)',
    () => isReady(options.publicListener),
  );
  if (!options.whole) {
    const status = await ocspStatus(options, issuer, '01');
    require(status ===
      'unknown', `OCSP says ${describe(status)} of a serial number that was never issued`);
    await until(
      options.clock,
      AUDITED_WITHIN,
      'the audit log takes no new events (was it changed? gigvault audit verify)',
      async () => (await auditedLeaves(options.clients.audit)) > options.auditedBefore,
    );
    return 'OCSP answers → audit log takes events';
  }
  const { serialNumber } = await issue(options.clients.enrolment);
  const before = await ocspStatus(options, issuer, serialNumber);
  require(before === 'good', `OCSP says ${describe(before)} of a new certificate`);
  await options.clients.revocation.revokeCertificate({
    serialNumber,
    issuerId: issuer.issuerId,
    reasonCode: 5,
    actor: 'service:gigvault',
  });
  await until(options.clock, REVOKED_WITHIN, 'OCSP does not say revoked', async () => {
    const status = await ocspStatus(options, issuer, serialNumber);
    return typeof status === 'object' && status.reasonCode === 5;
  });
  await until(options.clock, AUDITED_WITHIN, 'the revocation is not in the audit log', () =>
    isAudited(options.clients.audit, serialNumber),
  );
  return 'issue → OCSP good → revoke → OCSP revoked → audit proof';
}

/** Leaves of the audit log under its newest checkpoint; 0 before there is one: in a PKI that has never served. */
export async function auditedLeaves(audit: Client<AuditService>): Promise<number> {
  try {
    return (await audit.getCheckpoint({})).treeSize;
  } catch (error) {
    if (error instanceof GigvaultError && error.code === 'UNAVAILABLE') return 0;
    throw error;
  }
}

async function issuingCa(client: Client<IssuerService>): Promise<Issuer> {
  const { issuers } = await client.listIssuers({});
  const issuer = issuers.find((candidate) => candidate.public);
  if (issuer === undefined)
    throw new GigvaultError('INTERNAL', 'The self check failed: there is no issuing CA.');
  return issuer;
}

/** True once the responder answers; right after a start it may still wait for its certificate. */
async function answers(options: SelfCheckOptions, issuer: Issuer): Promise<boolean> {
  try {
    await ocspStatus(options, issuer, '01');
    return true;
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}

async function issue(enrolment: Client<EnrolmentService>): Promise<EnrolmentRequest> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = { type: 'dns', value: 'self-check.localhost' } as const;
  const request = await enrolment.submitRequest({
    requestId: randomUUID(),
    protocol: 'rest',
    requester: 'service:gigvault',
    profile: 'tls-server',
    profileHash: '',
    certificationRequest: buildCertificationRequest({
      privateKey,
      subject: [],
      subjectAltName: [name],
    }),
    authorizationIds: [],
    subjectAltName: [],
    notBefore: 0,
    notAfter: 0,
    reason: 'self check at start',
    roles: ['admin'],
    tenantId: 'default',
  });
  require(request.status ===
    'issued', `the request is ${request.status} ${request.errorMessage} ${request.decision?.rules.map((r) => r.message).join('; ') ?? ''}`);
  return request;
}

async function ocspStatus(
  options: SelfCheckOptions,
  issuer: Issuer,
  serialNumber: string,
): Promise<CertStatus> {
  const nonce = randomBytes(16);
  const content = buildOcspRequest(issuer.certificate, serialNumber, nonce);
  const answer = readOcspResponse(
    await fetchStatus(`${options.statusUrl}/ocsp`, { type: 'application/ocsp-request', content }),
  );
  require(isAuthorizedAnswer(
    answer,
    issuer.certificate,
  ), 'the OCSP answer is not signed by the CA or its delegate');
  require(answer.data.nonce?.equals(nonce) ?? false, 'the OCSP answer has another nonce');
  const [single] = answer.data.responses;
  require(single?.serialNumber === serialNumber, 'the OCSP answer is about another certificate');
  return single?.status ?? 'unknown';
}

async function isAudited(audit: Client<AuditService>, serialNumber: string): Promise<boolean> {
  const entry = await findEntry(
    audit,
    (candidate) =>
      candidate.event?.type === 'certificate.revoked' && candidate.event.subject === serialNumber,
  );
  if (entry === undefined) return false;
  const checkpoint = await audit.getCheckpoint({});
  if (checkpoint.treeSize <= entry.leafIndex) return false;
  const proof = await audit.getInclusionProof({
    leafIndex: entry.leafIndex,
    producer: '',
    position: 0,
  });
  require(isIncluded(proof), 'the audit proof does not verify');
  return true;
}

async function findEntry(
  audit: Client<AuditService>,
  fits: (entry: AuditEntry) => boolean,
): Promise<AuditEntry | undefined> {
  for (let start = 0; ; start += 500) {
    const { entries } = await audit.listEntries({ start, limit: 500 });
    const found = entries.find(fits);
    if (found !== undefined || entries.length < 500) return found;
  }
}

/** Waits in short steps for something that another service brings about. */
async function until(
  clock: Clock,
  limit: number,
  failure: string,
  holds: () => Promise<boolean>,
): Promise<void> {
  const end = clock.now() + limit;
  while (!(await holds())) {
    require(clock.now() < end, `${failure} after ${limit} ms`);
    await clock.sleep(20);
  }
}

function require(holds: boolean, failure: string): void {
  if (!holds) throw new GigvaultError('INTERNAL', `The self check failed: ${failure}.`);
}

function describe(status: CertStatus): string {
  return typeof status === 'string' ? status : `revoked (${status.reasonCode})`;
}
