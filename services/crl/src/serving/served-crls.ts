import type { CrlBodies, CrlBody } from '../ports/crl-bodies.ts';
import type { ShardKey } from '../ports/shard.ts';
import type { PublishedCrl } from '../ports/shard-directory.ts';

/** A CRL that is handed out. Times are Unix ms. */
export interface ServedCrl extends ShardKey, Omit<PublishedCrl, 'parts'> {
  readonly body: CrlBody;
}

/** What is known of a shard beside its name; what one look does not tell stays as it was. */
type ExpectedShard = ShardKey & {
  readonly endsAt?: number | undefined;
  readonly prepared?: boolean;
};

/** The CRLs that this process hands out. */
export interface ServedCrls {
  get(issuerId: string, crlShard: number): ServedCrl | undefined;
  /** Serves this one from now on; the one before is served until it is whole. Errors: those of CrlBodies.keep. */
  put(shard: ShardKey, crl: PublishedCrl): Promise<void>;
  /** Its octets are gone from where they were kept: it is not served, until it is taken up again. */
  lost(crl: ServedCrl): void;
  /** These shards should have a CRL, from now on. @param shards with `endsAt`, Unix ms, of a CA whose last CRL ends then; `prepared` ones are not missed: nobody has a certificate of them */
  expect(shards: readonly ExpectedShard[]): void;
  /** From now on every shard of every CA is expected. */
  complete(): void;
  /** Whether a shard that has no CRL here may get one: it is expected, or perhaps not known yet. */
  mayCome(issuerId: string, crlShard: number): boolean;
  /** Expected shards without a CRL, all CRLs, and those of them that others are to follow. */
  overview(): {
    readonly missing: readonly ShardKey[];
    readonly all: readonly ServedCrl[];
    readonly renewed: readonly ServedCrl[];
  };
}

/** Starts empty. @param handedIn whose CRLs others make: they may come at any time, and are not missed */
export function createServedCrls(
  bodies: CrlBodies,
  handedIn: readonly ShardKey[] = [],
): ServedCrls {
  const crls = new Map<string, ServedCrl>();
  // A shard is never given up, so none is ever taken out.
  const expected = new Map<string, ExpectedShard>();
  const awaited = new Set(handedIn.map(keyOf));
  let isComplete = false;
  return {
    get: (issuerId, crlShard) => crls.get(keyOf({ issuerId, crlShard })),
    async put({ issuerId, crlShard }, { parts, ...crl }) {
      const body = await bodies.keep({ issuerId, crlShard }, { parts, ...crl });
      const key = keyOf({ issuerId, crlShard });
      const before = crls.get(key);
      crls.set(key, { issuerId, crlShard, ...crl, body });
      await before?.body.discard();
    },
    lost(crl) {
      const key = keyOf(crl);
      if (crls.get(key) === crl) crls.delete(key);
    },
    expect(shards) {
      for (const { issuerId, crlShard, endsAt, prepared } of shards) {
        const key = keyOf({ issuerId, crlShard });
        const known = prepared ?? expected.get(key)?.prepared ?? false;
        expected.set(key, { issuerId, crlShard, endsAt, prepared: known });
      }
    },
    complete() {
      isComplete = true;
    },
    mayCome(issuerId, crlShard) {
      const key = keyOf({ issuerId, crlShard });
      return !isComplete || expected.has(key) || awaited.has(key);
    },
    overview: () => ({
      missing: [...expected]
        .filter(([key, { prepared }]) => !crls.has(key) && prepared !== true)
        .map(([, shard]) => shard),
      all: [...crls.values()],
      renewed: [...crls]
        .filter(([key, crl]) => !isLast(crl, expected.get(key)))
        .map(([, crl]) => crl),
    }),
  };
}

function isLast({ nextUpdate }: ServedCrl, shard: ExpectedShard | undefined): boolean {
  return shard?.endsAt !== undefined && nextUpdate >= shard.endsAt;
}

function keyOf({ issuerId, crlShard }: ShardKey): string {
  return `${issuerId}/${crlShard}`;
}
