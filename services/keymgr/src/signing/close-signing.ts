import type { CloseSigningResponse } from '@gigvault/proto/keymgr/v1/signing';
import type { PeerName } from '@gigvault/rpc/service-name';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { SignatureTable } from '../ports/signature-table.ts';
import { requireIntentId } from './sign.ts';

/**
 * Settles an intent whose caller does not know how it ended: the signature on record, or else a tombstone, after which nothing is ever
 * signed under it. The answer is the same for ever. Errors: INVALID_ARGUMENT.
 */
export async function closeSigning(
  deps: { readonly signatures: Pick<SignatureTable, 'close'> },
  intentId: string,
  caller: PeerName,
): Promise<CloseSigningResponse> {
  requireIntentId(intentId);
  const record = await durableStep('keymgr.tombstone', () =>
    deps.signatures.close(intentId, caller),
  );
  return record.status === 'signed'
    ? { signature: record.signature, tombstoned: false }
    : { signature: Buffer.alloc(0), tombstoned: true };
}
