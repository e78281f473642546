import { Readable } from 'node:stream';
import { databaseError } from '@gigvault/database/database-error';
import type { Connection, Pool, PoolClient, Submittable } from 'pg';

/** Rows that wait to be taken, before the server is made to wait. */
const AHEAD = 4;

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
/** Octets of the signature, the flags, and the length of an extension that nothing has yet. */
const HEADER = SIGNATURE.length + 8;
/** Octets before a row's only column: how many columns there are, and its length. */
const ROW_HEADER = 6;

/**
 * The rows of a query with one column, `bytea` and never null, by COPY: in binary, while pg's own queries fetch hexadecimal, which takes the server eight times and
 * this process five times as long. The server waits for who is slow, up to the statement timeout. Errors as `databaseError` maps them.
 * @param select SQL; COPY takes no parameters
 */
export async function* copyRows(pool: Pool, select: string): AsyncGenerator<Buffer> {
  const client = await pool.connect().catch((error) => Promise.reject(databaseError(error)));
  const ignore = () => undefined;
  client.on('error', ignore);
  let isWhole = false;
  try {
    for await (const row of startCopy(client, select)) yield row;
    isWhole = true;
  } catch (error) {
    throw databaseError(error);
  } finally {
    client.off('error', ignore);
    // On a connection that was left in the middle the rest would still come.
    client.release(!isWhole);
  }
}

/** A query of one's own, as pg has them: it calls these. */
interface CopyQuery extends Submittable {
  /** Ends pg's watch over the time that it takes. */
  callback(error?: Error): void;
  handleCopyData(message: { readonly chunk: Buffer }): void;
  handleCommandComplete(): void;
  handleReadyForQuery(): void;
  handleError(error: Error): void;
}

function startCopy(client: PoolClient, select: string): Readable {
  let socket: Readable | undefined;
  const rows = new Readable({
    objectMode: true,
    highWaterMark: AHEAD,
    read: () => void socket?.resume(),
  });
  const copy: CopyQuery = {
    callback: () => undefined,
    submit(connection: Connection) {
      socket = connection.stream;
      connection.query(`COPY (${select}) TO STDOUT (FORMAT binary)`);
    },
    handleCopyData({ chunk }) {
      const row = rowOf(chunk);
      if (row !== undefined && !rows.push(row)) socket?.pause();
    },
    handleCommandComplete: () => undefined,
    handleReadyForQuery() {
      copy.callback();
      // The last rows may have filled what is ahead, and nobody asks for more: the next query's answer would never be read.
      socket?.resume();
      rows.push(null);
    },
    handleError(error) {
      copy.callback(error);
      socket?.resume();
      rows.destroy(error);
    },
  };
  client.query(copy);
  return rows;
}

/** The server sends each row in a message of its own, the header with the first or alone, and -1 for columns at the end. */
function rowOf(chunk: Buffer): Buffer | undefined {
  const start = chunk.subarray(0, SIGNATURE.length).equals(SIGNATURE) ? HEADER : 0;
  if (start === chunk.length || chunk.readInt16BE(start) === -1) return undefined;
  // A copy: pg reads what comes next into the same memory.
  return Buffer.from(chunk.subarray(start + ROW_HEADER));
}
