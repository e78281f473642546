import { positiveDuration } from '@gigvault/config/duration';
import { z } from 'zod';

const OUTCOME = z.enum(['allow', 'review', 'deny']);
const PATTERN = z
  .string()
  .min(1)
  .max(300)
  .refine((pattern) => !isMisplacedStar(pattern), {
    message: 'in a DNS pattern `*` stands alone or as the first label, as in "*.example.org"',
  });
const TEXTS = z.array(z.string().min(1).max(100)).min(1).max(100);
const SUBJECT_PATTERN = z.string().min(1).max(300);
const USAGES = z.enum([
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'serverAuth',
  'clientAuth',
  'codeSigning',
  'emailProtection',
  'timeStamping',
]);
const KEY_TYPES = z.enum([
  'ec-p256',
  'ec-p384',
  'ec-p521',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'ed25519',
]);
const ROLES = z.enum(['admin', 'operator', 'approver', 'requester', 'auditor']);

/** One policy as it stands in YAML. */
export const POLICY_SCHEMA = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and dashes'),
  protocols: TEXTS.optional(),
  profiles: TEXTS.optional(),
  roles: z.array(ROLES).min(1).optional(),
  subjects: patterns(SUBJECT_PATTERN),
  names: patterns(PATTERN),
  wildcards: OUTCOME.default('deny'),
  keyTypes: z.array(KEY_TYPES).min(1).optional(),
  maxValidity: positiveDuration.optional(),
  keyUsages: z.array(USAGES).min(1).optional(),
  approvals: z.int().min(1).max(20).default(1),
  outcome: OUTCOME,
});

/** The keys that a mapping at this path may have, for hints; empty when the path is not a mapping of the schema. */
export function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 0) return Object.keys(POLICY_SCHEMA.shape);
  return path.length === 1 && (path[0] === 'names' || path[0] === 'subjects')
    ? ['allow', 'deny', 'otherwise']
    : [];
}

function patterns(pattern: z.ZodString) {
  const list = z.array(pattern).max(1000);
  return z
    .strictObject({
      allow: list.optional(),
      deny: list.default([]),
      otherwise: z.enum(['review', 'deny']).default('deny'),
    })
    .default({ deny: [], otherwise: 'deny' });
}

function isMisplacedStar(pattern: string): boolean {
  if (/^(ip|email|uri):/.test(pattern)) return false;
  const text = pattern.replace(/^dns:/, '');
  return text !== '*' && text.replace(/^\*\./, '').includes('*');
}
