/** A place where a rule does not hold, and why. One that no file needs any more fails the tests. */
export type Exceptions = Readonly<Record<string, string>>;

/** Product code outside adapters that asks the machine for the time, sets timers or draws cheap random numbers. */
export const MAY_ASK_THE_TIME: Exceptions = {
  'libs/time/src/clock.ts': 'it is the clock',
  'libs/rpc/src/grpc-client.ts': 'grpc-js takes a deadline as wall-clock time',
  'libs/rpc/src/grpc-server.ts': 'bounds a stop, in which the clock of tests must not stand still',
  'libs/rpc/src/in-process-transport.ts': 'the deadline that grpc-js keeps on the wire',
};

/** Classes that extend another: errors need none, everything else says why. */
export const MAY_EXTEND: Exceptions = {
  'libs/rpc/src/handler-table.ts': 'Nest hands metadata and call only to a ServerGrpc',
  'libs/rpc/src/mtls-identity.ts': 'grpc-js has no other way to give a server an SNI callback',
};
