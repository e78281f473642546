/** Octets of one message on a stream of calls, unless one item alone has more. */
const MESSAGE_OCTETS = 1024 * 1024;

/** Collects items, and writes those of one turn of the event loop together. */
export function turnWriter<T>(
  write: (items: T[]) => void,
  octetsOf: (item: T) => number,
): (item: T) => void {
  let items: T[] = [];
  let octets = 0;

  function flush(): void {
    if (items.length === 0) return;
    const all = items;
    items = [];
    octets = 0;
    write(all);
  }

  return (item) => {
    if (octets + octetsOf(item) > MESSAGE_OCTETS) flush();
    if (items.length === 0) setImmediate(flush);
    items.push(item);
    octets += octetsOf(item);
  };
}
