import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileSecret, type SecretReference } from '@gigvault/config/secret';
import { writeFileDurably } from '@gigvault/host/atomic-file';
import { SERVICE_NAMES, type ServiceName } from '@gigvault/rpc/service-name';
import type { DataDirectory } from './data-directory.ts';

/** The installation's own secrets: files of mode 0600, made at the first start. */
export interface Secrets {
  readonly databaseOwner: string;
  readonly databasePasswords: Readonly<Record<ServiceName, string>>;
  readonly adminToken: string;
  /** Where a secret lies, for processes that read it themselves. */
  reference(name: SecretName): SecretReference;
}

/** Names of the files. */
export type SecretName = `database-${ServiceName}` | 'database-owner' | 'admin-token';

/** Reads the secrets, making those that are missing. */
export function openSecrets(directory: DataDirectory): Secrets {
  const path = (name: SecretName) => join(directory.secrets, name);
  const secret = (name: SecretName) => {
    if (!existsSync(path(name)))
      writeFileDurably(path(name), randomBytes(24).toString('base64url'), 0o600);
    return readFileSync(path(name), 'utf8');
  };
  return {
    databaseOwner: secret('database-owner'),
    databasePasswords: Object.fromEntries(
      SERVICE_NAMES.map((name) => [name, secret(`database-${name}`)]),
    ) as Record<ServiceName, string>,
    adminToken: secret('admin-token'),
    reference: (name) => fileSecret(path(name)),
  };
}
