import protobuf from 'protobufjs/minimal.js';

const WIRE_TYPE = 7;

/**
 * Throws a RangeError for a message that is cut off in a field: protobufjs shortens such a text without a word, so that one which was lost in part would
 * be taken for another. Of the message itself; not of messages in it, of which those of people have none.
 */
export function requireWhole(message: Uint8Array): void {
  const reader = protobuf.Reader.create(message);
  while (reader.pos < reader.len) reader.skipType(reader.uint32() & WIRE_TYPE);
}
