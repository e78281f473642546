import type { AddressRules } from '@gigvault/egress/address-rules';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { HealthCheck } from '@gigvault/host/service';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { PoolClient } from 'pg';
import { Webhook } from 'standardwebhooks';
import { type DeliverDeps, deliverDue } from '../delivery/deliver.ts';
import { whyNotUrl } from '../delivery/webhook-url.ts';
import type { Notification } from '../notification/templates.ts';
import type { WebhookConfig } from '../notify.config.ts';
import type { DeliveryQueue } from '../ports/delivery-queue.ts';
import type { WebhookSender } from '../ports/webhook-sender.ts';
import type { DeliveryStore } from './pg-delivery-store.ts';

/** Milliseconds from one look for what is due to the next, and from one count to the next. */
const LOOK = 1_000;
const COUNT = 10_000;
/** Notifications that wait for one webhook or were given up: what comes on top is dropped, in the log and in the figures. */
export const MOST_WAITING = 100_000;
const SECRET_OCTETS = { min: 24, max: 64 };

/** How a notification fared with a webhook. */
export type WebhookResult = 'ok' | 'retry' | 'given-up' | 'unwanted' | 'dropped';

/** What a webhook is made of. */
export interface WebhookOptions {
  readonly name: string;
  readonly config: WebhookConfig;
  /** As Standard Webhooks has it. */
  readonly secret: string;
  readonly store: DeliveryStore;
  readonly sender: WebhookSender;
  readonly rules: AddressRules;
  readonly clock: Clock;
  readonly log: Log;
  onResult(result: WebhookResult, count: number): void;
}

/** One webhook: what is added waits in the database, a worker sends it. */
export interface WebhookChannel {
  /** In the transaction of the events. */
  add(client: PoolClient, notifications: readonly Notification[]): Promise<void>;
  readonly worker: Worker;
  readonly health: HealthCheck;
}

/** Errors: INVALID_ARGUMENT for a secret or a URL that is none. */
export function webhookChannel(options: WebhookOptions): WebhookChannel {
  const { name, config, store, clock, log } = options;
  const queue = store.queue(name);
  const signer = signerOf(name, options.secret);
  const templates: ReadonlySet<string> | undefined = config.templates && new Set(config.templates);
  /** What is kept, as it was counted last, and what came and went since. */
  const counted = { kept: 0, at: Number.NEGATIVE_INFINITY };
  const deps: DeliverDeps = {
    name,
    url: urlOf(options),
    queue,
    sender: options.sender,
    sign: (deliveryId, at, body) => signer.sign(deliveryId, at, body),
    clock,
    log,
    onResult(result) {
      if (result === 'ok' || result === 'unwanted') counted.kept -= 1;
      options.onResult(result, 1);
    },
  };

  async function count(): Promise<void> {
    if (clock.elapsed() - counted.at < COUNT) return;
    const { waiting, givenUp } = await queue.count();
    Object.assign(counted, { kept: waiting + givenUp, at: clock.elapsed() });
  }

  const rounds = periodic({
    name: `notify.webhook.${name}`,
    clock,
    interval: LOOK,
    async round(signal) {
      await deliverDue(deps, signal);
      await count();
    },
    onError: (error) =>
      log.error({ error, operation: 'webhook', webhook: name }, 'nothing is sent to a webhook'),
  });

  return {
    async add(client, notifications) {
      const wanted = notifications.filter(({ template }) => templates?.has(template) ?? true);
      const room = Math.max(0, MOST_WAITING - counted.kept);
      const kept = wanted.slice(0, room);
      await store.add(client, name, kept);
      counted.kept += kept.length;
      const dropped = wanted.length - kept.length;
      if (dropped === 0) return;
      options.onResult('dropped', dropped);
      log.error({ operation: 'webhook', webhook: name, dropped }, 'too many wait for a webhook');
    },
    worker: {
      ...rounds,
      async start() {
        // Whoever starts it has seen to what was wrong.
        await queue.retryAll();
        await count();
        await rounds.start();
      },
    },
    health: { name: `notify.webhook.${name}`, blocksReadiness: false, check: () => isWell(queue) },
  };
}

async function isWell(queue: DeliveryQueue): Promise<void> {
  const { givenUp, waiting } = await queue.count();
  if (waiting + givenUp >= MOST_WAITING) throw new Error('so many wait that new ones are dropped');
  if (givenUp > 0)
    throw new Error(`${givenUp} notifications were given up: see the table delivery`);
}

function signerOf(name: string, secret: string): Webhook {
  const text = secret.trim().replace(/^whsec_/, '');
  const octets = Buffer.from(text, 'base64');
  const isBase64 = octets.toString('base64') === text;
  if (!isBase64 || octets.length < SECRET_OCTETS.min || octets.length > SECRET_OCTETS.max)
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `notify.webhooks.${name}.secret is not base64 of ${SECRET_OCTETS.min} to ${SECRET_OCTETS.max} octets.`,
    );
  return new Webhook(secret.trim());
}

function urlOf({ name, config, rules }: WebhookOptions): URL {
  const why = whyNotUrl(config.url, rules);
  if (why !== undefined)
    throw new GigvaultError('INVALID_ARGUMENT', `notify.webhooks.${name}.url ${why}.`);
  return new URL(config.url);
}
