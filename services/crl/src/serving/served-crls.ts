import { createHash } from 'node:crypto';
import { readCertList } from '@gigvault/x509/crl';
import type { ShardKey } from '../ports/shard.ts';
import type { PublishedCrl } from '../ports/shard-directory.ts';

/** A CRL in memory. Times are Unix ms. */
export interface ServedCrl {
  readonly issuerId: string;
  readonly crlShard: number;
  /** CertificateList, DER. */
  readonly der: Buffer;
  readonly crlNumber: number;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly entryCount: number;
  /** With quotes, as in the header. */
  readonly etag: string;
}

/** The CRLs that this process hands out. */
export interface ServedCrls {
  get(issuerId: string, crlShard: number): ServedCrl | undefined;
  /** Throws DerError when `crl.der` is not a CertificateList. */
  put(shard: ShardKey, crl: PublishedCrl): void;
  /** Every shard that should have a CRL, from now on. */
  expect(shards: readonly ShardKey[]): void;
  /** Expected shards without a CRL, and all CRLs. */
  overview(): { readonly missing: readonly ShardKey[]; readonly all: readonly ServedCrl[] };
}

/** Starts empty. */
export function createServedCrls(): ServedCrls {
  const crls = new Map<string, ServedCrl>();
  let expected: readonly ShardKey[] = [];
  return {
    get: (issuerId, crlShard) => crls.get(`${issuerId}/${crlShard}`),
    put({ issuerId, crlShard }, crl) {
      crls.set(`${issuerId}/${crlShard}`, { issuerId, crlShard, ...describe(crl) });
    },
    expect(shards) {
      expected = shards.map(({ issuerId, crlShard }) => ({ issuerId, crlShard }));
    },
    overview: () => ({
      missing: expected.filter(({ issuerId, crlShard }) => !crls.has(`${issuerId}/${crlShard}`)),
      all: [...crls.values()],
    }),
  };
}

function describe({ der, entryCount }: PublishedCrl): Omit<ServedCrl, keyof ShardKey> {
  const list = readCertList(der);
  return {
    der,
    crlNumber: Number(list.crlNumber),
    thisUpdate: list.thisUpdate,
    nextUpdate: list.nextUpdate,
    entryCount,
    etag: `"${createHash('sha256').update(der).digest('base64url')}"`,
  };
}
