import { ipAddressToOctets } from '@gigvault/x509/ip-address';

/** A block of addresses. */
export interface Network {
  /** 4 or 16 octets. */
  readonly address: Buffer;
  /** In bits. */
  readonly prefix: number;
}

/** The 4 or 16 octets of an address in its strict text form, or undefined when it is none: no zones, no octal, nothing shortened. */
export function parseIp(text: string): Buffer | undefined {
  try {
    return ipAddressToOctets(text);
  } catch {
    return undefined;
  }
}

/** Reads `10.0.0.0/8` or a single address. Undefined when it is neither. */
export function parseNetwork(text: string): Network | undefined {
  const [base = '', bits, ...rest] = text.split('/');
  const address = parseIp(base);
  if (!address || rest.length > 0) return undefined;
  const longest = address.length * 8;
  if (bits !== undefined && !/^(0|[1-9][0-9]{0,2})$/.test(bits)) return undefined;
  const prefix = bits === undefined ? longest : Number(bits);
  return prefix <= longest ? { address, prefix } : undefined;
}

/** Whether the network holds the address. Never true across families. */
export function contains(network: Network, address: Buffer): boolean {
  if (network.address.length !== address.length) return false;
  const whole = network.prefix >> 3;
  if (!network.address.subarray(0, whole).equals(address.subarray(0, whole))) return false;
  const rest = network.prefix & 7;
  if (rest === 0) return true;
  const mask = (0xff << (8 - rest)) & 0xff;
  return ((network.address[whole] ?? 0) & mask) === ((address[whole] ?? 0) & mask);
}
