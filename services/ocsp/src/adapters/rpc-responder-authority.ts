import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { IssuanceService } from '@gigvault/proto/ca/v1/issuance';
import type { IssuerService } from '@gigvault/proto/ca/v1/issuer';
import type { KeyService } from '@gigvault/proto/keymgr/v1/key';
import type { Client } from '@gigvault/rpc/call';
import type { ResponderAuthority } from '../ports/responder-authority.ts';

/** The services that make responders. */
export interface AuthorityClients {
  readonly issuer: Client<IssuerService>;
  readonly issuance: Client<IssuanceService>;
  readonly key: Client<KeyService>;
}

/** Keys from keymgr, certificates from ca. */
export function rpcResponderAuthority(clients: AuthorityClients): ResponderAuthority {
  return {
    async issuers() {
      const { issuers } = await clients.issuer.listIssuers({});
      return issuers
        .filter((issuer) => issuer.public && issuer.state !== 'retired')
        .map(({ issuerId, certificate, state }) => ({
          issuerId,
          certificate,
          prepared: state === 'prepared',
        }));
    },
    async confirm(issuerId) {
      await clients.issuer.confirmIssuer({ issuerId });
    },
    publicKey: (keyId) => publicKey(clients.key, keyId),
    async certify({ requestId, issuerId, subjectPublicKeyInfo }) {
      const issued = await clients.issuance.issueInternalCertificate({
        requestId,
        profile: 'ocsp-signer',
        issuerId,
        // keymgr signs no requests: for this profile `ca` asks keymgr whether the key is ours.
        certificationRequest: subjectPublicKeyInfo,
      });
      return issued.certificate;
    },
  };
}

async function publicKey(keys: Client<KeyService>, keyId: string): Promise<Buffer> {
  try {
    const key = await keys.generateKey({
      keyId,
      keyType: 'ec-p256',
      purposes: ['ocspSign'],
      actor: 'service:ocsp',
    });
    return key.subjectPublicKeyInfo;
  } catch (error) {
    if (!(error instanceof GigvaultError) || error.code !== 'ALREADY_EXISTS') throw error;
    return (await keys.getKey({ keyId })).subjectPublicKeyInfo;
  }
}
