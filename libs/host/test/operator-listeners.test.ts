import { request } from 'node:https';
import { connect } from 'node:net';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHealth } from '../src/health.ts';
import {
  type OperatorListener,
  startAdminListener,
  startMetricsListener,
} from '../src/operator-listeners.ts';

const { certificate, privateKey } = createTestIdentities().identity('gigvault').current();
const tls = { cert: certificate, key: privateKey };
const health = createHealth(
  () => [
    {
      name: 'database',
      check: async () => {
        throw new Error('connect ECONNREFUSED');
      },
    },
  ],
  systemClock,
);
let admin: OperatorListener;
let shutdowns = 0;

const start = (port = 0) =>
  startAdminListener({ port, tls, health, token: 'the-token', shutdown: () => void shutdowns++ });

beforeAll(async () => {
  admin = await start();
  health.setReady(true);
});

afterAll(() => admin.stop());

function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: string; type: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path, agent: false, rejectUnauthorized: false, ...options },
      (response) => {
        let body = '';
        response.on('data', (part) => {
          body += part;
        });
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body,
            type: response.headers['content-type'] ?? '',
          }),
        );
      },
    );
    outgoing.on('error', reject).end();
  });
}

describe('the admin listener', () => {
  it('says that the process lives, whatever its database does (covers: C45)', async () => {
    expect(await ask(admin.port, '/admin/v1/livez')).toMatchObject({ status: 200 });
  });

  it('says whether it is ready and well (covers: C46, C47)', async () => {
    for (const path of ['readyz', 'healthz']) {
      expect((await ask(admin.port, `/admin/v1/${path}`)).status).toBe(503);
      const verbose = await ask(admin.port, `/admin/v1/${path}?verbose`);
      expect(JSON.parse(verbose.body)).toMatchObject({
        checks: [{ name: 'database', message: 'connect ECONNREFUSED' }],
      });
      expect((await ask(admin.port, `/admin/v1/${path}?exclude=database`)).status).toBe(200);
    }
  });

  it('stops the process for whoever has the token, and nobody else (covers: C48)', async () => {
    const path = '/admin/v1/shutdown';
    for (const authorization of [
      '',
      'Bearer ',
      'Bearer the-tokem',
      'the-token',
      'bearer the-token',
    ]) {
      const answer = await ask(admin.port, path, { method: 'POST', headers: { authorization } });
      expect([authorization, answer.status]).toEqual([authorization, 401]);
    }
    expect((await ask(admin.port, path)).status).toBe(404);
    expect(shutdowns).toBe(0);
    const headers = { authorization: 'Bearer the-token', 'content-type': 'application/json' };
    const answer = await ask(admin.port, path, { method: 'POST', headers });
    expect([answer.status, shutdowns]).toEqual([202, 1]);
  });

  it('listens on 127.0.0.1 and nowhere else (covers: C49)', async () => {
    for (const host of ['::1', '127.0.0.2']) {
      const outcome = await new Promise((resolve) => {
        const socket = connect(admin.port, host, () => resolve('connected'));
        socket.on('error', () => resolve('refused'));
      });
      expect([host, outcome]).toEqual([host, 'refused']);
    }
  });

  it('names its port when it is in use', async () => {
    await expect(start(admin.port)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: `Port ${admin.port} (admin listener) is in use by another program.`,
    });
  });
});

describe('the metrics listener (covers: X4)', () => {
  it('serves /metrics with the build that runs, and nothing else', async () => {
    const metrics = createMetrics();
    const listener = await startMetricsListener({ host: '127.0.0.1', port: 0, tls, metrics });
    const answer = await ask(listener.port, '/metrics');
    expect(answer.type).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.body).toMatch(
      /^gigvault_build_info\{version="\d+\.\d+\.\d+",commit="([0-9a-f]{12}|unknown)",node="v\d+/m,
    );
    expect((await ask(listener.port, '/admin/v1/livez')).status).toBe(404);
    await listener.stop();
  });

  it('gives OpenMetrics, with trace ids as exemplars, to who accepts it', async () => {
    const metrics = createMetrics();
    const traceId = 'ab'.repeat(16);
    metrics.histogram('wait_seconds', 'Waits.', []).observe({}, 0.2, traceId);
    const listener = await startMetricsListener({ host: '127.0.0.1', port: 0, tls, metrics });
    const headers = { accept: 'application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1' };
    const open = await ask(listener.port, '/metrics', { headers });
    expect(open.type).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    expect(open.body).toContain(`# {trace_id="${traceId}"} 0.2`);
    expect((await ask(listener.port, '/metrics')).body).not.toContain(traceId);
    await listener.stop();
  });
});
