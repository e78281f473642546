import type { Checkpoint } from '@gigvault/proto/audit/v1/audit';
import { z } from 'zod';
import type { LeafPlace, LogEntry } from '../proof/read-log.ts';

const base64 = z.string().describe('Base64');
const whole = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** A signed tree head. */
export const checkpointDocument = z.object({
  treeSize: z.int(),
  rootHash: base64,
  timestamp: z.iso.datetime(),
  /** C2SP signed note. */
  note: z.string(),
  /** SubjectPublicKeyInfo, DER. */
  publicKey: base64,
});

const eventDocument = z.object({
  producer: z.string(),
  position: z.int(),
  type: z.string(),
  occurredAt: z.iso.datetime(),
  actor: z.string(),
  subject: z.string(),
  traceId: z.string(),
  data: z.record(z.string(), z.unknown()),
});

/** A leaf, and the event in it; the event is null where the leaf was damaged. */
export const entryDocument = z.object({
  leafIndex: z.int(),
  leaf: base64,
  leafHash: base64,
  event: eventDocument.nullable(),
});

/** Leaves in order. */
export const entryPage = z.object({ items: z.array(entryDocument), nextStart: z.int().optional() });

/** RFC 6962 §2.1.1. */
export const inclusionDocument = z.object({
  entry: entryDocument,
  path: z.array(base64),
  checkpoint: checkpointDocument,
});

/** RFC 6962 §2.1.2. */
export const consistencyDocument = z.object({
  first: z.int(),
  second: z.int(),
  path: z.array(base64),
});

/** Position of a page. */
export const entriesQuery = z.strictObject({
  start: whole.default(0).describe('Index of the first leaf; `nextStart` of the page before'),
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe('Items of a page'),
});

/** A leaf by index, or by producer and position. */
export const proofQuery = z
  .strictObject({
    leafIndex: whole.optional(),
    producer: z.string().min(1).max(63).optional(),
    position: whole.optional(),
  })
  .refine(
    ({ leafIndex, producer, position }) =>
      (leafIndex !== undefined) !== (producer !== undefined) &&
      (producer !== undefined) === (position !== undefined),
    'must name leafIndex, or producer and position',
  );

/** Which leaf a query names. */
export function placeOf({ leafIndex, producer, position }: z.infer<typeof proofQuery>): LeafPlace {
  return leafIndex === undefined ? { producer: producer!, position: position! } : { leafIndex };
}

/** Two tree sizes. */
export const consistencyQuery = z.strictObject({ first: whole, second: whole });

/** A checkpoint as JSON. */
export function toCheckpointDocument(checkpoint: Checkpoint): z.infer<typeof checkpointDocument> {
  const { treeSize, rootHash, timestamp, note, publicKey } = checkpoint;
  return {
    treeSize,
    rootHash: rootHash.toString('base64'),
    timestamp: new Date(timestamp).toISOString(),
    note,
    publicKey: publicKey.toString('base64'),
  };
}

/** An entry as JSON. */
export function toEntryDocument({
  leafIndex,
  leaf,
  leafHash,
  event,
}: LogEntry): z.infer<typeof entryDocument> {
  const hex = { leafIndex, leaf: leaf.toString('base64'), leafHash: leafHash.toString('base64') };
  if (!event) return { ...hex, event: null };
  const { producer, position, type, occurredAt, actor, subject, traceId } = event;
  const data = JSON.parse(event.data.toString('utf8')) as Record<string, unknown>;
  const time = new Date(occurredAt).toISOString();
  return {
    ...hex,
    event: { producer, position, type, occurredAt: time, actor, subject, traceId, data },
  };
}
