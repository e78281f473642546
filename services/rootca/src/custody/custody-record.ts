import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { z } from 'zod';
import type { Custody } from '../plan/plan.ts';
import { type Share, shareHash } from './share.ts';

/** Schema of CustodyRecord. */
export const custodyRecordSchema = z.strictObject({
  /** 8 hex digits. */
  setId: z.string().regex(/^[0-9a-f]{8}$/),
  isRehearsal: z.boolean(),
  threshold: z.number().int().min(2),
  holders: z
    .array(z.strictObject({ name: z.string(), shareSha256: z.string().regex(/^[0-9a-f]{64}$/) }))
    .min(2),
});

/** Who holds which share of a set: what stands in `custody.json`. Public; a wrong share is known by it before anything is opened. */
export type CustodyRecord = z.infer<typeof custodyRecordSchema>;

/** The record of shares that were just made, one a holder. */
export function recordOf({ threshold, holders }: Custody, shares: readonly Share[]): CustodyRecord {
  const [{ setId, isRehearsal }] = shares as readonly [Share];
  return {
    setId,
    isRehearsal,
    threshold,
    holders: shares.map((share, i) => ({
      name: holders[i] as string,
      shareSha256: shareHash(share),
    })),
  };
}

/** As it is stored. */
export function writeCustodyRecord(record: CustodyRecord): string {
  return `${JSON.stringify(record, undefined, 2)}\n`;
}

/** Errors: INVALID_ARGUMENT for anything else than writeCustodyRecord made. */
export function readCustodyRecord(text: string): CustodyRecord {
  try {
    return custodyRecordSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new GigvaultError('INVALID_ARGUMENT', 'custody.json does not say who holds the shares.', {
      cause,
    });
  }
}
