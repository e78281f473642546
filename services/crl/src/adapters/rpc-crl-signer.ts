import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeySigningService } from '@gigvault/proto/keymgr/v1/signing';
import type { Client } from '@gigvault/rpc/call';
import type { CrlSigner } from '../ports/crl-signer.ts';

/** Octets up to which a list travels in one message; longer ones travel part by part. */
const ONE_MESSAGE = 1_000_000;

/** Signs with keymgr. */
export function rpcCrlSigner(keymgr: Client<KeySigningService>): CrlSigner {
  return {
    async sign(keyId, intentId, tbs, passing) {
      const length = tbs.reduce((total, part) => total + part.length, 0);
      if (length > ONE_MESSAGE) return signParts(keymgr, { keyId, intentId, length }, tbs, passing);
      for (const part of tbs) await passing(part);
      const request = { keyId, purpose: 'crlSign', intentId, tbs: Buffer.concat(tbs) };
      return (await keymgr.sign(request)).signature;
    },
    async close(intentId) {
      const { signature, tombstoned } = await keymgr.closeSigning({ intentId });
      return tombstoned ? undefined : signature;
    },
  };
}

/** A key manager that was started again has forgotten the parts before (CONFLICT): the CRL stays intended, and is settled as after a crash. */
async function signParts(
  keymgr: Client<KeySigningService>,
  about: { readonly keyId: string; readonly intentId: string; readonly length: number },
  tbs: readonly Buffer[],
  passing: (part: Buffer) => Promise<void>,
): Promise<Buffer> {
  let offset = 0;
  for (const part of tbs) {
    await passing(part);
    const { signature } = await keymgr.signListPart({ ...about, offset, part });
    offset += part.length;
    if (offset === about.length) return signature;
  }
  throw new GigvaultError('INTERNAL', 'A list without parts cannot be signed.');
}
