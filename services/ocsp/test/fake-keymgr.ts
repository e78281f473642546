import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyService } from '@gigvault/proto/keymgr/v1/key';
import type { KeySigningService, SignRequest } from '@gigvault/proto/keymgr/v1/signing';
import type { Client } from '@gigvault/rpc/call';
import { signTbs } from '@gigvault/x509/signature';

/** A keymgr with software keys in memory. */
export interface FakeKeymgr {
  readonly signing: Client<KeySigningService>;
  readonly key: Client<KeyService>;
  /** SignBatch calls, by number of items. */
  readonly batches: number[];
  /** While true, every call fails. */
  down: boolean;
  /** While true, every signature is wrong. */
  lies: boolean;
}

/** Starts without keys. */
export function fakeKeymgr(): FakeKeymgr {
  const keys = new Map<string, KeyObject>();
  const sign = ({ keyId, purpose, tbs }: SignRequest) => {
    const key = keys.get(keyId);
    if (!key)
      return { signature: Buffer.alloc(0), errorCode: 'KEY_NOT_FOUND', errorMessage: keyId };
    if (purpose !== 'ocspSign') {
      return { signature: Buffer.alloc(0), errorCode: 'KEY_USE_REFUSED', errorMessage: purpose };
    }
    const what = fake.lies ? Buffer.from('something else') : tbs;
    return { signature: signTbs(key, what), errorCode: '', errorMessage: '' };
  };
  const describe = (keyId: string, key: KeyObject) => ({
    keyId,
    keyType: 'ec-p256',
    subjectPublicKeyInfo: publicOf(key),
    state: 'active',
    createdAt: 0,
    purposes: ['ocspSign'],
    callers: ['ocsp'],
    backend: 'memory',
  });
  const fake: FakeKeymgr = {
    batches: [],
    down: false,
    lies: false,
    signing: {
      sign: () => Promise.reject(new Error('not used')),
      signListPart: () => Promise.reject(new Error('not used')),
      closeSigning: () => Promise.reject(new Error('not used')),
      async signBatch({ items }) {
        if (fake.down) throw new GigvaultError('UNAVAILABLE', 'keymgr is down');
        fake.batches.push(items.length);
        return { items: items.map(sign) };
      },
    },
    key: {
      async generateKey({ keyId, purposes }) {
        if (fake.down) throw new GigvaultError('UNAVAILABLE', 'keymgr is down');
        if (keys.has(keyId)) throw new GigvaultError('ALREADY_EXISTS', keyId);
        if (purposes.join() !== 'ocspSign') throw new GigvaultError('KEY_USE_REFUSED', keyId);
        keys.set(keyId, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
        return describe(keyId, keys.get(keyId)!);
      },
      async getKey({ keyId }) {
        const key = keys.get(keyId);
        if (!key) throw new GigvaultError('KEY_NOT_FOUND', keyId);
        return describe(keyId, key);
      },
      requestSuccessor: () => Promise.reject(new Error('not used')),
      listKeys: () => Promise.reject(new Error('not used')),
    },
  };
  return fake;
}

function publicOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}
