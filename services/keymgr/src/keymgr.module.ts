import { EVENT_LOG, EventLogRpc } from '@gigvault/host/event-log-rpc';
import {
  FORBIDDEN_OPERATIONS,
  HEALTH_CHECKS,
  HTTP_ROUTES,
  REFUSED_CALLS,
  type ServiceDefinition,
  WORKERS,
} from '@gigvault/host/service';
import { RPC } from '@gigvault/rpc/contracts';
import type { TellRefusedCall } from '@gigvault/rpc/handler-table';
import { Module, type OnModuleDestroy } from '@nestjs/common';
import { KeymgrInit1763700000000 } from '../migrations/1763700000000-init.ts';
import { KeymgrKeyLife1796000000000 } from '../migrations/1796000000000-key-life.ts';
import { KeymgrKeyGrants1796100000000 } from '../migrations/1796100000000-key-grants.ts';
import { KeymgrSecretKeys1796600000000 } from '../migrations/1796600000000-secret-keys.ts';
import { KeymgrDestructionApprovals1796700000000 } from '../migrations/1796700000000-destruction-approvals.ts';
import { KeymgrBackendTests1796800000000 } from '../migrations/1796800000000-backend-tests.ts';
import { KeymgrTellingKeys1796900000000 } from '../migrations/1796900000000-telling-keys.ts';
import { keyDestroyer } from './adapters/key-destroyer.ts';
import { masterKeyWorker } from './adapters/master-key-worker.ts';
import { KEYS, KeyRpc, KeySigningRpc, SIGNING } from './api/grpc.ts';
import { keyRoutes } from './api/http.ts';
import { masterKeyRoutes } from './api/http-master-key.ts';
import { KEY_API, KeyApiRpc } from './api/key-api-grpc.ts';
import { tellForbidden, tellForeignCall } from './api/tell-forbidden.ts';
import { type KeymgrConfig, keymgrConfig } from './keymgr.config.ts';
import { type Keymgr, openKeymgr } from './open-keymgr.ts';

@Module({})
class KeymgrModule {}

const LIFETIME = Symbol('LIFETIME');

/** Nest ends it with the service, also one whose workers never started. */
function lifetimeOf({ close }: Keymgr): OnModuleDestroy {
  return { onModuleDestroy: close };
}

/** The key manager: the only online process that touches signing keys. */
export const keymgrService: ServiceDefinition<KeymgrConfig> = {
  name: 'keymgr',
  zone: 'vault',
  config: keymgrConfig,
  migrations: [
    KeymgrInit1763700000000,
    KeymgrKeyLife1796000000000,
    KeymgrKeyGrants1796100000000,
    KeymgrSecretKeys1796600000000,
    KeymgrDestructionApprovals1796700000000,
    KeymgrBackendTests1796800000000,
    KeymgrTellingKeys1796900000000,
  ],
  serves: [RPC.key, RPC.keySigning, RPC.keyApi, RPC.eventLog],
  eventConsumers: ['audit'],
  module: async (context) => {
    const keymgr = await openKeymgr(context);
    const { authenticator, clock, clockGuard, config, log } = context;
    const { destructionWait, destruction } = config;
    const people = {
      ...keymgr.keys,
      encryptions: keymgr.encryptions,
      clockGuard,
      destructionWait,
      destructionApprovals: destruction.approvals,
    };
    const { events, backendTests } = keymgr;
    const masterKeys = { backends: keymgr.keys.backends, events, log };
    const rotation = masterKeyWorker(masterKeys, clock);
    const routes = [
      ...keyRoutes({ ...people, events, backendTests }),
      ...masterKeyRoutes({ ...masterKeys, wake: () => rotation.wake() }),
    ];
    const door = { authenticator, tellForbidden: tellForbidden(people) };
    const refusedCalls: TellRefusedCall = (call) => tellForeignCall(people, call);
    const workers = [...keymgr.workers, keyDestroyer(people, clock), rotation];
    return {
      module: KeymgrModule,
      controllers: [KeyRpc, KeySigningRpc, KeyApiRpc, EventLogRpc],
      providers: [
        { provide: LIFETIME, useValue: lifetimeOf(keymgr) },
        { provide: KEYS, useValue: keymgr.keys },
        { provide: SIGNING, useValue: keymgr.signing },
        { provide: KEY_API, useValue: { people, door } },
        { provide: EVENT_LOG, useValue: keymgr.eventLog },
        { provide: HTTP_ROUTES, useValue: routes },
        { provide: FORBIDDEN_OPERATIONS, useValue: door.tellForbidden },
        { provide: REFUSED_CALLS, useValue: refusedCalls },
        { provide: WORKERS, useValue: workers },
        { provide: HEALTH_CHECKS, useValue: keymgr.healthChecks },
      ],
    };
  },
};
