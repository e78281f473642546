import { countDeadLetters } from '@gigvault/database/dead-letters';
import { type EventConsumer, eventConsumer } from '@gigvault/database/event-consumer';
import {
  HEALTH_CHECKS,
  type HealthCheck,
  type ServiceContext,
  type ServiceDefinition,
  WORKERS,
} from '@gigvault/host/service';
import { RPC } from '@gigvault/rpc/contracts';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { Module } from '@nestjs/common';
import { NotifyDeadLetters1764000000002 } from '../migrations/notify-dead-letters.ts';
import { NotifyInit1764000000000 } from '../migrations/notify-init.ts';
import { NotifyNoRows1764000000001 } from '../migrations/notify-no-rows.ts';
import { tellPeople } from './notification/tell-people.ts';
import { type NotifyConfig, notifyConfig } from './notify.config.ts';

@Module({})
class NotifyModule {}

type Context = Pick<
  ServiceContext<NotifyConfig>,
  'client' | 'clock' | 'database' | 'log' | 'metrics'
>;

const PRODUCERS = ['ca', 'ra', 'auth', 'enroll'] as const satisfies readonly ServiceName[];

/** Reads events and tells people: for now in the log. */
export const notifyService: ServiceDefinition<NotifyConfig> = {
  name: 'notify',
  zone: 'inside',
  config: notifyConfig,
  migrations: [NotifyInit1764000000000, NotifyNoRows1764000000001, NotifyDeadLetters1764000000002],
  serves: [],
  module: (context) => {
    const consumers = PRODUCERS.map((producer) => followEvents(context, producer));
    return {
      module: NotifyModule,
      providers: [
        { provide: WORKERS, useValue: consumers },
        { provide: HEALTH_CHECKS, useValue: [consumersGetOn(consumers), nothingGivenUp(context)] },
      ],
    };
  },
};

/** The worker that tells of one producer's events. */
export function followEvents(context: Context, producer: ServiceName): EventConsumer {
  const sent = context.metrics.counter('notifications_total', 'Notifications', [
    'channel',
    'result',
  ]);
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
    async handle(_client, events) {
      const lines = tellPeople(context.log, events);
      if (lines > 0) sent.inc({ channel: 'log', result: 'ok' }, lines);
    },
  });
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
