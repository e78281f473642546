import type { KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeySigningService } from '@gigvault/proto/keymgr/v1/signing';
import type { Client } from '@gigvault/rpc/call';
import { readTbsCertList } from '@gigvault/x509/crl';
import { signTbs } from '@gigvault/x509/signature';

/** A keymgr with software keys in memory, which records signatures under their intents. */
export interface FakeKeymgr {
  readonly signing: Client<KeySigningService>;
  readonly keys: Map<string, KeyObject>;
  /** CRL numbers in the order in which they were signed. */
  readonly signed: number[];
  /** `down`: nothing is done; `lost`: it is signed, and the answer gets lost; `lies`: the signature is wrong; `forgets`: it is started again between two parts of a list. */
  mode: 'well' | 'down' | 'lost' | 'lies' | 'forgets';
}

/** Starts without keys. */
export function fakeKeymgr(): FakeKeymgr {
  const arriving = new Map<string, Buffer[]>();
  const recorded = new Map<string, Buffer | 'tombstone'>();
  const down = () => new GigvaultError('UNAVAILABLE', 'keymgr is down');
  const fake: FakeKeymgr = {
    keys: new Map(),
    signed: [],
    mode: 'well',
    signing: {
      signBatch: () => Promise.reject(new Error('not used')),
      async sign({ keyId, purpose, intentId, tbs }) {
        if (fake.mode === 'down') throw down();
        const key = fake.keys.get(keyId);
        if (!key || purpose !== 'crlSign') throw new GigvaultError('KEY_USE_REFUSED', keyId);
        if (recorded.get(intentId) === 'tombstone')
          throw new GigvaultError('SIGNING_CLOSED', intentId);
        const signature = signTbs(key, fake.mode === 'lies' ? Buffer.from('other') : tbs);
        recorded.set(intentId, signature);
        fake.signed.push(Number(readTbsCertList(tbs).crlNumber));
        if (fake.mode === 'lost') throw down();
        return { signature };
      },
      async signListPart({ keyId, intentId, length, offset, part }) {
        if (fake.mode === 'forgets' && offset > 100_000) {
          arriving.clear();
          fake.mode = 'well';
        }
        const parts = offset === 0 ? [] : (arriving.get(intentId) ?? []);
        if (parts.reduce((sum, one) => sum + one.length, 0) !== offset)
          throw new GigvaultError('CONFLICT', intentId);
        parts.push(part);
        arriving.set(intentId, parts);
        if (offset + part.length < length) return { signature: Buffer.alloc(0) };
        arriving.delete(intentId);
        const tbs = Buffer.concat(parts);
        return fake.signing.sign({ keyId, purpose: 'crlSign', intentId, tbs });
      },
      async closeSigning({ intentId }) {
        if (fake.mode === 'down') throw down();
        const known = recorded.get(intentId) ?? 'tombstone';
        recorded.set(intentId, known);
        const tombstoned = known === 'tombstone';
        return { signature: tombstoned ? Buffer.alloc(0) : known, tombstoned };
      },
    },
  };
  return fake;
}
