import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { countDeadLetters } from '@gigvault/database/dead-letters';
import { type EventConsumer, eventConsumer } from '@gigvault/database/event-consumer';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  HEALTH_CHECKS,
  type HealthCheck,
  type ServiceContext,
  type ServiceDefinition,
  WORKERS,
} from '@gigvault/host/service';
import { RPC } from '@gigvault/rpc/contracts';
import type { ServiceName } from '@gigvault/rpc/service-name';
import type { Worker } from '@gigvault/time/worker';
import { Module } from '@nestjs/common';
import { NotifyDeadLetters1764000000002 } from '../migrations/notify-dead-letters.ts';
import { NotifyDeliveries1796000000100 } from '../migrations/notify-deliveries.ts';
import { NotifyInit1764000000000 } from '../migrations/notify-init.ts';
import { NotifyNoRows1764000000001 } from '../migrations/notify-no-rows.ts';
import { httpsWebhookSender } from './adapters/https-webhook-sender.ts';
import { pgDeliveryStore } from './adapters/pg-delivery-store.ts';
import { type WebhookChannel, webhookChannel } from './adapters/webhook-channel.ts';
import { tellPeople } from './notification/tell-people.ts';
import { type NotifyConfig, notifyConfig } from './notify.config.ts';

@Module({})
class NotifyModule {}

type Context = Pick<
  ServiceContext<NotifyConfig>,
  | 'client'
  | 'clock'
  | 'config'
  | 'database'
  | 'environment'
  | 'log'
  | 'metrics'
  | 'publicUrl'
  | 'secrets'
>;

const PRODUCERS = ['ca', 'ra', 'auth', 'enroll'] as const satisfies readonly ServiceName[];

/** Reads events and tells people: in the log and by webhooks. */
export const notifyService: ServiceDefinition<NotifyConfig> = {
  name: 'notify',
  zone: 'inside',
  config: notifyConfig,
  migrations: [
    NotifyInit1764000000000,
    NotifyNoRows1764000000001,
    NotifyDeadLetters1764000000002,
    NotifyDeliveries1796000000100,
  ],
  serves: [],
  module: async (context) => {
    const webhooks = await openWebhooks(context);
    const consumers = PRODUCERS.map((producer) => followEvents(context, producer, webhooks));
    return {
      module: NotifyModule,
      providers: [
        {
          provide: WORKERS,
          useValue: [forgetsOthers(context), ...consumers, ...webhooks.map(({ worker }) => worker)],
        },
        {
          provide: HEALTH_CHECKS,
          useValue: [
            consumersGetOn(consumers),
            nothingGivenUp(context),
            ...webhooks.map(({ health }) => health),
          ],
        },
      ],
    };
  },
};

/** The worker that tells of one producer's events. */
export function followEvents(
  context: Context,
  producer: ServiceName,
  webhooks: readonly WebhookChannel[],
): EventConsumer {
  const sent = sentBy(context);
  const buried = context.metrics.counter(
    'dead_letters_total',
    'Events that a consumer has given up, because it could make nothing of them',
    ['consumer', 'producer'],
  );
  return eventConsumer({
    producer,
    consumer: 'notify',
    source: context.client(RPC.eventLog, producer),
    pool: context.database,
    clock: context.clock,
    log: context.log,
    // One line says nothing of another: what cannot be told of holds up nobody.
    deadLetters: { onBuried: () => buried.inc({ consumer: 'notify', producer }) },
    // Before the cursor is durable: after a crash a line may come twice, none is lost.
    async handle(client, events) {
      const notifications = tellPeople(context.log, events);
      for (const webhook of webhooks) await webhook.add(client, notifications);
      if (notifications.length > 0)
        sent.inc({ channel: 'log', result: 'ok' }, notifications.length);
    },
  });
}

function sentBy({ metrics }: Context) {
  return metrics.counter('notifications_total', 'Notifications', ['channel', 'result']);
}

/** The webhooks of the configuration. Errors: INVALID_ARGUMENT for what is wrong with one of them, UNAVAILABLE when its secret cannot be had now. */
export async function openWebhooks(context: Context): Promise<readonly WebhookChannel[]> {
  const { clock, config, database, environment, log, publicUrl, secrets } = context;
  const rules = {
    development: environment === 'development',
    allowedNetworks: config.allowedNetworks,
  };
  const store = pgDeliveryStore(database, clock, publicUrl);
  const sent = sentBy(context);
  const opened = Object.entries(config.webhooks).map(async ([name, webhook]) =>
    webhookChannel({
      name,
      config: webhook,
      secret: await secrets.resolve(webhook.secret),
      store,
      sender: httpsWebhookSender({ rules, clock, ca: readCaFile(webhook.caFile) }),
      rules,
      clock,
      log,
      onResult: (result, count) => sent.inc({ channel: `webhook.${name}`, result }, count),
    }),
  );
  return Promise.all(opened);
}

function readCaFile(path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    const pem = readFileSync(path);
    // Throws for what is no certificate.
    new X509Certificate(pem);
    return pem;
  } catch (cause) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The CA file ${path} cannot be read, or is no PEM file of certificates.`,
      { cause },
    );
  }
}

/** What waits for webhooks that nobody wants any more is not kept for ever. */
function forgetsOthers({ clock, config, database, log, publicUrl }: Context): Worker {
  return {
    name: 'notify.forget',
    async start() {
      const store = pgDeliveryStore(database, clock, publicUrl);
      const count = await store.forgetOthers(Object.keys(config.webhooks));
      if (count > 0) log.warn({ operation: 'webhook', count }, 'dropped what nobody waits for');
    },
    stop: async () => undefined,
  };
}

function consumersGetOn(consumers: readonly EventConsumer[]): HealthCheck {
  const check = async () => {
    for (const consumer of consumers) {
      const { failure } = consumer.progress();
      if (failure !== undefined) throw new Error(`${consumer.name} does not get on: ${failure}`);
    }
  };
  return { name: 'notify.events', check, blocksReadiness: false };
}

function nothingGivenUp({ database }: Context): HealthCheck {
  const check = async () => {
    const count = await countDeadLetters(database);
    if (count > 0) throw new Error(`${count} events were given up: see the table dead_letter`);
  };
  return { name: 'notify.dead-letters', check, blocksReadiness: false };
}
