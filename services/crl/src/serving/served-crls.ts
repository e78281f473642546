import type { CrlBodies, CrlBody } from '../ports/crl-bodies.ts';
import type { ShardKey } from '../ports/shard.ts';
import type { PublishedCrl } from '../ports/shard-directory.ts';

/** A CRL that is handed out. Times are Unix ms. */
export interface ServedCrl extends ShardKey, Omit<PublishedCrl, 'parts'> {
  readonly body: CrlBody;
}

/** The CRLs that this process hands out. */
export interface ServedCrls {
  get(issuerId: string, crlShard: number): ServedCrl | undefined;
  /** Serves this one from now on; the one before is served until it is whole. Errors: those of CrlBodies.keep. */
  put(shard: ShardKey, crl: PublishedCrl): Promise<void>;
  /** Its octets are gone from where they were kept: it is not served, until it is taken up again. */
  lost(crl: ServedCrl): void;
  /** Every shard that should have a CRL, from now on. */
  expect(shards: readonly ShardKey[]): void;
  /** Expected shards without a CRL, and all CRLs. */
  overview(): { readonly missing: readonly ShardKey[]; readonly all: readonly ServedCrl[] };
}

/** Starts empty. */
export function createServedCrls(bodies: CrlBodies): ServedCrls {
  const crls = new Map<string, ServedCrl>();
  let expected: readonly ShardKey[] = [];
  return {
    get: (issuerId, crlShard) => crls.get(`${issuerId}/${crlShard}`),
    async put({ issuerId, crlShard }, { parts, ...crl }) {
      const body = await bodies.keep({ issuerId, crlShard }, { parts, ...crl });
      const key = `${issuerId}/${crlShard}`;
      const before = crls.get(key);
      crls.set(key, { issuerId, crlShard, ...crl, body });
      await before?.body.discard();
    },
    lost(crl) {
      const key = `${crl.issuerId}/${crl.crlShard}`;
      if (crls.get(key) === crl) crls.delete(key);
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
