import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type RequestOptions, request } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { build } from 'esbuild';
import { installationRoot } from '../src/home.ts';
import { storeIdentity } from '../src/identity-files.ts';

const identities = createTestIdentities();
const bundled = join(installationRoot(), '.build', `host-test-${process.pid}`);
const program = join(bundled, 'service-main.js');
let folder: string;
let files = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'gigvault-process-'));
  await build({
    entryPoints: [join(import.meta.dirname, 'service-main.ts')],
    outdir: bundled,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    plugins: [
      {
        name: 'third-party',
        setup: ({ onResolve }) =>
          onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
            kind === 'entry-point' || path.startsWith('@gigvault/')
              ? undefined
              : { path, external: true },
          ),
      },
    ],
    tsconfigRaw: {
      compilerOptions: { experimentalDecorators: true, useDefineForClassFields: false },
    },
  });
  const { servicesCa, ...material } = identities.identity('policy').current();
  writeFileSync(join(folder, 'ca.crt'), servicesCa);
  storeIdentity(
    { servicesCa: '', certificate: join(folder, 'x.crt'), privateKey: join(folder, 'x.key') },
    material,
  );
  writeFileSync(join(folder, 'token'), 'the-token\n');
  mkdirSync(join(folder, 'data'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
  rmSync(bundled, { recursive: true });
});

function config(changes: Record<string, unknown> = {}): string {
  const file = join(folder, `${++files}.yaml`);
  const content = {
    environment: 'development',
    trustDomain: 'gigvault.test',
    publicUrl: 'https://localhost:8443',
    dataDir: join(folder, 'data'),
    log: { file: join(folder, `${files}.log`) },
    // Port 1: nobody listens there.
    database: { host: '127.0.0.1', port: 1, name: 'x', password: `file://${folder}/token` },
    grpc: { port: 0 },
    https: { port: 0 },
    metrics: { port: 0 },
    tls: {
      servicesCa: join(folder, 'ca.crt'),
      certificate: join(folder, 'x.crt'),
      privateKey: join(folder, 'x.key'),
    },
    adminToken: `file://${folder}/token`,
    addresses: { ca: '127.0.0.1:1', auth: '127.0.0.1:1' },
    ...changes,
  };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(content));
  return file;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function launch(args: readonly string[], env: Record<string, string> = {}) {
  const child: ChildProcess = spawn(process.execPath, [program, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text) => {
    stdout += text;
  });
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve) =>
    child.once('close', (code) => resolve({ code, stdout, stderr })),
  );
  const serving = new Promise<Record<string, number>>((resolve, reject) => {
    child.stdout?.once('data', (text: Buffer) => resolve(JSON.parse(text.toString())));
    child.once('close', () => reject(new Error(`it ended: ${stderr}`)));
  });
  serving.catch(() => undefined);
  return { child, ended, serving };
}

function ask(port: number, path: string, options: RequestOptions = {}) {
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path, agent: false, rejectUnauthorized: false, ...options },
      (response) => {
        let body = '';
        response.on('data', (part) => {
          body += part;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      },
    );
    outgoing.on('error', reject).end();
  });
}

describe('a service’s process', () => {
  it('serves, tells its ports, and stops when an operator asks', async () => {
    const file = join(folder, 'debug.log');
    const { serving, ended } = launch(['--config', config({ log: { file, level: 'debug' } })]);
    const ports = await serving;
    expect(ports).toEqual({
      service: 'policy',
      grpc: expect.any(Number),
      https: expect.any(Number),
      admin: expect.any(Number),
      metrics: expect.any(Number),
    });
    const { admin = 0, https = 0, metrics = 0 } = ports;
    const health = await ask(admin, '/admin/v1/healthz?verbose');
    expect(health.status).toBe(503);
    expect(JSON.parse(health.body)).toMatchObject({ checks: [{ name: 'database', ok: false }] });
    expect((await ask(admin, '/admin/v1/healthz?exclude=database')).status).toBe(200);
    expect((await ask(metrics, '/metrics')).body).toContain('gigvault_build_info{');

    const { certificate, privateKey } = identities.identity('edge').current();
    const headersOfEdge = { 'x-gigvault-listener': 'public' };
    const asEdge = {
      cert: certificate,
      key: privateKey,
      servername: 'upstream.gigvault.test',
      headers: headersOfEdge,
    };
    for (const path of ['/live', '/version', '/openapi.json', '/docs'])
      expect([path, (await ask(https, path, asEdge)).status]).toEqual([path, 200]);
    expect((await ask(https, '/ready', asEdge)).status).toBe(503);
    await expect(ask(https, '/live')).rejects.toThrow();

    const headers = { authorization: 'Bearer the-token' };
    const answer = await ask(admin, '/admin/v1/shutdown', { method: 'POST', headers });
    expect(answer.status).toBe(202);
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
    const log = readFileSync(file, 'utf8');
    expect(log).toContain('"operation":"GET /version"');
    expect(log).not.toContain('the-token');
  });

  it('drains on SIGTERM, and under a supervisor when that is gone', async () => {
    const terminated = launch(['--config', config()]);
    const orphan = launch(['--supervised', '--config', config()]);
    await Promise.all([terminated.serving, orphan.serving]);
    terminated.child.kill('SIGTERM');
    orphan.child.stdin?.end();
    expect(await terminated.ended).toMatchObject({ code: 0 });
    expect(await orphan.ended).toMatchObject({ code: 0 });
  });

  it('checks its configuration without starting', async () => {
    const { ended } = launch(['--check-config', '--config', config()]);
    expect(await ended).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});

describe('a start that fails says why in one line', () => {
  it.each([
    [
      'an unknown flag',
      () => ['--confg', 'x'],
      2,
      /^error: Unknown option '--confg'.*GV-INVALID-ARGUMENT\n$/,
    ],
    [
      'an unknown key of the service',
      () => ['--check-config', '--config', config({ service: { color: 'red' } })],
      2,
      /service\.color: unknown key \(did you mean "service\.colour"\?\) /,
    ],
    [
      'no identity',
      () => [
        '--config',
        config({ tls: { servicesCa: '/x', certificate: '/x', privateKey: '/x' } }),
      ],
      2,
      /^error: The identity file \/x cannot be read\. /,
    ],
    [
      'no secret',
      () => ['--config', config({ adminToken: 'file:///nowhere' })],
      2,
      /^error: The secret file:\/\/\/nowhere is not there\. /,
    ],
  ] as const)('%s', async (_what, args, code, line) => {
    const { ended } = launch(args());
    const outcome = await ended;
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr).toMatch(line);
    expect(outcome.stderr.trim()).not.toContain('\n');
  });

  it('a port in use, whichever', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const [https, grpc] = await Promise.all(
      ['https', 'grpc'].map((name) => launch(['--config', config({ [name]: { port } })]).ended),
    );
    expect(https).toEqual({
      code: 6,
      stdout: '',
      stderr: `error: Port ${port} (public and status listener) is in use by another program.   GV-CONFLICT\n`,
    });
    expect(grpc?.code).toBe(6);
    expect(grpc?.stderr).toContain(
      `error: Port ${port} (gRPC listener) is in use by another program.   GV-CONFLICT\n`,
    );
    await new Promise((resolve) => server.close(resolve));
  });
});
