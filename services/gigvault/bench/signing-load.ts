import { type IdentityFiles, readIdentity } from '@gigvault/host/identity-files';
import { RPC } from '@gigvault/rpc/contracts';
import { createGrpcClients } from '@gigvault/rpc/grpc-client';
import { createMtlsIdentity } from '@gigvault/rpc/mtls-identity';
import { readPublicKey } from '@gigvault/x509/public-key';
import { ocspTbs } from '../../keymgr/test/signing-fixture.ts';
import type { Load } from './loads.ts';

/** Where keymgr is, and as whom it is asked. */
export interface SigningSetup {
  readonly trustDomain: string;
  /** Of the peer `ocsp`. */
  readonly identity: IdentityFiles;
  /** `host:port` of keymgr. */
  readonly address: string;
  /** `get` asks for a key's facts; `sign` for one signature; `batch` for BATCH of them at once. */
  readonly operation: 'get' | 'sign' | 'batch';
}

/** Signatures of one batch. */
export const BATCH = 100;

/** P-256 signatures of OCSP responses over mTLS gRPC, with a key of their own. */
export async function signingLoad(setup: SigningSetup): Promise<Load> {
  const identity = createMtlsIdentity('ocsp', setup.trustDomain, readIdentity(setup.identity));
  const clients = createGrpcClients(identity, { keymgr: setup.address });
  const keys = clients.client(RPC.key, 'keymgr');
  const signing = clients.client(RPC.keySigning, 'keymgr');
  const keyId = `ocsp-bench-${crypto.randomUUID()}`;
  const request = { keyId, keyType: 'ec-p256', purposes: ['ocspSign'], actor: 'service:ocsp' };
  const key = await keys.generateKey(request);
  const tbs = ocspTbs(readPublicKey(key.subjectPublicKeyInfo));
  const item = { keyId, purpose: 'ocspSign', intentId: '', tbs };
  const operations = {
    async get() {
      await keys.getKey({ keyId });
    },
    async sign() {
      await signing.sign(item);
    },
    async batch() {
      const { items } = await signing.signBatch({
        items: Array.from({ length: BATCH }, () => item),
      });
      const failed = items.find(({ errorCode }) => errorCode !== '');
      if (failed !== undefined) throw new Error(failed.errorMessage);
    },
  };
  return { prepare: async () => undefined, operation: operations[setup.operation] };
}
