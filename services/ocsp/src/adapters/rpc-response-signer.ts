import { createBatcher } from '@gigvault/database/batcher';
import { fromErrorRecord, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeySigningService, SignBatchItem } from '@gigvault/proto/keymgr/v1/signing';
import type { Client } from '@gigvault/rpc/call';
import type { ResponseSigner } from '../ports/response-signer.ts';

/** Milliseconds. */
const DEADLINE = 5_000;
const MAX_ITEMS = 100;

interface Item {
  readonly keyId: string;
  readonly responseData: Buffer;
}

/** Signs with keymgr: responses that are asked for while a call is in flight share the next SignBatch. */
export function rpcResponseSigner(
  keymgr: Client<KeySigningService>,
  maxQueue: number,
): ResponseSigner {
  const batcher = createBatcher<Item, Buffer>({
    name: 'ocsp.sign',
    maxItems: MAX_ITEMS,
    maxQueue,
    run: async (items) => {
      try {
        return await signAll(keymgr, items);
      } catch (error) {
        return items.map(() => ({ ok: false as const, error }));
      }
    },
  });
  return { sign: (keyId, responseData) => batcher.submit({ keyId, responseData }) };
}

async function signAll(keymgr: Client<KeySigningService>, items: readonly Item[]) {
  const request = {
    items: items.map(({ keyId, responseData }) => ({
      keyId,
      purpose: 'ocspSign',
      intentId: '',
      tbs: responseData,
    })),
  };
  const response = await keymgr.signBatch(request, { deadline: DEADLINE });
  return items.map((_, i) => toResult(response.items[i]));
}

function toResult(item: SignBatchItem | undefined) {
  if (!item) {
    const error = new GigvaultError(
      'KEY_UNAVAILABLE',
      'The signer answered with too few signatures.',
    );
    return { ok: false as const, error };
  }
  if (item.errorCode) {
    const error = fromErrorRecord({ code: item.errorCode, message: item.errorMessage });
    return { ok: false as const, error };
  }
  return { ok: true as const, value: item.signature };
}
