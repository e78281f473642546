import { describe, expect, it } from '@jest/globals';
import { KEYSTORE, methodsOf, type RpcMethod } from './contract-descriptors.ts';
import { requireWhole } from './wire-format.ts';

const { requestSerialize, requestDeserialize } = methodsOf({ fullName: KEYSTORE })[
  'Verify'
] as RpcMethod;
const MESSAGE = requestSerialize({
  keyId: 'my-key',
  data: Buffer.from('data'),
  signature: Buffer.alloc(200, 1),
  version: 300,
});

describe('a message', () => {
  it('that is whole is taken, an empty one too', () => {
    expect(() => requireWhole(MESSAGE)).not.toThrow();
    expect(() => requireWhole(Buffer.alloc(0))).not.toThrow();
  });

  it('that ends in the middle of a field is refused, wherever that is', () => {
    const ends = Array.from({ length: MESSAGE.length }, (_, length) => length);
    const taken = ends.filter((length) => {
      try {
        requireWhole(MESSAGE.subarray(0, length));
        return true;
      } catch {
        return false;
      }
    });
    // The beginnings of its four fields: there another, shorter message ends.
    expect(taken).toEqual([0, 8, 14, 217]);
  });

  it('whose text is longer than the message is refused, which its decoder would not do', () => {
    const cutOff = Buffer.from([0x0a, 64, ...Buffer.from('my-key')]);
    expect(requestDeserialize(cutOff)).toMatchObject({ keyId: 'my-key' });
    expect(() => requireWhole(cutOff)).toThrow(RangeError);
  });
});
