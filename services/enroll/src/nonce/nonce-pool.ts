import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const PREFIX_OCTETS = 4;
const COUNTER_OCTETS = 6;
const MAC_OCTETS = 16;
const OCTETS = PREFIX_OCTETS + COUNTER_OCTETS + MAC_OCTETS;

/** Makes and redeems anti-replay nonces (RFC 8555 §6.5). */
export interface NoncePool {
  /** A nonce never given out before: base64url, 35 characters. */
  issue(): string;
  /**
   * True the first time for a nonce that this pool issued and that is still in its window; false for one that was used,
   * is too old, was altered, or comes from another instance or an earlier start.
   */
  redeem(nonce: string): boolean;
}

/**
 * A pool in memory: `<instance prefix><counter><MAC>`. The MAC (HMAC-SHA256, cut to 128 bits, under a key that never leaves
 * the process) makes counters unguessable; a bit for each of the newest `window` counters remembers what was used.
 *
 * @param window how many of the newest nonces can be redeemed. One bit each.
 */
export function createNoncePool(window: number): NoncePool {
  const key = randomBytes(32);
  const prefix = randomBytes(PREFIX_OCTETS);
  const used = new Uint8Array(Math.ceil(window / 8));
  let last = 0;

  function mac(head: Buffer): Buffer {
    return createHmac('sha256', key).update(head).digest().subarray(0, MAC_OCTETS);
  }

  function issue(): string {
    last++;
    // The slot belonged to the counter that leaves the window with this one.
    const slot = last % window;
    used[slot >> 3]! &= ~(1 << (slot & 7));
    const head = Buffer.allocUnsafe(PREFIX_OCTETS + COUNTER_OCTETS);
    prefix.copy(head);
    head.writeUIntBE(last, PREFIX_OCTETS, COUNTER_OCTETS);
    return Buffer.concat([head, mac(head)]).toString('base64url');
  }

  function redeem(nonce: string): boolean {
    const octets = Buffer.from(nonce, 'base64url');
    if (octets.length !== OCTETS || octets.toString('base64url') !== nonce) return false;
    const head = octets.subarray(0, PREFIX_OCTETS + COUNTER_OCTETS);
    if (!timingSafeEqual(mac(head), octets.subarray(head.length))) return false;
    const counter = head.readUIntBE(PREFIX_OCTETS, COUNTER_OCTETS);
    if (counter <= last - window) return false;
    const slot = counter % window;
    const bit = 1 << (slot & 7);
    if ((used[slot >> 3]! & bit) !== 0) return false;
    used[slot >> 3]! |= bit;
    return true;
  }

  return { issue, redeem };
}
