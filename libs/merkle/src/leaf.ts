import { isUtf8 } from 'node:buffer';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Event } from '@gigvault/proto/event/v1/event_log';

/** The form of leaves; it stands in each. */
const VERSION = 1;

/**
 * An event as the bytes that stand in the tree: one canonical JSON object, UTF-8, keys sorted, no spaces, the event's data unchanged
 * inside: `{"actor":…,"data":{…},"occurredAt":…,"position":…,"producer":…,"subject":…,"traceId":…,"type":…,"v":1}`.
 * Errors: INVALID_ARGUMENT when the data is not a JSON object in UTF-8.
 */
export function encodeLeaf(event: Event): Buffer {
  const data = event.data.toString('utf8');
  if (!isUtf8(event.data) || !isJsonObject(data)) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The data of event ${event.position} of ${event.producer} is not a JSON object.`,
    );
  }
  return Buffer.from(write(event, data));
}

/** The event in a leaf. Errors: INVALID_ARGUMENT when the bytes are not what encodeLeaf makes. */
export function decodeLeaf(leaf: Buffer): Event {
  const text = leaf.toString('utf8');
  try {
    const { actor, occurredAt, position, producer, subject, traceId, type } = JSON.parse(
      text,
    ) as Event;
    const event = {
      position,
      producer,
      type,
      occurredAt,
      actor,
      subject,
      traceId,
      data: Buffer.alloc(0),
    };
    // The data's own bytes: parsed and written again they might not be the same.
    const [before, after] = write(event, '\0').split('\0');
    const data = text.slice(before!.length, text.length - after!.length);
    const decoded = { ...event, data: Buffer.from(data) };
    if (encodeLeaf(decoded).equals(leaf)) return decoded;
  } catch (cause) {
    if (
      !(
        cause instanceof SyntaxError ||
        cause instanceof GigvaultError ||
        cause instanceof TypeError
      )
    )
      throw cause;
  }
  throw new GigvaultError('INVALID_ARGUMENT', 'This is not a leaf of the audit log.');
}

function write(event: Event, data: string): string {
  const { actor, occurredAt, position, producer, subject, traceId, type } = event;
  const [head, tail] = [
    JSON.stringify({ actor }),
    JSON.stringify({ occurredAt, position, producer, subject, traceId, type, v: VERSION }),
  ];
  return `${head.slice(0, -1)},"data":${data},${tail.slice(1)}`;
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
