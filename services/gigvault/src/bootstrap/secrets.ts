import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileSecret, type SecretReference } from '@gigvault/config/secret';
import { writeFileDurably } from '@gigvault/files/durable-file';
import { SERVICE_NAMES, type ServiceName } from '@gigvault/rpc/service-name';
import type { DataDirectory } from './data-directory.ts';

/** The installation's own secrets: files of mode 0600, made at the first start. */
export interface Secrets {
  readonly databaseOwner: string;
  readonly databasePasswords: Readonly<Record<ServiceName, string>>;
  readonly adminToken: string;
  /** Where a secret lies, for processes that read it themselves. */
  reference(name: SecretName): SecretReference;
  /** Removes those that this start has made: nobody was told of them. */
  forgetNew(): void;
}

/** Names of the files. */
export type SecretName = `database-${ServiceName}` | 'database-owner' | 'admin-token';

/** Reads the secrets, making those that are missing. */
export async function openSecrets(directory: DataDirectory): Promise<Secrets> {
  const path = (name: SecretName) => join(directory.secrets, name);
  const made: string[] = [];
  const secret = async (name: SecretName) => {
    if (!existsSync(path(name))) {
      made.push(path(name));
      await writeFileDurably(path(name), randomBytes(24).toString('base64url'), 0o600);
    }
    return readFileSync(path(name), 'utf8');
  };
  const passwords = SERVICE_NAMES.map(
    async (name) => [name, await secret(`database-${name}`)] as const,
  );
  return {
    databaseOwner: await secret('database-owner'),
    databasePasswords: Object.fromEntries(await Promise.all(passwords)) as Record<
      ServiceName,
      string
    >,
    adminToken: await secret('admin-token'),
    reference: (name) => fileSecret(path(name)),
    forgetNew() {
      for (const file of made) rmSync(file);
    },
  };
}
