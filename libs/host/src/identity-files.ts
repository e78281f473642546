import { readFileSync } from 'node:fs';
import type { MtlsMaterial } from '@gigvault/rpc/mtls-identity';

/** Where a peer's mTLS identity lies. */
export interface IdentityFiles {
  readonly servicesCa: string;
  readonly certificate: string;
  readonly privateKey: string;
}

/** The identity that lies in these files. */
export function readIdentity(files: IdentityFiles): MtlsMaterial {
  return {
    servicesCa: readFileSync(files.servicesCa, 'utf8'),
    certificate: readFileSync(files.certificate, 'utf8'),
    privateKey: readFileSync(files.privateKey, 'utf8'),
  };
}
