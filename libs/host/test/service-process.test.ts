import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { eventually } from '@gigvault/testkit/eventually';
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
  await storeIdentity(
    { servicesCa: '', certificate: join(folder, 'x.crt'), privateKey: join(folder, 'x.key') },
    material,
  );
  writeFileSync(join(folder, 'token'), 'the-token\n', { mode: 0o600 });
  mkdirSync(join(folder, 'data'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
  rmSync(bundled, { recursive: true });
});

function nextFile(): string {
  return join(folder, `${++files}.yaml`);
}

function config(changes: Record<string, unknown> = {}, file = nextFile()): string {
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

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
  /** Of the server's certificate. */
  readonly serial: string;
}

function ask(port: number, path: string, options: RequestOptions = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, path, agent: false, rejectUnauthorized: false, ...options },
      (response) => {
        let body = '';
        response.on('data', (part) => {
          body += part;
        });
        const { statusCode: status = 0, headers, socket } = response;
        const serial = (socket as TLSSocket).getPeerCertificate().serialNumber;
        response.on('end', () => resolve({ status, body, headers, serial }));
      },
    );
    outgoing.on('error', reject).end();
  });
}

/** Options of a request as the edge proxy sends it. */
function edge(): RequestOptions {
  const { certificate: cert, privateKey: key } = identities.identity('edge').current();
  const headers = { 'x-gigvault-listener': 'public' };
  return { cert, key, servername: 'upstream.gigvault.test', headers };
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

    const asEdge = edge();
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

  it('serves on without room for its log, and counts what it could not write', async () => {
    const log = { file: '/dev/full', level: 'debug' };
    const { child, serving, ended } = launch(['--config', config({ log })]);
    const { https = 0, metrics = 0 } = await serving;
    for (let i = 0; i < 3; i++) expect((await ask(https, '/version', edge())).status).toBe(200);
    const [, lost] = /^gigvault_log_lines_lost_total (\d+)$/m.exec(
      (await ask(metrics, '/metrics')).body,
    ) as unknown as [string, string];
    expect(Number(lost)).toBeGreaterThan(3);
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('checks its configuration without starting', async () => {
    const { ended } = launch(['--check-config', '--config', config()]);
    expect(await ended).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});

describe('SIGHUP', () => {
  const file = () => join(folder, 'reload.yaml');
  const logFile = () => join(folder, 'reload.log');
  const rules = () => join(folder, 'rules');
  const tls = () => ({
    servicesCa: join(folder, 'ca.crt'),
    certificate: join(folder, 'own.crt'),
    privateKey: join(folder, 'own.key'),
  });
  const write = (level: string, burst: number, more: object = {}) => {
    const rateLimit = { requestsPerSecond: 1, burst };
    const log = { file: logFile(), level };
    const service = { rules: rules() };
    config({ log, https: { port: 0, rateLimit }, tls: tls(), service, ...more }, file());
  };
  const newIdentity = async () => {
    const { servicesCa: _ca, ...material } = identities.identity('policy').current();
    await storeIdentity(tls(), material);
  };
  const said = (): Record<string, unknown>[] =>
    readFileSync(logFile(), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  async function started() {
    rmSync(logFile(), { force: true });
    writeFileSync(rules(), 'one');
    write('info', 200);
    await newIdentity();
    const process = launch(['--config', file()]);
    const { https = 0 } = await process.serving;
    const hangup = () => void process.child.kill('SIGHUP');
    const limit = async () =>
      (await ask(https, '/api/v1/nothing', edge())).headers['ratelimit-policy'];
    return { ...process, https, hangup, limit };
  }

  it('takes over log level, rate limits, certificates and what services read; the rest needs a restart', async () => {
    const { child, ended, https, hangup, limit } = await started();
    expect(await limit()).toBe('"client";q=200;w=200');
    const { serial } = await ask(https, '/live', edge());
    await newIdentity();
    writeFileSync(rules(), 'two');
    const publicUrl = 'https://elsewhere:8443';
    write('debug', 7, { publicUrl, service: { rules: rules(), colour: 'green' } });
    hangup();
    await eventually(async () => {
      expect(await limit()).toBe('"client";q=7;w=7');
      expect((await ask(https, '/live', edge())).serial).not.toBe(serial);
      expect(said()).toContainEqual(
        expect.objectContaining({ level: 'debug', msg: 'rules read', text: 'two' }),
      );
    });
    expect(said().find(({ msg }) => msg === 'changes that need a restart')).toMatchObject({
      level: 'warn',
      keys: ['publicUrl', 'service.colour'],
    });
    expect(said().find(({ msg }) => msg === 'configuration reloaded')).toMatchObject({
      keys: ['log.level', 'https.rateLimit.burst'],
    });
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
  });

  it('what is refused changes nothing, each by itself, and the process goes on', async () => {
    const { child, ended, https, hangup, limit } = await started();
    const { serial } = await ask(https, '/live', edge());
    writeFileSync(file(), '{ "log": { "level": "loud" } }');
    hangup();
    await eventually(() =>
      expect(said()).toContainEqual(
        expect.objectContaining({ level: 'error', msg: 'the configuration was not reloaded' }),
      ),
    );
    write('info', 9);
    writeFileSync(rules(), 'broken');
    await newIdentity();
    writeFileSync(tls().privateKey, readFileSync(join(folder, 'x.key'), 'utf8').slice(0, 200));
    hangup();
    await eventually(async () => {
      expect(await limit()).toBe('"client";q=9;w=9');
      const failed = said().filter(({ msg }) => String(msg).startsWith('not reloaded'));
      expect(failed.map(({ what }) => what)).toEqual(['service certificate', 'rules']);
    });
    expect((await ask(https, '/live', edge())).serial).toBe(serial);
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
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
