import { page } from '@gigvault/http/paging';
import { type Operation, operation } from '@gigvault/http/route';
import type { User } from '../ports/user-store.ts';
import { createUser, type InviteDeps, type InvitedUser } from '../users/create-user.ts';
import { disableUser } from '../users/disable-user.ts';
import { findUser } from '../users/find-user.ts';
import { inviteAgain } from '../users/invite-again.ts';
import { ERRORS, EXAMPLES } from './http-examples.ts';
import { callerOf, NO_STORE, rfc3339 } from './http-reply.ts';
import * as schemas from './schemas.ts';

/** What the operations on users need. */
export type UserHttpDeps = InviteDeps;

const users = { tag: 'Users', permission: 'users:manage' } as const;

/** The operations on users. */
export function userRoutes(deps: UserHttpDeps): Operation[] {
  return [
    createRoute(deps),
    listRoute(deps),
    getRoute(deps),
    disableRoute(deps),
    inviteRoute(deps),
  ];
}

function createRoute(deps: UserHttpDeps): Operation {
  return operation({
    ...users,
    operationId: 'createUser',
    method: 'POST',
    path: '/users',
    summary: 'Create a user and the one-use setup token to hand over',
    body: schemas.createUserRequest,
    replies: { 201: schemas.invitedUserReply },
    examples: EXAMPLES.createUser,
    errors: ERRORS.createUser,
    handle: async (request) => ({
      status: 201,
      headers: NO_STORE,
      body: showInvited(await createUser(deps, callerOf(request), request.body)),
    }),
  });
}

function listRoute(deps: UserHttpDeps): Operation {
  return operation({
    ...users,
    operationId: 'listUsers',
    method: 'GET',
    path: '/users',
    summary: 'List users by name',
    query: schemas.pageQuery,
    replies: { 200: schemas.userListReply },
    examples: EXAMPLES.listUsers,
    handle: async ({ query: { limit, cursor } }) => {
      const found = await deps.users.list({ limit: limit + 1, after: cursor });
      const items = found.slice(0, limit);
      const nextCursor = found.length > limit ? (items.at(-1)?.name ?? '') : '';
      return { status: 200, body: page(items.map(showUser), nextCursor) };
    },
  });
}

function getRoute(deps: UserHttpDeps): Operation {
  return operation({
    ...users,
    operationId: 'getUser',
    method: 'GET',
    path: '/users/:user',
    summary: 'Get a user by id or name',
    params: schemas.userParams,
    replies: { 200: schemas.userReply },
    examples: EXAMPLES.getUser,
    errors: ERRORS.getUser,
    handle: async ({ params }) => ({
      status: 200,
      body: showUser(await findUser(deps, params.user)),
    }),
  });
}

function disableRoute(deps: UserHttpDeps): Operation {
  return operation({
    ...users,
    operationId: 'disableUser',
    method: 'POST',
    path: '/users/:user/disable',
    summary: 'Disable a user and revoke its API keys',
    params: schemas.userParams,
    replies: { 200: schemas.userReply },
    examples: EXAMPLES.disableUser,
    errors: ERRORS.disableUser,
    handle: async (request) => {
      const user = await disableUser(deps, callerOf(request), request.params.user);
      return { status: 200, body: showUser(user) };
    },
  });
}

function inviteRoute(deps: UserHttpDeps): Operation {
  return operation({
    ...users,
    operationId: 'createSetupToken',
    method: 'POST',
    path: '/users/:user/setup-token',
    summary: 'Make a new one-use setup token for a user',
    description: 'Setup tokens of before stop to work.',
    params: schemas.userParams,
    replies: { 201: schemas.invitedUserReply },
    examples: EXAMPLES.createSetupToken,
    errors: ERRORS.createSetupToken,
    handle: async (request) => ({
      status: 201,
      headers: NO_STORE,
      body: showInvited(await inviteAgain(deps, callerOf(request), request.params.user)),
    }),
  });
}

function showUser({ userId, name, displayName, roles, status, createdAt }: User): object {
  return { userId, name, displayName, roles, status, createdAt: rfc3339(createdAt) };
}

function showInvited({ user, setupToken, setupTokenExpiresAt }: InvitedUser): object {
  return { ...showUser(user), setupToken, setupTokenExpiresAt: rfc3339(setupTokenExpiresAt) };
}
