import { createEventLog, type EventLog } from '@gigvault/database/event-log';
import { EVENT_LOG, EventLogRpc } from '@gigvault/host/event-log-rpc';
import {
  HEALTH_CHECKS,
  HTTP_ROUTES,
  type ServiceContext,
  type ServiceDefinition,
  WORKERS,
} from '@gigvault/host/service';
import { RPC } from '@gigvault/rpc/contracts';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { periodic, type Worker } from '@gigvault/time/worker';
import { type DynamicModule, Module } from '@nestjs/common';
import { AuthInit1700000000000 } from '../migrations/1700000000000-auth-init.ts';
import { AuthRevokedKeys1700000000001 } from '../migrations/1700000000001-auth-revoked-keys.ts';
import { AuthApiKeyEnd1764300000000 } from '../migrations/auth-api-key-end.ts';
import { pgApiKeyStore } from './adapters/pg-api-key-store.ts';
import { pgFailureJournal } from './adapters/pg-failure-journal.ts';
import { pgSetupStore } from './adapters/pg-setup-store.ts';
import { pgUserStore } from './adapters/pg-user-store.ts';
import { rpcRevocations } from './adapters/rpc-revocations.ts';
import { rpcTokenSigner } from './adapters/rpc-token-signer.ts';
import { IDENTITY_RPC, IdentityRpc, TOKEN_RPC, TokenRpc } from './api/grpc.ts';
import { authRoutes } from './api/http.ts';
import { type AuthConfig, authConfig } from './auth.config.ts';
import { createFailureLimiter } from './credentials/failure-limiter.ts';
import { createFailureLog, type FailureLog } from './credentials/failure-log.ts';
import type { ApiKeyStore } from './ports/api-key-store.ts';
import type { SetupStore } from './ports/setup-store.ts';
import type { TokenSigner } from './ports/token-signer.ts';

const EVENT_CONSUMERS: readonly ServiceName[] = ['audit', 'notify'];
const SECOND = 1000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

/** Users, roles, API keys, access tokens. */
@Module({})
export class AuthModule {}

/** The service. */
export const authService: ServiceDefinition<AuthConfig> = {
  name: 'auth',
  zone: 'inside',
  config: authConfig,
  migrations: [AuthInit1700000000000, AuthRevokedKeys1700000000001, AuthApiKeyEnd1764300000000],
  serves: [RPC.token, RPC.identity, RPC.eventLog],
  eventConsumers: EVENT_CONSUMERS,
  module: wire,
};

function wire(context: ServiceContext<AuthConfig>): DynamicModule {
  const { database: pool, clock } = context;
  const eventLog = createEventLog({ pool, producer: 'auth', consumers: EVENT_CONSUMERS, clock });
  const deps = authDeps(context, eventLog);
  return {
    module: AuthModule,
    controllers: [TokenRpc, IdentityRpc, EventLogRpc],
    providers: [
      { provide: TOKEN_RPC, useValue: deps },
      { provide: IDENTITY_RPC, useValue: deps },
      { provide: EVENT_LOG, useValue: eventLog },
      { provide: HTTP_ROUTES, useValue: authRoutes(deps) },
      { provide: WORKERS, useValue: [eventLog.worker, ...workers(context, deps)] },
      {
        provide: HEALTH_CHECKS,
        useValue: [
          { name: 'signing-key', check: async () => void (await deps.signer.publicKey()) },
        ],
      },
    ],
  };
}

function authDeps(context: ServiceContext<AuthConfig>, eventLog: EventLog) {
  const { config, clock, database: pool, publicUrl } = context;
  const journal = pgFailureJournal(pool, eventLog);
  return {
    clock,
    users: pgUserStore(pool, eventLog),
    apiKeys: pgApiKeyStore(pool, eventLog),
    setup: pgSetupStore(pool, eventLog),
    signer: rpcTokenSigner({
      keys: context.client(RPC.key, 'keymgr'),
      signing: context.client(RPC.keySigning, 'keymgr'),
      keyId: config.signingKeyId,
    }),
    limiter: createFailureLimiter(config.failureLimit, clock),
    failures: createFailureLog(journal, clock),
    journal,
    revocations: rpcRevocations(context.client(RPC.certificate, 'ca')),
    names: { issuer: publicUrl, audience: `${publicUrl}/service` },
    accessTokenLifetime: config.accessTokenLifetime,
    setupTokenLifetime: config.setupTokenLifetime,
    operatorKeyLifetime: config.operatorKeyLifetime,
  };
}

function workers(
  { clock, clockGuard, log }: ServiceContext<AuthConfig>,
  deps: {
    readonly signer: TokenSigner;
    readonly failures: FailureLog;
    readonly setup: SetupStore;
    readonly apiKeys: ApiKeyStore;
  },
): Worker[] {
  const every = (name: string, interval: number, round: () => Promise<void>) =>
    periodic({
      name,
      clock,
      interval,
      round,
      onError: (error) => log.warn({ error, worker: name }, 'will try again'),
    });
  const flush = every('auth.failures', 10 * SECOND, () => deps.failures.flush());
  return [
    every('auth.signing-key', HOUR, async () => void (await deps.signer.publicKey())),
    every('auth.reap', HOUR, async () => {
      await deps.setup.reap(clockGuard.now() - DAY);
      await deps.apiKeys.reap(clockGuard.now() - 90 * DAY);
    }),
    {
      ...flush,
      async stop() {
        await flush.stop();
        await deps.failures.flush();
      },
    },
  ];
}
