import { type HttpRoute, type Operation, operation } from '@gigvault/http/route';
import { requireUsableKey, type UsableDeps } from '../api-keys/usable-key.ts';
import { type RedeemDeps, redeemSetupToken } from '../setup/redeem-setup-token.ts';
import type { ExchangeDeps } from '../tokens/exchange-api-key.ts';
import { type ApiKeyHttpDeps, apiKeyRoutes } from './http-api-keys.ts';
import { ERRORS, EXAMPLES } from './http-examples.ts';
import { callerOf, NO_STORE } from './http-reply.ts';
import { tokenRoute } from './http-token.ts';
import { type UserHttpDeps, userRoutes } from './http-users.ts';
import * as schemas from './schemas.ts';

/** What the REST operations of auth need. */
export type AuthHttpDeps = ExchangeDeps & RedeemDeps & UserHttpDeps & ApiKeyHttpDeps;

/** Every REST operation of auth. */
export function authRoutes(deps: AuthHttpDeps): HttpRoute[] {
  return [
    tokenRoute(deps),
    setupRoute(deps),
    ...[whoamiRoute(), ...userRoutes(deps), ...apiKeyRoutes(deps)].map((route) =>
      withUsableKey(deps, route),
    ),
  ];
}

/** The operation, for callers whose API key still works. */
function withUsableKey(deps: UsableDeps, route: Operation): Operation {
  return {
    ...route,
    async handle(request) {
      await requireUsableKey(deps, callerOf(request));
      return route.handle(request);
    },
  };
}

function setupRoute(deps: RedeemDeps): HttpRoute {
  return operation({
    operationId: 'redeemSetupToken',
    method: 'POST',
    path: '/setup',
    tag: 'Access',
    summary: 'Redeem a one-use setup token for an API key',
    permission: 'anonymous',
    body: schemas.setupRequest,
    replies: { 201: schemas.setupReply },
    examples: EXAMPLES.redeemSetupToken,
    errors: ERRORS.redeemSetupToken,
    handle: async ({ body, clientIp }) => {
      const { user, apiKey } = await redeemSetupToken(deps, { ...body, clientIp });
      const { userId, name, roles } = user;
      return { status: 201, headers: NO_STORE, body: { userId, name, roles, apiKey } };
    },
  });
}

function whoamiRoute(): Operation {
  return operation({
    operationId: 'whoami',
    method: 'GET',
    path: '/whoami',
    tag: 'Access',
    summary: 'Who the access token speaks for',
    permission: 'signed-in',
    replies: { 200: schemas.whoamiReply },
    examples: EXAMPLES.whoami,
    handle: async (request) => {
      const { actor, name, roles, permissions, tenantId } = callerOf(request);
      const body = {
        userId: actor.replace(/^user:/, ''),
        name,
        roles,
        permissions: [...permissions].sort(),
        tenantId,
      };
      return { status: 200, body };
    },
  });
}
