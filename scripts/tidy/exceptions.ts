/** A place where a rule does not hold, and why. One that no file needs any more fails the tests. */
export type Exceptions = Readonly<Record<string, string>>;

/** Product code outside adapters that asks the machine for the time, sets timers or draws cheap random numbers. */
export const MAY_ASK_THE_TIME: Exceptions = {
  'libs/time/src/clock.ts': 'it is the clock',
  'libs/rpc/src/grpc-client.ts': 'grpc-js takes a deadline as wall-clock time',
  'libs/rpc/src/grpc-server.ts': 'bounds a stop, in which the clock of tests must not stand still',
  'libs/rpc/src/deadline.ts': 'the deadline that grpc-js keeps for a call by itself',
};

/** Classes that extend another: errors need none, everything else says why. */
export const MAY_EXTEND: Exceptions = {
  'libs/rpc/src/handler-table.ts': 'Nest hands metadata and call only to a ServerGrpc',
  'libs/rpc/src/mtls-identity.ts': 'grpc-js has no other way to give a server an SNI callback',
  'libs/rpc/src/tls-credentials.ts': 'grpc-js has no other way to replace a server’s certificate',
};

/** Product code that connects to somewhere, and who says where to. */
export const MAY_CONNECT: Exceptions = {
  'libs/database/src/follow-primary.ts': 'the database, as configured',
  'libs/egress/src/dns-addresses.ts': 'name servers, as configured',
  'libs/secrets/src/vault-source.ts': 'the Vault server, as configured',
  'services/cli/src/server/https-client.ts':
    'the server that its user has chosen, on the user’s machine',
  'services/gigvault/src/edge/edge-proxy.ts': 'the services, as the route table says',
  'services/gigvault/src/self-check/status-client.ts': 'its own listeners',
  'services/notify/src/adapters/https-webhook-sender.ts':
    'webhooks, as configured; to no address that the rules of libs/egress refuse',
  'services/ra/src/adapters/node-http-fetcher.ts': 'it is the fetcher',
};

/** Writes in the flows of docs/operations/crash-testing.md that are no durable step: after them nothing is true that was not before. */
export const MAY_WRITE_WITHOUT_STEP: Exceptions = {
  'services/enroll/src/adapters/pg-accounts.ts#update': 'accounts are no part of these flows',
  'services/enroll/src/adapters/pg-accounts.ts#changeKey': 'accounts are no part of these flows',
  'services/enroll/src/adapters/pg-orders.ts#claimProcessing': 'a lease ends by itself',
  'services/enroll/src/adapters/pg-orders.ts#purge': 'removes what is over',
  'services/ra/src/adapters/pg-request-store.ts#claimApproved': 'a lease ends by itself',
  'services/ra/src/adapters/pg-request-store.ts#postpone': 'says when the next attempt is',
  'services/ra/src/adapters/pg-validation-queue.ts#claim': 'a lease ends by itself',
  'services/ra/src/adapters/pg-validation-queue.ts#recall': 'says when the next attempt is',
  'services/ra/src/adapters/pg-validation-queue.ts#renew': 'a lease ends by itself',
  'services/ra/src/adapters/pg-validation-queue.ts#postpone': 'says when the next attempt is',
};
