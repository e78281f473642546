import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createSilentServer, type Server } from 'node:net';
import { parseNetwork } from '@gigvault/egress/network';
import { type DnsServer, startDnsServer } from '@gigvault/testkit/dns-server';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { httpsWebhookSender } from '../src/adapters/https-webhook-sender.ts';

/** Milliseconds for an attempt of these tests, and what a busy machine may add. */
const LIMIT = 500;
const SOON = 10_000;

let dns: DnsServer;
beforeAll(async () => {
  dns = await startDnsServer();
});
afterAll(() => dns.stop());

function post(url: string, allowed: readonly string[] = [], limit = SOON) {
  const allowedNetworks = allowed.map((text) => parseNetwork(text)!);
  const rules = { development: true, allowedNetworks };
  const sender = httpsWebhookSender({ rules, clock: systemClock, servers: [dns.address], limit });
  return sender.post(new URL(url), {}, '{}', new AbortController().signal);
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

// covers: T18, T73
describe('what is sent to a webhook', () => {
  it('goes to no address that is refused, whatever the name says', async () => {
    dns.put('metadata.example', '169.254.169.254', '::1', '10.0.0.1');
    await expect(post('http://metadata.example/')).rejects.toThrow(
      'no address of metadata.example may be connected to: 169.254.169.254 (link-local), ::1 (loopback), 10.0.0.1 (private use)',
    );
  });

  it('goes to the first address that takes a connection', async () => {
    const server = createServer((_request, response) => response.writeHead(204).end());
    const port = await listening(server);
    dns.put('two.example', '127.0.0.2', '127.0.0.1');
    expect(await post(`http://two.example:${port}/`, ['127.0.0.0/8'])).toEqual({ status: 204 });
    server.close();
    await expect(post(`http://two.example:${port}/`, ['127.0.0.0/8'])).rejects.toThrow(
      `two.example:${port} (127.0.0.1) cannot be told: ECONNREFUSED`,
    );
  });

  it('is given up in time when the receiver never answers, and when no name server does', async () => {
    const silent = createSilentServer();
    const port = await listening(silent);
    dns.silence(/^nobody\.example/);
    for (const [url, why] of [
      [`http://localhost:${port}/`, /no answer in time/],
      ['http://nobody.example/', /its name is not resolved in time/],
    ] as const) {
      const begin = performance.now();
      await expect(post(url, [], LIMIT)).rejects.toThrow(why);
      expect(performance.now() - begin).toBeLessThan(SOON);
    }
    silent.close();
  });
});
