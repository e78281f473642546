import { createHash } from 'node:crypto';
import { canonicalJson } from '@gigvault/canonical-json/canonical-json';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Attribute } from '@gigvault/x509/name';
import { parseDocument } from 'yaml';
import { z } from 'zod';

const subject = z.strictObject({
  commonName: z.string().min(1).max(64),
  organization: z.string().min(1).max(64).optional(),
  country: z
    .string()
    .regex(/^[A-Z]{2}$/)
    .optional(),
});

const subordinate = z.strictObject({
  subject,
  keyType: z.enum(['ec-p256', 'ec-p384', 'rsa-3072', 'rsa-4096']),
  validityYears: z.number().int().min(1).max(10),
});

/** Everything that ends up in a certificate is named; nothing has a default. */
const planSchema = z.strictObject({
  /** Of the services' identities: `spiffe://<trustDomain>/service/…`. */
  trustDomain: z
    .string()
    .max(253)
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/),
  /** Base of the root's status URLs, without a slash at the end: `<statusUrl>/ca/root.crt`, `<statusUrl>/crl/root/0.crl`. */
  statusUrl: z.string().regex(/^https?:\/\/[^\s/]+(\/[^\s]*[^\s/])?$/),
  root: z.strictObject({
    subject,
    keyType: z.literal('ec-p384'),
    validityYears: z.number().int().min(1).max(25),
  }),
  issuing: subordinate,
  services: subordinate,
  /** How long the root's CRL is good for. */
  rootCrl: z.strictObject({ validityDays: z.number().int().min(1).max(400) }),
  /** How far notBefore of CA certificates lies before the ceremony: leaf certificates are backdated too, and may not begin before their CA. */
  backdateMinutes: z.number().int().min(0).max(1440),
});

/** What a ceremony is to make. */
export type Plan = z.infer<typeof planSchema>;

/** A CA below the root. */
export type SubordinateKind = 'issuing' | 'services';

/** Errors: INVALID_ARGUMENT with one problem for each thing that is wrong, unknown keys included. */
export function parsePlan(text: string): Plan {
  const result = planSchema.safeParse(readYaml(text));
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => ({
    pointer: `/${issue.path.join('/')}`,
    message: issue.message,
  }));
  const told = problems.map(({ pointer, message }) => `${pointer} ${message}`).join('; ');
  throw new GigvaultError('INVALID_ARGUMENT', `The plan is wrong: ${told}.`, { problems });
}

/** SHA-256 of the plan's canonical JSON, hex: layout and comments of the file do not count. */
export function planHash(plan: Plan): string {
  return createHash('sha256').update(canonicalJson(plan)).digest('hex');
}

/** The plan that bootstrap uses: root 20 years, CAs 5 years, root CRL one year. */
export function standardPlan(options: {
  readonly organization: string;
  readonly trustDomain: string;
  readonly statusUrl: string;
}): Plan {
  const { organization, trustDomain, statusUrl } = options;
  const named = (name: string) => ({ commonName: `${organization} ${name}`, organization });
  return planSchema.parse({
    trustDomain,
    statusUrl,
    root: { subject: named('Root CA'), keyType: 'ec-p384', validityYears: 20 },
    issuing: { subject: named('Issuing CA'), keyType: 'ec-p256', validityYears: 5 },
    services: { subject: named('Services CA'), keyType: 'ec-p256', validityYears: 5 },
    rootCrl: { validityDays: 365 },
    backdateMinutes: 60,
  });
}

/** A CA's subject as it will stand in its certificate: what its key in keymgr must be bound to. */
export function caSubject(plan: Plan, ca: 'root' | SubordinateKind): Attribute[] {
  const { commonName, organization, country } = plan[ca].subject;
  return [
    ...(country === undefined ? [] : [{ type: 'C', value: country }]),
    ...(organization === undefined ? [] : [{ type: 'O', value: organization }]),
    { type: 'CN', value: commonName },
  ];
}

/** No aliases: a few of them, one inside the other, fill the memory (fault T70). */
function readYaml(text: string): unknown {
  try {
    const document = parseDocument(text, { uniqueKeys: true });
    const [syntax] = document.errors;
    if (syntax !== undefined) throw syntax;
    return document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    const [reason] = (error as Error).message.split('\n', 1);
    throw new GigvaultError('INVALID_ARGUMENT', `The plan is not YAML: ${reason}`, {
      cause: error,
    });
  }
}
