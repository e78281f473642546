import type { PeerName } from '@gigvault/rpc/service-name';

/** What a key may be used for. */
export const PURPOSES = [
  'certSign',
  'caCertSign',
  'crlSign',
  'ocspSign',
  'auditSign',
  'jwtSign',
] as const;

/** One of PURPOSES. */
export type Purpose = (typeof PURPOSES)[number];

/**
 * The one service that may ask for a signature of each purpose. A key's own row narrows this further: its purposes and its callers must
 * both agree. So a CA key that serves `ca` and `crl` still signs certificates for `ca` only, and CRLs for `crl` only.
 */
export const PURPOSE_CALLER = {
  certSign: 'ca',
  caCertSign: 'ca',
  crlSign: 'crl',
  ocspSign: 'ocsp',
  auditSign: 'audit',
  jwtSign: 'auth',
} as const satisfies Record<Purpose, PeerName>;

/**
 * Which purposes a service may give to a key that it generates for itself. Nobody may generate a CA key over RPC: those are made by
 * `createCaKey`, before services listen, bound to their issuer name, or as the next key of a CA that there is (request-successor.ts).
 */
export const GENERATE_GRANTS: Readonly<Partial<Record<PeerName, readonly Purpose[]>>> = {
  ocsp: ['ocspSign'],
  audit: ['auditSign'],
  auth: ['jwtSign'],
};

/** What a CA key may do, unless it is told to sign CA certificates too. */
export const CA_KEY_PURPOSES = ['certSign', 'crlSign'] as const satisfies readonly Purpose[];

/** True for one of PURPOSES. */
export function isPurpose(text: string): text is Purpose {
  return (PURPOSES as readonly string[]).includes(text);
}
