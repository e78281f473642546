import { setImmediate as turn } from 'node:timers/promises';
import type { KeySigningService } from '@gigvault/proto/keymgr/v1/signing';
import type { Client } from '@gigvault/rpc/call';
import type { CrlSigner, ListSigning } from '../ports/crl-signer.ts';

/** Octets up to which a list travels in one message; longer ones travel part by part. */
const ONE_MESSAGE = 1_000_000;

/** Signs with keymgr. */
export function rpcCrlSigner(keymgr: Client<KeySigningService>): CrlSigner {
  return {
    begin: (keyId, intentId, length) =>
      length > ONE_MESSAGE
        ? inParts(keymgr, { keyId, intentId, length })
        : atOnce(keymgr, { keyId, intentId }),
    async close(intentId) {
      const { signature, tombstoned } = await keymgr.closeSigning({ intentId });
      return tombstoned ? undefined : signature;
    },
  };
}

function atOnce(
  keymgr: Client<KeySigningService>,
  about: { readonly keyId: string; readonly intentId: string },
): ListSigning {
  const parts: Buffer[] = [];
  return {
    push: (part) => void parts.push(part),
    async sign() {
      const tbs = Buffer.concat(parts);
      return (await keymgr.sign({ ...about, purpose: 'crlSign', tbs })).signature;
    },
  };
}

/** A key manager that was started again has forgotten the parts before (CONFLICT): the CRL stays intended, and is settled as after a crash. */
function inParts(
  keymgr: Client<KeySigningService>,
  about: { readonly keyId: string; readonly intentId: string; readonly length: number },
): ListSigning {
  let offset = 0;
  let sent: Promise<Buffer> = Promise.resolve(Buffer.alloc(0));

  return {
    push(part) {
      const request = { ...about, offset, part };
      offset += part.length;
      sent = sent.then(async () => {
        // In one process a call never lets the event loop turn by itself.
        await turn();
        return (await keymgr.signListPart(request)).signature;
      });
      // Told by `sign`, which waits for all of them.
      sent.catch(() => undefined);
    },
    sign: () => sent,
  };
}
