import { BlockList, isIP } from 'node:net';

/** Networks as a set of addresses. */
export interface NetworkList {
  /** @param address IPv4 or IPv6; an IPv4-mapped one counts as the IPv4 address in it. */
  contains(address: string): boolean;
}

/** Reads networks as `10.0.0.0/8`, `fd00::/8` or single addresses. Throws RangeError, naming it, for anything else. */
export function networkList(networks: readonly string[]): NetworkList {
  const list = new BlockList();
  for (const network of networks) {
    if (!isNetwork(network)) throw new RangeError(`"${network}" is not an address or a network`);
    const [address, bits] = network.split('/') as [string, string | undefined];
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return {
    contains: (address) => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'),
  };
}

/** True for what `networkList` reads. */
export function isNetwork(text: string): boolean {
  const match = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text);
  const version = isIP(match?.[1] ?? '');
  return version !== 0 && Number(match?.[2] ?? 0) <= (version === 6 ? 128 : 32);
}
