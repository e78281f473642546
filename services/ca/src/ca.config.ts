import { duration, positiveDuration } from '@gigvault/config/duration';
import { EXTENDED_KEY_USAGE } from '@gigvault/x509/oid';
import { z } from 'zod';

const keyType = z.enum([
  'ec-p256',
  'ec-p384',
  'ec-p521',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'ed25519',
]);
const dottedOid = z.string().regex(/^[0-2](\.\d+)+$/);
const keyPurpose = z.union([
  z.enum(Object.keys(EXTENDED_KEY_USAGE) as [string, ...string[]]),
  dottedOid,
]);

/** Fields of a profile. None has a default: a built-in profile has a value for each, a further one must name them all. */
const profileOverride = z.strictObject({
  issuerId: z.string().min(1).optional(),
  keyTypes: z.array(keyType).min(1).optional(),
  keyUsage: z
    .array(z.enum(['digitalSignature', 'keyEncipherment', 'keyAgreement', 'dataEncipherment']))
    .min(1)
    .optional(),
  extendedKeyUsage: z.array(keyPurpose).min(1).optional(),
  defaultValidity: duration.optional(),
  maxValidity: duration.optional(),
  backdate: duration.optional(),
  subject: z.enum(['commonName', 'empty', 'fixed']).optional(),
  nameTypes: z.array(z.enum(['dns', 'ip', 'email', 'uri'])).optional(),
  wildcard: z.boolean().optional(),
  policyIdentifiers: z.array(dottedOid).optional(),
  crlDistributionPoint: z.boolean().optional(),
  authorityInfoAccess: z.array(z.enum(['ocsp', 'caIssuers'])).optional(),
  ocspNoCheck: z.boolean().optional(),
});

/** The `ca` section of the configuration. */
export const caConfig = z.strictObject({
  /** Changes to the built-in profiles, and further public ones, by name. */
  profiles: z.record(z.string().regex(/^[a-z0-9-]{1,63}$/), profileOverride).default({}),
  /** Issuance stops when the audit service is further behind than this. */
  auditLag: z
    .strictObject({
      events: z.int().min(1).default(10_000),
      age: positiveDuration.prefault('1m'),
    })
    .prefault({}),
  reconciliation: z
    .strictObject({
      /** Between two rounds. */
      interval: positiveDuration.prefault('10s'),
      /** Open intents younger than this are left alone: another process may be at them. So are those of one that lives, by a retry. */
      age: duration.prefault('30s'),
      /** The same for the first round after a start, when most of them are of a process that died. */
      ageAtStart: duration.prefault('2s'),
      /** How long after its opening an intent of another process is left alone by a retry, when nobody knows that the process lives. */
      grace: duration.prefault('1s'),
    })
    .prefault({}),
  /** Natural batching of intents, signatures and certificates. */
  batch: z
    .strictObject({
      maxItems: z.int().min(1).max(1_000).default(250),
      maxQueue: z.int().min(1).default(5_000),
    })
    .prefault({}),
});

/** What caConfig parses to. */
export type CaConfig = z.infer<typeof caConfig>;
