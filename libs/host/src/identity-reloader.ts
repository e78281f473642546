import { createSecureContext } from 'node:tls';
import type { MtlsIdentity } from '@gigvault/rpc/mtls-identity';
import { type IdentityFiles, readIdentity } from './identity-files.ts';
import type { Reloader } from './service.ts';

/** Takes over an mTLS identity that somebody else put into its files. */
export function identityReloader(identity: MtlsIdentity, files: IdentityFiles): Reloader {
  return {
    name: 'service certificate',
    reload() {
      const found = readIdentity(files);
      // Throws for what TLS cannot use: a key of another certificate, half a file.
      createSecureContext({ ca: found.servicesCa, cert: found.certificate, key: found.privateKey });
      const { servicesCa, certificate, privateKey } = identity.current();
      const isSame =
        found.servicesCa === servicesCa &&
        found.certificate === certificate &&
        found.privateKey === privateKey;
      if (!isSame) identity.replace(found);
    },
  };
}
