import type { KeySigningService } from '@gigvault/proto/keymgr/v1/signing';
import type { Client } from '@gigvault/rpc/call';
import type { CrlSigner } from '../ports/crl-signer.ts';

/** Milliseconds; a large CRL takes a while to travel and to parse. */
const DEADLINE = 20_000;

/** Signs with keymgr. */
export function rpcCrlSigner(keymgr: Client<KeySigningService>): CrlSigner {
  return {
    async sign(keyId, intentId, tbs) {
      const request = { keyId, purpose: 'crlSign', intentId, tbs };
      return (await keymgr.sign(request, { deadline: DEADLINE })).signature;
    },
    async close(intentId) {
      const { signature, tombstoned } = await keymgr.closeSigning({ intentId });
      return tombstoned ? undefined : signature;
    },
  };
}
