import { PAGE_QUERY, pageOf } from '@gigvault/http/paging';
import type { Certificate } from '@gigvault/proto/ca/v1/certificate';
import { parseGeneralName } from '@gigvault/x509/general-name';
import { reasonName } from '@gigvault/x509/reason-code';
import { z } from 'zod';

/** RFC 3339, UTC. */
const time = z.iso.datetime();

/** A certificate in a list. */
export const certificateItem = z.object({
  serialNumber: z.string(),
  issuerId: z.string(),
  commonName: z.string(),
  names: z
    .array(z.string())
    .describe('As `api.example`, `192.0.2.1`, `ada@example.com`, `https://api.example/`'),
  profile: z.string(),
  status: z.enum(['valid', 'revoked', 'expired']),
  notBefore: time,
  notAfter: time,
  issuedAt: time,
  revokedAt: time.optional(),
  reasonCode: z.int().optional(),
  reason: z.string().optional(),
  requestId: z.string().describe('Of the request in `/csrs` that it came from'),
  requester: z.string(),
});

/** A certificate with its PEM; without `certificate` when it was never released. */
export const certificateDocument = certificateItem.extend({
  certificate: z.string().optional().describe('PEM'),
  chain: z.string().describe('PEM, the issuer first'),
});

/** A page of certificates. */
export const certificatePage = pageOf(certificateItem);

/** Filters and position of a page. */
export const listQuery = z.strictObject({
  status: z.enum(['valid', 'revoked', 'expired']).optional(),
  commonName: z.string().max(64).optional(),
  requester: z.string().max(200).optional().describe('As `user:<id>` or `acme:<account>`'),
  ...PAGE_QUERY,
});

/** Which certificate. */
export const serialParams = z.object({
  serialNumber: z.string().max(120).describe('Hex, with or without colons'),
});

/** With `issuerId` when several issuers have the serial number. */
export const issuerQuery = z.strictObject({
  issuerId: z.string().max(63).default('').describe('When several issuers have the serial number'),
});

/** Why: CRLReason by number or by name, unspecified when neither is given. */
export const revokeBody = z.strictObject({
  reasonCode: z
    .int()
    .min(0)
    .max(10)
    .optional()
    .describe('CRLReason (RFC 5280 §5.3.1): 0, 1, 3, 4, 5 or 9'),
  reason: z.string().max(40).optional().describe('The same by name, as keyCompromise'),
});

/** What a revocation did. */
export const revokeReply = z.object({
  serialNumber: z.string(),
  issuerId: z.string(),
  status: z.literal('revoked'),
  revokedAt: time,
  reasonCode: z.int(),
  reason: z.string(),
});

const issuerState = z
  .enum(['prepared', 'current', 'superseded', 'retired'])
  .describe(
    'Waits for OCSP and CRLs; issues; another key issues and status goes on; all that it issued has ended',
  );

/** An issuing CA, by one of its keys. */
export const issuerItem = z.object({
  issuerId: z.string(),
  line: z.string().describe('The CA through all of its keys, as profiles name it'),
  generation: z.int().describe('Which key of the CA it is, from 1'),
  state: issuerState,
  subject: z.string(),
  keyType: z.string(),
  public: z.boolean(),
  notBefore: time,
  notAfter: time,
  ocspUrl: z.string(),
  crlBaseUrl: z.string(),
  issuerUrl: z.string(),
  crlShards: z.int(),
  certificate: z.string().describe('PEM'),
  chain: z.string().describe('PEM, down to the root'),
});

/** Which CA, through all of its keys. */
export const lineParams = z.object({
  line: z.string().max(63).describe('As `issuing`; `line` in `/issuers`'),
});

/** The rotation of a CA's key. */
export const rotateBody = z.strictObject({
  generation: z
    .int()
    .min(2)
    .optional()
    .describe('The key that shall come of it; a repetition then begins no further one'),
});

/** The root's answer to the request. */
export const successorBody = z.strictObject({
  certificate: z.string().max(20_000).describe('PEM, signed by the root'),
});

/** How far a rotation has come. */
export const rotationReply = z.object({
  issuerId: z.string(),
  line: z.string(),
  generation: z.int(),
  state: z.enum(['requested', ...issuerState.options]),
  certificationRequest: z.string().optional().describe('PEM: what the root signs'),
  rootCertificate: z.string().optional().describe('PEM: the root that has to sign it'),
});

/** Every issuing CA. */
export const issuerList = z.object({ items: z.array(issuerItem) });

/** The parts of a certificate that every reply has. */
export function toItem(certificate: Certificate): z.infer<typeof certificateItem> {
  const { serialNumber, issuerId, commonName, names, profile, requestId, requester } = certificate;
  return {
    serialNumber,
    issuerId,
    commonName,
    names: names.map((name) => parseGeneralName(name).value),
    profile,
    status: certificate.status as 'valid',
    notBefore: rfc3339(certificate.notBefore),
    notAfter: rfc3339(certificate.notAfter),
    issuedAt: rfc3339(certificate.issuedAt),
    ...(certificate.status === 'revoked' ? toRevocation(certificate) : {}),
    requestId,
    requester,
  };
}

function toRevocation({ revokedAt, reasonCode }: Certificate) {
  return {
    revokedAt: rfc3339(revokedAt),
    reasonCode,
    reason: reasonName(reasonCode) ?? 'unspecified',
  };
}

/** Unix milliseconds as `2026-11-21T10:00:00.000Z`. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}
