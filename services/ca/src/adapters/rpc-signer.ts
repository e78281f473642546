import { type BatchResult, createBatcher } from '@gigvault/database/batcher';
import { asGigvaultError, fromErrorRecord, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyService } from '@gigvault/proto/keymgr/v1/key';
import type { KeySigningService, SignBatchItem } from '@gigvault/proto/keymgr/v1/signing';
import type { Client } from '@gigvault/rpc/call';
import type { KeyDirectory, Signer, SigningOrder, SuccessorKeys } from '../ports/signer.ts';

/** How many signatures one call may ask for, and how many may wait. */
export interface SignerBatch {
  readonly maxItems: number;
  readonly maxQueue: number;
}

/** Signs through keymgr; orders that arrive while a call is in flight share the next one. */
export function createRpcSigner(client: Client<KeySigningService>, batch: SignerBatch): Signer {
  const signing = createBatcher<SigningOrder, Buffer>({
    name: 'ca.sign',
    ...batch,
    run: (orders) => signBatch(client, orders),
  });
  return {
    sign: (order) => signing.submit(order),
    async close(intentId) {
      const { signature, tombstoned } = await client.closeSigning({ intentId });
      if (tombstoned) return { tombstoned: true };
      if (signature.length === 0) {
        throw new GigvaultError('INTERNAL', 'keymgr closed a signing without an outcome.');
      }
      return { signature };
    },
  };
}

/**
 * Never throws: the batcher would send the halves of a failed batch again, and an order whose result is unknown
 * must not be sent twice.
 */
async function signBatch(
  client: Client<KeySigningService>,
  orders: readonly SigningOrder[],
): Promise<BatchResult<Buffer>[]> {
  try {
    const { items } = await client.signBatch({
      items: orders.map(({ keyId, intentId, tbs }) => ({
        keyId,
        purpose: 'certSign',
        intentId,
        tbs,
      })),
    });
    return orders.map((_, index) => resultOf(items[index]));
  } catch (error) {
    return orders.map(() => ({ ok: false, error: asGigvaultError(error) }));
  }
}

function resultOf(item: SignBatchItem | undefined): BatchResult<Buffer> {
  if (item === undefined) {
    return { ok: false, error: new GigvaultError('INTERNAL', 'keymgr left an item unanswered.') };
  }
  if (item.errorCode !== '') {
    return {
      ok: false,
      error: fromErrorRecord({ code: item.errorCode, message: item.errorMessage }),
    };
  }
  return { ok: true, value: item.signature };
}

/** Public keys from keymgr. */
export function createRpcKeyDirectory(client: Client<KeyService>): KeyDirectory {
  return {
    publicKeyOf: async (keyId) => (await client.getKey({ keyId })).subjectPublicKeyInfo,
  };
}

/** Next keys of CAs from keymgr. */
export function createRpcSuccessorKeys(client: Client<KeyService>): SuccessorKeys {
  return {
    async request(keyId, generation, actor) {
      const successor = await client.requestSuccessor({ keyId, generation, actor });
      const { key, certificationRequest } = successor;
      if (key === undefined) throw new GigvaultError('INTERNAL', 'keymgr made no key.');
      return { keyId: key.keyId, certificationRequest };
    },
  };
}
