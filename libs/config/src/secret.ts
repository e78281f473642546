import { readFileSync } from 'node:fs';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { z } from 'zod';

/**
 * A secret's place, never the secret: `file://<absolute path>` or `env://<NAME>` (requirement X12; vault://, aws-sm://
 * and aws-ssm:// follow with the key backends).
 */
export const secretReference = z
  .string()
  .regex(/^(file:\/\/\/|env:\/\/[A-Za-z_])/, 'the place of a secret, file:///path or env://NAME')
  .brand('SecretReference');

/** See `secretReference`. */
export type SecretReference = z.infer<typeof secretReference>;

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

/** The secret, without a trailing newline. Errors: INVALID_ARGUMENT naming the place when it is not there or empty. */
export function resolveSecret(
  reference: SecretReference,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const value = reference.startsWith('env://')
    ? environment[reference.slice(6)]
    : readFile(reference.slice(7));
  if (value === undefined || value.trim() === '')
    throw new GigvaultError('INVALID_ARGUMENT', `The secret ${reference} is not there.`);
  return value.replace(/\r?\n$/, '');
}

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new GigvaultError('INVALID_ARGUMENT', `The secret file ${path} cannot be read.`, {
      cause: error,
    });
  }
}
