/** The services that run online. */
export const SERVICE_NAMES = [
  'auth',
  'policy',
  'keymgr',
  'ca',
  'ra',
  'enroll',
  'ocsp',
  'crl',
  'audit',
  'notify',
] as const;

/** One of SERVICE_NAMES. */
export type ServiceName = (typeof SERVICE_NAMES)[number];

/** Whoever may call a service: a service, the composition root, or the edge proxy of split mode. */
export type PeerName = ServiceName | 'gigvault' | 'edge';

/** The mTLS identity of a peer, as it stands in its certificate's URI name. */
export function spiffeId(trustDomain: string, peer: PeerName): string {
  return `spiffe://${trustDomain}/service/${peer}`;
}
