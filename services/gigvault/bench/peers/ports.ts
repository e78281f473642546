import { freePorts } from '@gigvault/rpc/free-ports';

/** Each peer looks in a range of its own, and no PKI of ours in any: some of the ports are opened late, by the load. */
const FIRST = { 'step-ca': 33_000, caddy: 34_000, pebble: 35_000, openssl: 36_000 } as const;

/** Two free ports for a peer: its own, and one more. */
export async function portsOf(peer: keyof typeof FIRST): Promise<readonly [number, number]> {
  const [own, other] = await freePorts(2, { first: FIRST[peer], block: 8, blocks: 100 });
  if (own === undefined || other === undefined) throw new Error(`${peer}: there are no free ports`);
  return [own, other];
}
