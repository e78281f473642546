import { contains, type Network, parseIp, parseNetwork } from './network.ts';

/** Which addresses may be connected to where somebody else says where. */
export interface AddressRules {
  /** Lets `localhost` and `*.localhost`, and only these, reach loopback. */
  readonly development: boolean;
  /** Networks that are allowed although their use is special. */
  readonly allowedNetworks: readonly Network[];
}

/** IANA IPv4 and IPv6 special-purpose registries (RFC 6890), and what they leave out. */
const SPECIAL: readonly (readonly [Network, string])[] = (
  [
    ['0.0.0.0/8', 'this network'],
    ['10.0.0.0/8', 'private use'],
    ['100.64.0.0/10', 'carrier-grade NAT'],
    ['127.0.0.0/8', 'loopback'],
    ['169.254.0.0/16', 'link-local'],
    ['172.16.0.0/12', 'private use'],
    ['192.0.0.0/24', 'protocol assignments'],
    ['192.0.2.0/24', 'documentation'],
    ['192.88.99.0/24', '6to4 relay'],
    ['192.168.0.0/16', 'private use'],
    ['198.18.0.0/15', 'benchmarking'],
    ['198.51.100.0/24', 'documentation'],
    ['203.0.113.0/24', 'documentation'],
    ['224.0.0.0/4', 'multicast'],
    ['240.0.0.0/4', 'reserved'],
    ['::/128', 'unspecified'],
    ['::1/128', 'loopback'],
    ['::ffff:0:0/96', 'IPv4-mapped'],
    ['64:ff9b::/96', 'NAT64'],
    ['64:ff9b:1::/48', 'NAT64'],
    ['100::/64', 'discard only'],
    ['2001::/23', 'protocol assignments'],
    ['2001:db8::/32', 'documentation'],
    ['2002::/16', '6to4'],
    ['3fff::/20', 'documentation'],
    ['fc00::/7', 'unique local'],
    ['fe80::/10', 'link-local'],
    ['ff00::/8', 'multicast'],
  ] as const
).map(([text, use]) => [networkOf(text), use]);

const GLOBAL_IPV6 = networkOf('2000::/3');
const LOOPBACK = [networkOf('127.0.0.0/8'), networkOf('::1/128')];

/**
 * Why nobody may connect to this address for this host, or undefined when it may (T42, T43; RFC 8555 §10.4).
 *
 * @param host The name of the URL; it matters only to loopback in development.
 */
export function refusalOf(rules: AddressRules, address: string, host: string): string | undefined {
  const octets = parseIp(address);
  if (!octets) return 'not an address';
  if (rules.allowedNetworks.some((network) => contains(network, octets))) return undefined;
  if (
    rules.development &&
    isLocalName(host) &&
    LOOPBACK.some((network) => contains(network, octets))
  )
    return undefined;
  return specialUseOf(octets);
}

/** The name of a URL, or its address without the brackets of IPv6 (RFC 3986 §3.2.2). */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

/** `localhost` or a name below it (RFC 6761 §6.3). */
export function isLocalName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost');
}

function specialUseOf(address: Buffer): string | undefined {
  const special = SPECIAL.find(([network]) => contains(network, address));
  if (special) return special[1];
  return address.length === 16 && !contains(GLOBAL_IPV6, address)
    ? 'not global unicast'
    : undefined;
}

function networkOf(text: string): Network {
  const network = parseNetwork(text);
  if (!network) throw new Error(`not a network: ${text}`);
  return network;
}
