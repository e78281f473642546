import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { readCertificate } from '@gigvault/x509/certificate';
import { fromPem, toPem } from '@gigvault/x509/pem';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { unlockRootKey } from '../ceremony/protect-root-key.ts';
import type { Root } from '../ceremony/root.ts';
import { parsePlan } from '../plan/plan.ts';

/** The files of a root. All but the key are public. */
export const ROOT_FILES = {
  plan: 'plan.yaml',
  certificate: 'root.crt',
  key: 'root.key',
  crl: 'root.crl',
  transcript: 'transcript.json',
} as const;

/** Errors: ALREADY_EXISTS when the directory holds a root: a root is never overwritten. */
export async function prepareRootDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (
    existsSync(join(directory, ROOT_FILES.key)) ||
    existsSync(join(directory, ROOT_FILES.certificate))
  ) {
    throw new GigvaultError('ALREADY_EXISTS', `${directory} already holds a root.`);
  }
}

/**
 * The root of a directory, unlocked. Errors: NOT_FOUND for a missing file, KEY_UNAVAILABLE for a wrong passphrase or a key that is not the
 * certificate's, INVALID_ARGUMENT.
 */
export function unlockRoot(directory: string, passphraseFile: string): Root {
  const plan = parsePlan(readText(join(directory, ROOT_FILES.plan)));
  const certificate = readCertificate(
    readPem(join(directory, ROOT_FILES.certificate), 'CERTIFICATE'),
  );
  const passphrase = readText(passphraseFile);
  const privateKey = unlockRootKey(readText(join(directory, ROOT_FILES.key)), passphrase);
  if (!publicKeyInfoOf(privateKey).spki.equals(certificate.spki)) {
    throw new GigvaultError(
      'KEY_UNAVAILABLE',
      'The root key is not the one of the root certificate.',
    );
  }
  return { plan, certificate, privateKey };
}

/** Writes a public file as PEM, mode 0644. */
export async function writePem(path: string, label: string, der: Buffer): Promise<void> {
  await writeFile(path, toPem(label, der), { mode: 0o644 });
}

/** The first block of that label, DER. Errors: NOT_FOUND, INVALID_ARGUMENT. */
export function readPem(path: string, label: string): Buffer {
  return fromPem(readText(path), label)[0]!;
}

/** Errors: NOT_FOUND when it cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new GigvaultError('NOT_FOUND', `Cannot read ${path}.`, { cause });
  }
}
