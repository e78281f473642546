import type { CaEvent } from './event.ts';

/** An issuing CA's key and certificate as they are stored. They never change once they exist. */
export interface IssuerRecord {
  readonly issuerId: string;
  /** The CA through all of its keys: the issuerId of its first one. Profiles name it. */
  readonly line: string;
  /** Which key of the CA it is, from 1. */
  readonly generation: number;
  /** CA certificate, DER. */
  readonly certificate: Buffer;
  /** From this CA's issuer up to the root, DER. */
  readonly chain: readonly Buffer[];
  /** keymgr's id of the CA's key. */
  readonly keyId: string;
  /** Shards are numbered from 0. */
  readonly crlShards: number;
  readonly ocspUrl: string;
  /** A certificate's distribution point is `<crlBaseUrl>/<shard>.crl`. */
  readonly crlBaseUrl: string;
  readonly issuerUrl: string;
  /** Issues certificates that leave the house. */
  readonly public: boolean;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/**
 * `prepared` → `current` → `superseded` → `retired`, never back. Prepared: OCSP and CRLs are made ready for it. Current: it issues for its line.
 * Superseded: another key of the line does; what it has issued has its status. Retired: all of that is over.
 */
export type IssuerState = 'prepared' | 'current' | 'superseded' | 'retired';

/** Where an issuer stands among the keys of its line, at this moment. */
export interface IssuerPlace extends Pick<IssuerRecord, 'issuerId' | 'line' | 'generation'> {
  readonly state: IssuerState;
  /** Somebody has wanted a key after this one. */
  readonly successorBegun: boolean;
}

/** The issuing CAs of this service. */
export interface IssuerStore {
  find(issuerId: string): Promise<IssuerRecord | undefined>;
  /** By issuerId. There are few. */
  list(): Promise<readonly IssuerRecord[]>;
  /** Of every issuer, by issuerId. */
  places(): Promise<readonly IssuerPlace[]>;
  /**
   * Stores the issuer and blocks the CA keys (SHA-256 of subjectPublicKeyInfo, hex) for subscribers, with its event: the first key of a line is
   * current, a further one prepared. False when the id, or the generation of the line, is taken; nothing is stored then.
   */
  create(issuer: IssuerRecord, caKeys: readonly string[], event: CaEvent): Promise<boolean>;
}
