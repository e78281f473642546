import type { KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Issuer, IssuerService } from '@gigvault/proto/ca/v1/issuer';
import type { Client } from '@gigvault/rpc/call';
import { type FakeEventLog, fakeEventLog } from '@gigvault/testkit/fake-event-log';
import { selfSignedCa } from '@gigvault/testkit/self-signed-ca';
import type { Clock } from '@gigvault/time/clock';
import { newSerialNumber } from '@gigvault/x509/serial-number';

const DAY = 86_400_000;

/** A `ca` in memory that tells of issuers and revocations. */
export interface FakeCa {
  readonly issuers: Issuer[];
  readonly events: FakeEventLog;
  readonly issuer: Client<IssuerService>;
  /** While true, ListIssuers fails. */
  down: boolean;
  /** Issuers that were confirmed; each is current from then on. */
  readonly confirmed: string[];
  /** Adds a CA; its key is put into `keys` as `ca-<issuerId>`. */
  addIssuer(
    issuerId: string,
    crlShards: number,
    keys: Map<string, KeyObject>,
    state?: string,
  ): Issuer;
  /** Gives a CA another state, and tells of it. */
  move(issuerId: string, state: string): void;
  /** Tells of a revocation; returns the serial number. */
  revoke(revocation?: Partial<FakeRevocation>): string;
}

/** What a `certificate.revoked` event says. */
export interface FakeRevocation {
  readonly issuerId: string;
  readonly serialNumber: string;
  readonly crlShard: number;
  readonly revokedAt: number;
  readonly reasonCode: number;
  readonly notAfter: number;
}

/** Starts without issuers. */
export function fakeCa(clock: Clock): FakeCa {
  const events = fakeEventLog(clock);
  const ca: FakeCa = {
    issuers: [],
    confirmed: [],
    events,
    down: false,
    issuer: {
      listProfiles: () => Promise.reject(new Error('not used')),
      createIssuer: () => Promise.reject(new Error('not used')),
      async listIssuers() {
        if (ca.down) throw new GigvaultError('UNAVAILABLE', 'ca is down');
        return { issuers: [...ca.issuers] };
      },
      async confirmIssuer({ issuerId }) {
        if (ca.down) throw new GigvaultError('UNAVAILABLE', 'ca is down');
        ca.confirmed.push(issuerId);
        ca.move(issuerId, 'current');
        return {};
      },
    },
    addIssuer(issuerId, crlShards, keys, state = 'current') {
      const keyId = `ca-${issuerId}`;
      const { privateKey, certificate } = selfSignedCa(`Test CA ${issuerId}`, clock.now());
      keys.set(keyId, privateKey);
      const issuer: Issuer = {
        issuerId,
        certificate,
        chain: [],
        keyId,
        crlShards,
        ocspUrl: '',
        crlBaseUrl: `http://status.test/crl/${issuerId}`,
        issuerUrl: '',
        public: issuerId === 'issuing',
        line: 'issuing',
        generation: 1,
        state,
      };
      ca.issuers.push(issuer);
      events.append('issuer.created', issuerId, { issuerId });
      return issuer;
    },
    move(issuerId, state) {
      const at = ca.issuers.findIndex((issuer) => issuer.issuerId === issuerId);
      ca.issuers[at] = { ...(ca.issuers[at] as Issuer), state };
      events.append(`issuer.${state}`, issuerId, { issuerId });
    },
    revoke(revocation = {}) {
      const data: FakeRevocation = {
        issuerId: 'issuing',
        serialNumber: newSerialNumber(),
        crlShard: 0,
        revokedAt: clock.now(),
        reasonCode: 1,
        notAfter: clock.now() + 30 * DAY,
        ...revocation,
      };
      events.append('certificate.revoked', data.serialNumber, data);
      return data.serialNumber;
    },
  };
  return ca;
}
