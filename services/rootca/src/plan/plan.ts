import { hash } from 'node:crypto';
import { canonicalJson } from '@gigvault/canonical-json/canonical-json';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { generationOf, generationSubject } from '@gigvault/x509/ca-generation';
import type { Attribute } from '@gigvault/x509/name';
import { parseDocument } from 'yaml';
import { z } from 'zod';

/** What an escape in quotes may stand for as well: the file is looked at before it is read. */
const UNSHOWN = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u;
const withoutControls = (text: string) => !UNSHOWN.test(text);
const WITHOUT_CONTROLS = 'must not have control characters, nor escapes for them';

const name = z.string().min(1).max(64).refine(withoutControls, WITHOUT_CONTROLS);

const subject = z.strictObject({
  commonName: name,
  organization: name.optional(),
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

/** Who holds the shares of the secret that the root's key is encrypted under, in the order in which they are called. */
const custodySchema = z
  .strictObject({
    /** How many of them are needed to use the key: 2 to all. */
    threshold: z.number().int().min(2),
    holders: z
      .array(
        z
          .string()
          .max(40)
          .regex(/^[^\p{C}\s]([^\p{C}]*[^\p{C}\s])?$/u, 'must be one line of text'),
      )
      .min(2)
      .max(16),
  })
  .refine(({ threshold, holders }) => threshold <= holders.length, {
    message: 'must not be more than there are holders',
    path: ['threshold'],
  })
  .refine(({ holders }) => new Set(holders).size === holders.length, {
    message: 'must be different from one another',
    path: ['holders'],
  });

/** Of `m` of `n`: `threshold` is m, from 2; there are 2 to 16 holders. */
export type Custody = z.infer<typeof custodySchema>;

/** Errors: INVALID_ARGUMENT. */
export function numberedCustody(holders: number, threshold: number): Custody {
  const names = Array.from({ length: holders }, (_, i) => `Holder ${i + 1}`);
  const result = custodySchema.safeParse({ threshold, holders: names });
  if (result.success) return result.data;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    'There are 2 to 16 shares, and 2 or more of them are needed: as --shares 5 --threshold 3.',
  );
}

/** Everything that ends up in a certificate is named; nothing has a default. */
const planSchema = z.strictObject({
  /** Of the services' identities: `spiffe://<trustDomain>/service/…`. */
  trustDomain: z
    .string()
    .max(253)
    .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/),
  /** Base of the root's status URLs, without a slash at the end: `<statusUrl>/ca/root.crt`, `<statusUrl>/crl/root/0.crl`. */
  statusUrl: z
    .string()
    .regex(/^https?:\/\/[^\s/]+(\/[^\s]*[^\s/])?$/)
    .refine(withoutControls, WITHOUT_CONTROLS),
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
  /** For a key ceremony; a root without one has a passphrase that one person holds. */
  custody: custodySchema.optional(),
});

/** What a ceremony is to make. */
export type Plan = z.infer<typeof planSchema>;

/** A CA below the root. */
export type SubordinateKind = 'issuing' | 'services';

/**
 * What moves the cursor or turns text around: all controls but tab and the line breaks LF and CR LF, and Unicode's directional embeddings, overrides and
 * isolates (UAX #9 §2).
 */
const DECEPTIVE = /(?!\r\n)[^\P{Cc}\t\n]|[\u202a-\u202e\u2066-\u2069]/u;

/**
 * Errors: INVALID_ARGUMENT with one problem for each thing that is wrong, unknown keys included; for a character, also in a comment, that could make a
 * terminal show another plan than this.
 */
export function parsePlan(text: string): Plan {
  requireAsShown(text);
  return checkedPlan(readYaml(text));
}

/** People say yes to what they see. */
function requireAsShown(text: string): void {
  const found = DECEPTIVE.exec(text);
  if (found === null) return;
  const lines = text.slice(0, found.index).split('\n');
  const column = [...(lines.at(-1) as string)].length + 1;
  const code = found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    `The plan has the control character U+${code} at line ${lines.length}, column ${column}: a terminal would not show the plan as it is. Remove it.`,
  );
}

function checkedPlan(value: unknown): Plan {
  const result = planSchema.safeParse(value);
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
  return hash('sha256', canonicalJson(plan));
}

/** The plan that bootstrap uses: root 20 years, CAs 5 years, root CRL one year. Errors: INVALID_ARGUMENT. */
export function standardPlan(options: {
  readonly organization: string;
  readonly trustDomain: string;
  readonly statusUrl: string;
  readonly custody?: Custody;
}): Plan {
  const { organization, trustDomain, statusUrl, custody } = options;
  const named = (name: string) => ({ commonName: `${organization} ${name}`, organization });
  return checkedPlan({
    trustDomain,
    statusUrl,
    root: { subject: named('Root CA'), keyType: 'ec-p384', validityYears: 20 },
    issuing: { subject: named('Issuing CA'), keyType: 'ec-p256', validityYears: 5 },
    services: { subject: named('Services CA'), keyType: 'ec-p256', validityYears: 5 },
    rootCrl: { validityDays: 365 },
    backdateMinutes: 60,
    ...(custody && { custody }),
  });
}

/**
 * A CA's subject as it will stand in its certificate: what its key in keymgr must be bound to.
 * @param generation of the CA's key: the plan names the first, see generationSubject
 */
export function caSubject(plan: Plan, ca: 'root' | SubordinateKind, generation = 1): Attribute[] {
  const { commonName, organization, country } = plan[ca].subject;
  const first = [
    ...(country === undefined ? [] : [{ type: 'C', value: country }]),
    ...(organization === undefined ? [] : [{ type: 'O', value: organization }]),
    { type: 'CN', value: commonName },
  ];
  return generationSubject(first, generation);
}

/** Which generation of the plan's CA a subject (DER) names; undefined for another CA. The services CA has one key only: it is an anchor. */
export function caGeneration(
  plan: Plan,
  kind: SubordinateKind,
  subject: Buffer,
): number | undefined {
  const generation = generationOf(caSubject(plan, kind), subject);
  return kind === 'services' && generation !== 1 ? undefined : generation;
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
