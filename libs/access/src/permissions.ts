/** Every permission of the management API. `<noun>:<verb>`. */
export const PERMISSIONS = [
  'certificates:create',
  'certificates:read',
  'certificates:revoke',
  'csrs:submit',
  'csrs:read',
  'csrs:decide',
  'keys:generate',
  'keys:read',
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
    'certificates:revoke',
    'csrs:submit',
    'csrs:read',
    'csrs:decide',
    'keys:generate',
    'keys:read',
    'audit:read',
    'status:read',
  ],
  approver: ['certificates:read', 'csrs:read', 'csrs:decide', 'status:read'],
  requester: [
    'certificates:read',
    'csrs:submit',
    'csrs:read',
    'certificates:create',
    'status:read',
  ],
  auditor: ['certificates:read', 'csrs:read', 'audit:read', 'status:read'],
} as const satisfies Record<string, readonly Permission[]>;

/** One of ROLES. */
export type Role = keyof typeof ROLES;

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
}

/** Verifies the credential of a request. */
export interface Authenticator {
  /**
   * The principal behind an `Authorization` header (`Bearer <access token>`).
   * Errors: UNAUTHENTICATED when it is missing, malformed, expired or not ours.
   */
  authenticate(authorization: string | undefined): Promise<Principal>;
}

/** The union of what the roles may do; unknown roles give nothing. */
export function permissionsOf(roles: readonly string[]): ReadonlySet<Permission> {
  return new Set(roles.flatMap((role) => (isRole(role) ? ROLES[role] : [])));
}
