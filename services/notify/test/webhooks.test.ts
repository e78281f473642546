import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createSilentServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transaction } from '@gigvault/database/transaction';
import { secretResolver } from '@gigvault/secrets/secret-resolver';
import { secretsConfig } from '@gigvault/secrets/secrets.config';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { eventually } from '@gigvault/testkit/eventually';
import { runOrFail } from '@gigvault/testkit/run-program';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { Webhook } from 'standardwebhooks';
import { pgDeliveryStore } from '../src/adapters/pg-delivery-store.ts';
import { MOST_WAITING, type WebhookChannel } from '../src/adapters/webhook-channel.ts';
import type { Notification } from '../src/notification/templates.ts';
import { notifyConfig } from '../src/notify.config.ts';
import { notifyService, openWebhooks } from '../src/notify.module.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

let database: TestDatabase;
let pool: Pool;
const folder = mkdtempSync(join(tmpdir(), 'gv-webhook-'));
const secretFile = join(folder, 'secret');
writeFileSync(secretFile, SECRET, { mode: 0o600 });

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('notify', notifyService.migrations as never);
});
beforeEach(() => pool.query('DELETE FROM delivery'));
afterAll(async () => {
  await database?.stop();
  rmSync(folder, { recursive: true });
});

interface Received {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A receiver on a port of its own, that keeps what comes and answers with the next of `statuses`, the last one for ever. */
async function receiver(server: Server, statuses: readonly number[] = [204]) {
  const received: Received[] = [];
  server.on('request', async (request: IncomingMessage, response) => {
    let body = '';
    for await (const part of request) body += part;
    received.push({ headers: request.headers, body });
    const status = statuses[Math.min(received.length, statuses.length) - 1];
    response.writeHead(status ?? 204, { location: '/elsewhere' }).end();
  });
  server.listen(0, 'localhost');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { received, port, close };
}

async function channelsOf(webhook: object, more: object = {}, environment = 'development') {
  const metrics = createMetrics();
  const config = notifyConfig.parse({
    webhooks: { ops: { secret: `file://${secretFile}`, ...webhook } },
    ...more,
  });
  const publicUrl = 'https://pki.example';
  const context = { config, environment, publicUrl, database: pool, clock: systemClock };
  const secrets = secretResolver(secretsConfig.parse({}), {});
  const [channel] = await openWebhooks({ ...context, log: silentLog, metrics, secrets } as never);
  return { channel: channel as WebhookChannel, metrics };
}

function issued(position: number, template = 'certificate-issued'): Notification {
  const fields = { actor: 'user:1', subject: `0${position}`, occurredAt: 1_763_764_800_000 };
  return { producer: 'ca', position, tenantId: 'default', template, fields };
}

const tell = ({ add }: WebhookChannel, ...notifications: Notification[]) =>
  transaction(pool, (client) => add(client, notifications));

const waiting = async () =>
  Number((await pool.query<{ n: number }>('SELECT count(*) AS n FROM delivery')).rows[0]?.n);

// covers: G63, T18
describe('a webhook', () => {
  it('gets each notification as a CloudEvent that its own key has signed', async () => {
    const { received, port, close } = await receiver(createServer());
    const { channel, metrics } = await channelsOf({ url: `http://localhost:${port}/hook?a=b` });
    await tell(channel, issued(1), issued(2));
    await channel.worker.start();
    try {
      await eventually(() => expect(received).toHaveLength(2));
      await eventually(async () => expect(await waiting()).toBe(0));
    } finally {
      await channel.worker.stop();
      close();
    }
    for (const { headers, body } of received) {
      const event = new Webhook(SECRET).verify(body, headers as never);
      expect(event).toMatchObject({
        specversion: '1.0',
        id: headers['webhook-id'],
        source: 'https://pki.example',
        type: 'gigvault.certificate-issued',
        time: '2025-11-21T22:40:00.000Z',
        data: { actor: 'user:1', producer: 'ca' },
      });
      expect(() => new Webhook(SECRET).verify(`${body} `, headers as never)).toThrow();
    }
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(2);
    expect(await metrics.exposition()).toContain('{channel="webhook.ops",result="ok"} 2');
  });

  it('is told what it asked for', async () => {
    const { received, port, close } = await receiver(createServer());
    const url = `http://localhost:${port}`;
    const { channel } = await channelsOf({ url, templates: ['certificate-revoked'] });
    await tell(channel, issued(1), issued(2, 'certificate-revoked'));
    await channel.worker.start();
    try {
      await eventually(() => expect(received).toHaveLength(1));
    } finally {
      await channel.worker.stop();
      close();
    }
    expect(JSON.parse(received[0]!.body)).toMatchObject({ type: 'gigvault.certificate-revoked' });
  });

  it('that is down, silent or refuses is asked again with the same id; whoever tells it waits for nobody', async () => {
    const { received, port, close } = await receiver(createServer(), [500, 302, 204]);
    const { channel } = await channelsOf({ url: `http://localhost:${port}` });
    await tell(channel, issued(1));
    await channel.worker.start();
    const dueAgain = () => pool.query('UPDATE delivery SET due_at = 0 WHERE failure IS NOT NULL');
    try {
      await eventually(async () => {
        await dueAgain();
        expect(received).toHaveLength(3);
      });
      await eventually(async () => expect(await waiting()).toBe(0));
      expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);

      close();
      await tell(channel, issued(2));
      await eventually(async () => {
        const { rows } = await pool.query('SELECT failure FROM delivery');
        expect(rows).toEqual([{ failure: expect.stringMatching(/cannot be told: ECONNREFUSED/) }]);
      });
    } finally {
      await channel.worker.stop();
    }
  });

  it('that never answers holds up nobody but itself, and its notification is kept', async () => {
    const silent = createSilentServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const { channel } = await channelsOf({ url: `http://localhost:${port}` });
    await tell(channel, issued(1));
    const asked = once(silent, 'connection');
    await channel.worker.start();
    await asked;
    await tell(channel, issued(2));
    expect(await waiting()).toBe(2);
    await channel.worker.stop();
    silent.close();
    expect(await waiting()).toBe(2);
  });

  it('that was given up is red in health, and asked again at the next start', async () => {
    const { received, port, close } = await receiver(createServer(), [500, 204]);
    const { channel } = await channelsOf({ url: `http://localhost:${port}` });
    await tell(channel, issued(1));
    await pool.query('UPDATE delivery SET attempts = 100');
    await channel.worker.start();
    await eventually(async () =>
      expect(channel.health.check()).rejects.toThrow('1 notifications were given up'),
    );
    await channel.worker.stop();
    const { channel: again } = await channelsOf({ url: `http://localhost:${port}` });
    await again.worker.start();
    await eventually(async () => expect(await waiting()).toBe(0));
    await again.worker.stop();
    close();
    await again.health.check();
    expect(received).toHaveLength(2);
  });

  it('that is busy all the time loses nothing', async () => {
    const { received, port, close } = await receiver(createServer());
    const { channel, metrics } = await channelsOf({ url: `http://localhost:${port}` });
    await pool.query(
      `INSERT INTO delivery (delivery_id, webhook, body, created_at, due_at, attempts)
       SELECT gen_random_uuid(), 'ops', '{}', 0, NULL, 100 FROM generate_series(1, $1)`,
      [MOST_WAITING - 20],
    );
    await channel.worker.start();
    // Those are tried again, and their places are free as they arrive: no count comes in between.
    await eventually(() => expect(received.length).toBeGreaterThan(100));
    await tell(channel, ...Array.from({ length: 100 }, (_, i) => issued(i)));
    await channel.worker.stop();
    close();
    expect(await metrics.exposition()).not.toContain('result="dropped"');
  });

  it('is told by one process at a time: what another has claimed is left to it until its lease ends', async () => {
    const { channel } = await channelsOf({ url: 'http://localhost:9' });
    await tell(channel, issued(1));
    const clock = new FakeClock(systemClock.now() + 1_000);
    const queue = pgDeliveryStore(pool, clock, 'https://pki.example').queue('ops');
    const [first] = await queue.claim(8, 60_000);
    expect(await queue.claim(8, 60_000)).toEqual([]);
    clock.advance(60_001);
    expect(await queue.claim(8, 60_000)).toEqual([{ ...first, attempt: 2 }]);
    // Too late: it is somebody else's now.
    await queue.failed(first!, 'no answer in time', undefined);
    expect(await queue.count()).toEqual({ waiting: 1, givenUp: 0 });
  });

  it('for which too many wait loses the newest, and says so', async () => {
    await pool.query(
      `INSERT INTO delivery (delivery_id, webhook, body, created_at, due_at)
       SELECT gen_random_uuid(), 'ops', '{}', 0, $2 FROM generate_series(1, $1)`,
      [MOST_WAITING, systemClock.now() + 3_600_000],
    );
    const { channel, metrics } = await channelsOf({ url: 'http://localhost:1' });
    await channel.worker.start();
    await eventually(async () => {
      await tell(channel, issued(1));
      expect(await metrics.exposition()).toContain('{channel="webhook.ops",result="dropped"}');
    });
    await channel.worker.stop();
    await expect(channel.health.check()).rejects.toThrow('new ones are dropped');
  });
});

