import { readFileSync } from 'node:fs';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { writeFileDurably } from '@gigvault/files/durable-file';
import type { MtlsMaterial } from '@gigvault/rpc/mtls-identity';

/** Where a peer's mTLS identity lies. */
export interface IdentityFiles {
  readonly servicesCa: string;
  /** A copy for people and tools; what counts stands beside the key. */
  readonly certificate: string;
  /** The key and its certificate. */
  readonly privateKey: string;
}

/** The identity that lies in these files. Errors: INVALID_ARGUMENT naming the file that cannot be read. */
export function readIdentity(files: IdentityFiles): MtlsMaterial {
  const privateKey = readText(files.privateKey);
  const beside = privateKey.indexOf(CERTIFICATE);
  return {
    servicesCa: readText(files.servicesCa),
    certificate: beside < 0 ? readText(files.certificate) : privateKey.slice(beside),
    privateKey: beside < 0 ? privateKey : privateKey.slice(0, beside),
  };
}

/** Stores an identity. Key and certificate change together, in one rename: a crash never leaves one without the other. */
export async function storeIdentity(
  files: IdentityFiles,
  material: Omit<MtlsMaterial, 'servicesCa'>,
): Promise<void> {
  const { certificate, privateKey } = material;
  await writeFileDurably(files.privateKey, `${privateKey.trimEnd()}\n${certificate}`, 0o600);
  await writeFileDurably(files.certificate, certificate, 0o644);
}

const CERTIFICATE = '-----BEGIN CERTIFICATE-----';

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new GigvaultError('INVALID_ARGUMENT', `The identity file ${path} cannot be read.`, {
      cause: error,
    });
  }
}
