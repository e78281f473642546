import type { ClientIdentity } from './client-certificate.ts';

/** Every permission of the management API. `<noun>:<verb>`. `read` is for what one asked for oneself, `read-all` for everybody's. */
export const PERMISSIONS = [
  'certificates:create',
  'certificates:read',
  'certificates:read-all',
  'certificates:revoke',
  'csrs:submit',
  'csrs:read',
  'csrs:read-all',
  'csrs:decide',
  'issuers:rotate',
  'keys:generate',
  'keys:read',
  'keys:sign',
  'keys:encrypt',
  'keys:decrypt',
  'keys:rotate',
  'keys:disable',
  'keys:destroy',
  'keys:grant',
  'master-keys:rotate',
  'users:manage',
  'apikeys:manage',
  'audit:read',
  'status:read',
] as const;

/** One of PERMISSIONS. */
export type Permission = (typeof PERMISSIONS)[number];

/** What each role may do. */
export const ROLES = {
  admin: PERMISSIONS,
  operator: [
    'certificates:create',
    'certificates:read',
    'certificates:read-all',
    'certificates:revoke',
    'csrs:submit',
    'csrs:read',
    'csrs:read-all',
    'csrs:decide',
    'issuers:rotate',
    'keys:generate',
    'keys:read',
    'keys:sign',
    'keys:encrypt',
    'keys:decrypt',
    'keys:rotate',
    'keys:disable',
    'keys:destroy',
    'keys:grant',
    'audit:read',
    'status:read',
  ],
  approver: [
    'certificates:read',
    'certificates:read-all',
    'csrs:read',
    'csrs:read-all',
    'csrs:decide',
    'status:read',
  ],
  requester: [
    'certificates:read',
    'csrs:submit',
    'csrs:read',
    'certificates:create',
    'status:read',
  ],
  /** Uses keys that others have made and granted. */
  'key-user': [
    'keys:read',
    'keys:sign',
    'keys:encrypt',
    'keys:decrypt',
    'keys:rotate',
    'status:read',
  ],
  auditor: [
    'certificates:read',
    'certificates:read-all',
    'csrs:read',
    'csrs:read-all',
    'audit:read',
    'status:read',
  ],
} as const satisfies Record<string, readonly Permission[]>;

/** One of ROLES. */
export type Role = keyof typeof ROLES;

/** The names of ROLES. */
export const ROLE_NAMES = Object.keys(ROLES) as [Role, ...Role[]];

/** True when `name` is one of ROLES. */
export function isRole(name: string): name is Role {
  return Object.hasOwn(ROLES, name);
}

/** Who is asking, after authentication. */
export interface Principal {
  /** As in events: `user:<id>`, `service:<name>`. */
  readonly actor: string;
  /** For people: the name to show. */
  readonly name: string;
  readonly roles: readonly Role[];
  readonly permissions: ReadonlySet<Permission>;
  readonly tenantId: string;
  /** The API key that the access token was made with: its `client_id`. */
  readonly credentialId?: string;
  /** SHA-256 of the client certificate by which they came, without any token; lower-case hex. */
  readonly certificateId?: string;
}

/** What came with a request that says who is asking. */
export interface Credentials {
  /** The header `Authorization`: `Bearer <access token>`, or `Bearer <API key>`. */
  readonly authorization: string | undefined;
  /** The header `X-API-Key`, for clients that cannot send the other one. */
  readonly apiKey?: string | undefined;
  /** The client's own address, for those who guess. */
  readonly clientIp: string;
  /** What the client has proved by its connection. Absent: nothing is known, and nothing is asked. */
  readonly client?: ClientIdentity | undefined;
}

/** Verifies the credentials of a request. */
export interface Authenticator {
  /**
   * The principal behind the credentials. Errors: UNAUTHENTICATED when they are missing, malformed, expired or not ours, or more than one; RATE_LIMITED for
   * an address from which too many were refused; FORBIDDEN for a certificate of somebody else than the token; UNAVAILABLE while they cannot be verified.
   */
  authenticate(credentials: Credentials): Promise<Principal>;
}

/** The union of what the roles may do; unknown roles give nothing. */
export function permissionsOf(roles: readonly string[]): ReadonlySet<Permission> {
  return new Set(roles.flatMap((role) => (isRole(role) ? ROLES[role] : [])));
}