describe('TLS of a webhook', () => {
  it('is verified, by the CAs that it is said to be of', async () => {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    await runOrFail('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-subj', '/CN=hook', '-addext', 'subjectAltName=DNS:localhost', '-days', '1'],
      ...['-keyout', key, '-out', cert],
    ]);
    const tls = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) });
    const { received, port, close } = await receiver(tls as never);
    const url = `https://localhost:${port}`;
    const failure = async () => (await pool.query('SELECT failure FROM delivery')).rows;
    try {
      const { channel: unknown } = await channelsOf({ url });
      await tell(unknown, issued(1));
      await unknown.worker.start();
      await eventually(async () =>
        expect(await failure()).toEqual([{ failure: expect.stringMatching(/SELF_SIGNED/) }]),
      );
      await unknown.worker.stop();
      expect(received).toEqual([]);

      const { channel } = await channelsOf({ url, caFile: cert });
      await pool.query('UPDATE delivery SET due_at = 0');
      await channel.worker.start();
      await eventually(() => expect(received).toHaveLength(1));
      await channel.worker.stop();
    } finally {
      close();
    }
  });
});

// covers: T73
describe('where a webhook may be', () => {
  it.each([
    'https://169.254.169.254/latest/meta-data',
    'https://10.0.0.1/',
    'https://[::1]/',
    'https://2130706433/',
    'https://[::ffff:127.0.0.1]/',
  ])('not at %s: the configuration is refused', (url) => {
    const webhooks = { ops: { url, secret: 'env://X' } };
    const { error } = notifyConfig.safeParse({ webhooks });
    expect(error?.issues).toEqual([
      expect.objectContaining({
        path: ['webhooks', 'ops', 'url'],
        message: expect.stringMatching(/^leads to an address that is refused/),
      }),
    ]);
  });

  it.each([
    ['http://hooks.example/', /is not https/],
    ['https://user:secret@hooks.example/', /holds a password/],
  ])('not at %s in production', async (url, said) => {
    await expect(channelsOf({ url }, {}, 'production')).rejects.toThrow(said);
  });

  it('at an address of a network that is allowed', async () => {
    const { received, port, close } = await receiver(createServer());
    const allowed = { allowedNetworks: ['127.0.0.0/8'] };
    const { channel } = await channelsOf({ url: `http://127.0.0.1:${port}/` }, allowed);
    await tell(channel, issued(1));
    await channel.worker.start();
    await eventually(() => expect(received).toHaveLength(1));
    await channel.worker.stop();
    close();
  });

  it.each(['', 'short', Buffer.alloc(65).toString('base64')])(
    'a secret is none: "%s"',
    async (text) => {
      const file = join(folder, 'other');
      writeFileSync(file, text, { mode: 0o600 });
      await expect(
        channelsOf({ url: 'https://hooks.example', secret: `file://${file}` }),
      ).rejects.toThrow(/secret/);
    },
  );
});
