import type { CaEvent } from './event.ts';

/** An issuing CA as it is stored. It never changes once it exists. */
export interface IssuerRecord {
  readonly issuerId: string;
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

/** The issuing CAs of this service. */
export interface IssuerStore {
  find(issuerId: string): Promise<IssuerRecord | undefined>;
  /** By issuerId. There are few. */
  list(): Promise<readonly IssuerRecord[]>;
  /**
   * Stores the issuer and blocks the CA keys (SHA-256 of subjectPublicKeyInfo, hex) for subscribers, with its event.
   * False when the id is taken; nothing is stored then.
   */
  create(issuer: IssuerRecord, caKeys: readonly string[], event: CaEvent): Promise<boolean>;
}
