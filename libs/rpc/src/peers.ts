import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { parse } from 'yaml';
import { type PeerName, SERVICE_NAMES, type ServiceName } from './service-name.ts';

/** Which caller may call which RPC of which service: deploy/peers.yaml, read. */
export interface PeerTable {
  /** @param rpc as `gigvault.ca.v1.IssuanceService/IssueCertificate` */
  allows(caller: PeerName, callee: ServiceName, rpc: string): boolean;
  /** Every RPC that the table names for a service. */
  rpcsOf(callee: ServiceName): readonly string[];
}

const PEER_NAMES: ReadonlySet<string> = new Set([...SERVICE_NAMES, 'gigvault', 'edge']);

/**
 * Reads deploy/peers.yaml: `callee: { package.Service/Method: [caller, …] }`.
 * Throws on a name that is no peer, so that a typo stops the start instead of opening or closing a door.
 */
export function readPeerTable(yaml: string): PeerTable {
  const document = parse(yaml, { maxAliasCount: 0 }) as Record<string, Record<string, string[]>>;
  const allowed = new Map<string, ReadonlySet<string>>();
  for (const [callee, rpcs] of Object.entries(document)) {
    requirePeer(callee, 'callee');
    for (const [rpc, callers] of Object.entries(rpcs)) {
      for (const caller of callers) requirePeer(caller, `caller of ${callee} ${rpc}`);
      allowed.set(`${callee} ${rpc}`, new Set(callers));
    }
  }
  return {
    allows: (caller, callee, rpc) => allowed.get(`${callee} ${rpc}`)?.has(caller) ?? false,
    rpcsOf: (callee) =>
      [...allowed.keys()]
        .filter((key) => key.startsWith(`${callee} `))
        .map((key) => key.slice(callee.length + 1)),
  };
}

function requirePeer(name: string, what: string): void {
  if (!PEER_NAMES.has(name)) {
    throw new GigvaultError('INVALID_ARGUMENT', `peers.yaml: "${name}" (${what}) is not a peer.`);
  }
}
