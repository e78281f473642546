import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { SignBatchItem, SignRequest } from '@gigvault/proto/keymgr/v1/signing';
import type { PeerName } from '@gigvault/rpc/service-name';
import { type SignDeps, sign } from './sign.ts';

const MAX_ITEMS = 1000;

/**
 * Signs each item by itself; their records share transactions. One result an item, in order; a bad item does not fail its neighbours.
 * Errors: INVALID_ARGUMENT unless there are 1 to 1000 items.
 */
export async function signBatch(
  deps: SignDeps,
  items: readonly SignRequest[],
  caller: PeerName,
): Promise<SignBatchItem[]> {
  if (items.length < 1 || items.length > MAX_ITEMS) {
    throw new GigvaultError('INVALID_ARGUMENT', `A batch has 1 to ${MAX_ITEMS} items.`);
  }
  return Promise.all(items.map((item) => signItem(deps, item, caller)));
}

async function signItem(
  deps: SignDeps,
  item: SignRequest,
  caller: PeerName,
): Promise<SignBatchItem> {
  try {
    return { signature: await sign(deps, item, caller), errorCode: '', errorMessage: '' };
  } catch (error) {
    const known = asGigvaultError(error);
    if (known.code === 'INTERNAL')
      deps.log.error({ error, operation: 'signBatch' }, 'signing failed');
    return { signature: Buffer.alloc(0), errorCode: known.code, errorMessage: known.message };
  }
}
