/** How a value of one type stands on the wire. */
interface Encoding<V> {
  /** The type's OID (pg_type.dat). */
  readonly oid: number;
  /** Octets of a value, or of every value. */
  readonly octets: number | ((value: V) => number);
  /** False, or a RangeError, for a value that the type cannot hold. */
  readonly write: (target: Buffer, value: V, offset: number) => unknown;
}

/**
 * A column of many rows as one parameter, for `unnest($1::uuid[], $2::bytea[], …)`: an array in PostgreSQL's binary format. A JavaScript array
 * would travel as text: each `bytea` in hexadecimal, every quote escaped, and parsed at the other end by the character.
 * Errors: RangeError for a value that the type cannot hold.
 */
export const column = {
  uuid: columnOf<string>({
    oid: 2950,
    octets: 16,
    write: writeUuid,
  }),
  text: columnOf<string>({
    oid: 25,
    octets: (value) => Buffer.byteLength(value),
    write: (target, value, offset) => target.write(value, offset),
  }),
  bytea: columnOf<Uint8Array>({
    oid: 17,
    octets: (value) => value.length,
    write: (target, value, offset) => target.set(value, offset),
  }),
  smallint: columnOf<number>({
    oid: 21,
    octets: 2,
    write: (target, value, offset) => target.writeInt16BE(value, offset),
  }),
  integer: columnOf<number>({
    oid: 23,
    octets: 4,
    write: (target, value, offset) => target.writeInt32BE(value, offset),
  }),
  /** Safe integers only. */
  bigint: columnOf<number>({ oid: 20, octets: 8, write: writeBigint }),
} as const;

/** The array's header (array_recv): dimensions, whether there are nulls, the element's OID, then length and lower bound of the dimension. */
const HEADER = 20;
/** Before each value: its length. */
const LENGTH = 4;

function columnOf<V>({ oid, octets, write }: Encoding<V>): (values: readonly V[]) => Buffer {
  const sizeOf = typeof octets === 'number' ? () => octets : octets;
  return (values) => {
    const sizes = values.map(sizeOf);
    const out = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + LENGTH + size, HEADER));
    out.writeInt32BE(1, 0);
    out.writeInt32BE(0, 4);
    out.writeInt32BE(oid, 8);
    out.writeInt32BE(values.length, 12);
    out.writeInt32BE(1, 16);
    let offset = HEADER;
    for (const [i, value] of values.entries()) {
      const size = sizes[i]!;
      out.writeInt32BE(size, offset);
      if (write(out, value, offset + LENGTH) === false)
        throw new RangeError(`not of type ${oid}: ${value}`);
      offset += LENGTH + size;
    }
    return out;
  };
}

function writeUuid(target: Buffer, value: string, offset: number): boolean {
  const digits = value.replaceAll('-', '');
  return digits.length === 32 && target.write(digits, offset, 16, 'hex') === 16;
}

function writeBigint(target: Buffer, value: number, offset: number): boolean {
  if (!Number.isSafeInteger(value)) return false;
  const high = Math.floor(value / 2 ** 32);
  target.writeInt32BE(high, offset);
  target.writeUInt32BE(value - high * 2 ** 32, offset + 4);
  return true;
}
