/** Octets of one message on a stream of calls, unless one item alone has more. */
const MESSAGE_OCTETS = 1024 * 1024;

/** Octets around one item, roughly. */
export const ENVELOPE = 64;

/** Writes items to a stream. */
export interface TurnWriter<T> {
  send(item: T): void;
  /** Octets that were sent and that the peer's side has not taken yet. */
  waiting(): number;
}

/**
 * Collects items, and writes those of one turn of the event loop together.
 *
 * @param write calls `taken` once the stream has handed the items on, or dropped them
 */
export function turnWriter<T>(
  write: (items: T[], taken: () => void) => void,
  octetsOf: (item: T) => number,
): TurnWriter<T> {
  let items: T[] = [];
  let octets = 0;
  let waiting = 0;

  function flush(): void {
    if (items.length === 0) return;
    const [all, size] = [items, octets];
    items = [];
    octets = 0;
    write(all, () => {
      waiting -= size;
    });
  }

  return {
    send(item) {
      const size = octetsOf(item) + ENVELOPE;
      if (octets + size > MESSAGE_OCTETS) flush();
      if (items.length === 0) setImmediate(flush);
      items.push(item);
      octets += size;
      waiting += size;
    },
    waiting: () => waiting,
  };
}
