import { positiveDuration } from '@gigvault/config/duration';
import { PAGE_QUERY, pageOf } from '@gigvault/http/paging';
import { z } from 'zod';

/** Body of POST /certificates and POST /csrs. */
export const SUBMISSION = z.strictObject({
  certificationRequest: z
    .string()
    .min(1)
    .max(80_000)
    .describe('PKCS#10 certification request, PEM'),
  profile: z.string().min(1).max(64).default('tls-server'),
  validity: positiveDuration.optional().describe('As "47d"; the profile decides when absent'),
  reason: z.string().max(500).default('').describe('Why you ask; approvers see it'),
});

/** Body of a decision. */
export const DECISION = z.strictObject({ comment: z.string().max(500).default('') });

/** Path of one request. */
export const REQUEST_PARAMS = z.strictObject({ requestId: z.string().max(64) });

/** Query of the list. */
export const LIST_QUERY = z.strictObject({
  status: z.enum(['pending', 'approved', 'issued', 'rejected', 'denied', 'failed']).optional(),
  ...PAGE_QUERY,
});

const RULE = z.object({ rule: z.string(), outcome: z.string(), message: z.string() });

/** An enrolment request as REST shows it. */
export const REQUEST_REPLY = z.object({
  requestId: z.string(),
  status: z.string(),
  protocol: z.string(),
  requester: z.string(),
  requesterName: z.string().optional().describe('What the requester was called when asking'),
  profile: z.string(),
  commonName: z.string(),
  names: z
    .array(z.string())
    .describe('As `api.example`, `192.0.2.1`, `ada@example.com`, `https://api.example/`'),
  createdAt: z.iso.datetime(),
  reason: z.string(),
  decision: z.object({
    outcome: z.string(),
    policy: z.string(),
    policyHash: z.string(),
    rules: z.array(RULE),
  }),
  approvalsNeeded: z.number().int(),
  votes: z.array(
    z.object({
      actor: z.string(),
      actorName: z.string().optional(),
      approve: z.boolean(),
      comment: z.string(),
      at: z.iso.datetime(),
    }),
  ),
  certificationRequest: z.string().describe('PEM'),
  serialNumber: z.string().optional(),
  issuerId: z.string().optional(),
  certificate: z.string().optional().describe('PEM'),
  chain: z.string().optional().describe('PEM, the issuer first'),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});

/** As REST shows it. */
export type RequestReply = z.infer<typeof REQUEST_REPLY>;

/** One page of requests. */
export const LIST_REPLY = pageOf(REQUEST_REPLY);
