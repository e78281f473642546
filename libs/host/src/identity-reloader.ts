import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { MtlsIdentity, MtlsMaterial } from '@gigvault/rpc/mtls-identity';
import { spiffeId } from '@gigvault/rpc/service-name';
import { type IdentityFiles, readIdentity } from './identity-files.ts';
import type { Reloader } from './service.ts';

/** Takes over an mTLS identity that somebody else put into its files, when this peer can be known by it. */
export function identityReloader(identity: MtlsIdentity, files: IdentityFiles): Reloader {
  return {
    name: 'service certificate',
    reload() {
      const found = readIdentity(files);
      const { servicesCa, certificate, privateKey } = identity.current();
      const isSame =
        found.servicesCa === servicesCa &&
        found.certificate === certificate &&
        found.privateKey === privateKey;
      if (isSame) return;
      const why = whyUseless(identity, found);
      if (why !== undefined)
        throw new GigvaultError('INVALID_ARGUMENT', `${files.privateKey} is not used: ${why}.`);
      identity.replace(found);
    },
  };
}

/** Why the others would not take it for this peer's; undefined when they would. */
function whyUseless(
  { peer, trustDomain }: MtlsIdentity,
  { servicesCa, certificate, privateKey }: MtlsMaterial,
): string | undefined {
  try {
    // Throws for what TLS cannot use: a key of another certificate, half a file.
    createSecureContext({ ca: servicesCa, cert: certificate, key: privateKey });
  } catch (error) {
    return `TLS cannot use it (${(error as Error).message})`;
  }
  const [own, ca] = [new X509Certificate(certificate), new X509Certificate(servicesCa)];
  const name = `URI:${spiffeId(trustDomain, peer)}`;
  if (own.subjectAltName !== name)
    return `it is for ${own.subjectAltName ?? 'nobody'}, not for ${name}`;
  return own.checkIssued(ca) && own.verify(ca.publicKey)
    ? undefined
    : 'it is not signed by the services CA';
}
