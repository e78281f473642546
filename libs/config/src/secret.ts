import { readFileSync, statSync } from 'node:fs';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { z } from 'zod';

const FORMS = [
  /^file:\/\/\/./,
  /^env:\/\/[A-Za-z_]\w*$/,
  // mount/path, the version, the field of it
  /^vault:\/\/[\w-]+(\/(?!\.)[\w.@+=-]+)+(\?version=[1-9]\d{0,8})?(#[\w.-]+)?$/,
  // name or ARN, the version, the field when it is JSON
  /^aws-sm:\/\/[\w/+=.@:!-]+(\?(version|stage)=[\w-]+)?(#[\w.-]+)?$/,
  /^aws-ssm:\/\/[\w/.:-]+(\?version=[1-9]\d{0,8})?$/,
];

/** What the place of a secret may be, in words. */
export const SECRET_FORMS =
  'file:///path, env://NAME, vault://mount/path#field, aws-sm://name or aws-ssm:///name';

/** A secret's place, never the secret (requirement X12; docs/operations/secrets.md). */
export const secretReference = z
  .string()
  .refine((text) => FORMS.some((form) => form.test(text)), `the place of a secret: ${SECRET_FORMS}`)
  .brand('SecretReference');

/** See `secretReference`. */
export type SecretReference = z.infer<typeof secretReference>;

/** The place of a secret on this machine: what is needed to reach the other places. */
export const localSecretReference = z
  .string()
  .refine(
    (text) => FORMS.slice(0, 2).some((form) => form.test(text)),
    'the place of a secret on this machine: file:///path or env://NAME',
  )
  .brand('SecretReference')
  .meta({ secretPlace: true });

/** Mark of a schema that takes a secret's place beside values of another form: its variable has a `_FILE` too. */
export const SECRET_PLACE = { secretPlace: true };

/** True for a key whose variable may be given as `NAME_FILE`. */
export function takesSecretPlace(leaf: z.ZodType | undefined): boolean {
  return leaf === secretReference || leaf?.meta()?.['secretPlace'] === true;
}

/** The reference of a secret in a file. */
export function fileSecret(path: string): SecretReference {
  return secretReference.parse(`file://${path}`);
}

/** Gives secrets by their places. */
export interface SecretResolver {
  /**
   * The secret, without a trailing newline. Errors, which name the place and never the secret: INVALID_ARGUMENT when it is not there, empty, or may not be
   * had; UNAVAILABLE when who keeps it does not answer.
   */
  resolve(reference: SecretReference): Promise<string>;
}

/** True for `file://` and `env://`. */
export function isLocalSecret(reference: SecretReference): boolean {
  return /^(file|env):/.test(reference);
}

/**
 * The secret of a file or a variable, without a trailing newline. Errors: INVALID_ARGUMENT naming the place when it is not there or empty, when everybody
 * may read the file, or when it is on no machine.
 */
export function readLocalSecret(
  reference: SecretReference,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  if (!isLocalSecret(reference)) refuse(`The secret ${reference} is not on this machine`);
  const value = reference.startsWith('env://')
    ? environment[reference.slice('env://'.length)]
    : readFile(reference.slice('file://'.length));
  return wholeSecret(reference, value);
}

/** A secret as it was found, without a trailing newline. Errors: INVALID_ARGUMENT when it is not there or empty. */
export function wholeSecret(reference: SecretReference, found: string | undefined): string {
  if (found === undefined) refuse(`The secret ${reference} is not there`);
  if (found.trim() === '') refuse(`The secret ${reference} is empty`);
  return found.replace(/\r?\n$/, '');
}

function readFile(path: string): string | undefined {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return undefined;
    // Group may: Kubernetes gives a pod's user its secrets by fsGroup.
    if ((found.mode & 0o007) !== 0) {
      refuse(`The secret file ${path} can be read by others. Run: chmod 600 ${path}`);
    }
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof GigvaultError) throw cause;
    throw new GigvaultError('INVALID_ARGUMENT', `The secret file ${path} cannot be read.`, {
      cause,
    });
  }
}

function refuse(message: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', `${message}.`);
}
