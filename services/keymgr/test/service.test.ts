import { mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Principal, permissionsOf } from '@gigvault/access/permissions';
import { type RunningService, runService } from '@gigvault/host/run-service';
import type { Operation } from '@gigvault/http/route';
import { verifyWith } from '@gigvault/keystore/key-algorithm';
import { RPC } from '@gigvault/rpc/contracts';
import { createInProcessBroker } from '@gigvault/rpc/in-process-transport';
import { readPeerTable } from '@gigvault/rpc/peers';
import type { PeerName } from '@gigvault/rpc/service-name';
import { secretResolver } from '@gigvault/secrets/secret-resolver';
import { secretsConfig } from '@gigvault/secrets/secrets.config';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { readPublicKey } from '@gigvault/x509/public-key';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { createCaKey } from '../src/ca-keys/create-ca-key.ts';
import { keymgrConfig } from '../src/keymgr.config.ts';
import { keymgrService } from '../src/keymgr.module.ts';
import { type KeymgrContext, lostKeys, openKeymgr, prepareMasterKey } from '../src/open-keymgr.ts';
import { crlTbs, ISSUER, jwsTbs, leafTbs, ocspTbs } from './signing-fixture.ts';

const config = keymgrConfig.parse({ limits: { people: { generate: 100 } } });
const metrics = createMetrics();
const broker = createInProcessBroker({ encode: true });
let database: TestDatabase;
let pool: Pool;
const secrets = secretResolver(secretsConfig.parse({}), {});
let dataDir: string;
let service: RunningService;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gigvault-keymgr-'));
  database = await startTestDatabase();
  pool = await database.pool('keymgr', keymgrService.migrations);
  await prepareMasterKey(config, dataDir);
  const bootstrap = await openKeymgr(context());
  await createCaKey(bootstrap.keys, { keyId: 'ca-issuing', keyType: 'ec-p256', subject: ISSUER });

  service = await runService(keymgrService, config, {
    environment: 'development',
    trustDomain: 'gigvault.local',
    publicUrl: 'https://localhost:8443',
    peers: readPeerTable(
      await readFile(new URL('../../../deploy/peers.yaml', import.meta.url), 'utf8'),
    ),
    clock: systemClock,
    clockGuard: createClockGuard(systemClock),
    metrics,
    secrets,
    dataDir: () => dataDir,
    pool: () => pool,
    log: () => silentLog,
    authenticator: () => ({ authenticate: () => Promise.reject(new Error('not used here')) }),
    client: broker.client,
  });
  broker.register(service.table);
  await service.startWorkers();
});
afterAll(async () => {
  await service?.stop();
  await database?.stop();
  await rm(dataDir, { recursive: true });
});
afterEach(() => installFaultHook(undefined));

const NO_TOKEN = 'pkcs11:token=none?module-path=/nowhere.so&pin-source=file:/nowhere';

function context(): KeymgrContext {
  const log = silentLog;
  return { config, dataDir, database: pool, clock: systemClock, log, metrics, secrets };
}

const signing = (caller: PeerName) => broker.client(caller, RPC.keySigning, 'keymgr');
const keys = (caller: PeerName) => broker.client(caller, RPC.key, 'keymgr');
const certSign = (tbs = leafTbs()) => ({
  keyId: 'ca-issuing',
  purpose: 'certSign',
  intentId: crypto.randomUUID() as string,
  tbs,
});

const NEW_KEY = { keyType: 'ec-p256', purposes: ['ocspSign'], actor: '' };

/** The last event of a refusal. */
async function lastRefusal(): Promise<object> {
  const { rows } = await pool.query<{ actor: string; subject: string; data: Buffer }>(
    `SELECT actor, subject, data FROM outbox WHERE type = 'key.refused' ORDER BY position DESC LIMIT 1`,
  );
  const { data, ...row } = rows[0]!;
  return { ...row, data: JSON.parse(data.toString('utf8')) as object };
}

describe('keymgr as a service', () => {
  it('signs certificates for ca and CRLs for crl with one key, and not the other way round', async () => {
    const { subjectPublicKeyInfo } = await keys('ca').getKey({ keyId: 'ca-issuing' });
    const { keyObject } = readPublicKey(subjectPublicKeyInfo);
    const asked = certSign();
    const { signature } = await signing('ca').sign(asked);
    expect(await verifyWith(keyObject, asked.tbs, signature, 'der')).toBe(true);

    const crl = { ...certSign(crlTbs()), purpose: 'crlSign' };
    expect((await signing('crl').sign(crl)).signature.length).toBeGreaterThan(60);
    await expect(signing('crl').sign(certSign())).rejects.toMatchObject({
      code: 'KEY_USE_REFUSED',
    });
    await expect(
      signing('ca').sign({ ...crl, intentId: crypto.randomUUID() }),
    ).rejects.toMatchObject({
      code: 'KEY_USE_REFUSED',
    });
  });

  it('signs batches', async () => {
    const items = Array.from({ length: 100 }, () => certSign());
    const { items: results } = await signing('ca').signBatch({
      items: [...items, certSign(Buffer.of(1))],
    });
    expect(results.filter(({ errorCode }) => errorCode === '')).toHaveLength(100);
    expect(results.at(-1)).toMatchObject({ errorCode: 'KEY_USE_REFUSED' });
  });

  it('generates keys for ocsp and auth, which they alone use', async () => {
    const request = {
      keyId: 'ocsp-issuing',
      keyType: 'ec-p256',
      purposes: ['ocspSign'],
      actor: '',
    };
    const key = await keys('ocsp').generateKey(request);
    expect(key).toMatchObject({
      state: 'active',
      callers: ['ocsp'],
      backend: 'pkcs8',
      purposes: ['ocspSign'],
    });
    await expect(keys('ocsp').generateKey(request)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    const tbs = ocspTbs(readPublicKey(key.subjectPublicKeyInfo));
    const asked = { keyId: 'ocsp-issuing', purpose: 'ocspSign', intentId: '', tbs };
    await signing('ocsp').sign(asked);

    await keys('auth').generateKey({ ...request, keyId: 'auth-token', purposes: ['jwtSign'] });
    const token = { keyId: 'auth-token', purpose: 'jwtSign', intentId: '', tbs: jwsTbs() };
    expect((await signing('auth').sign(token)).signature).toHaveLength(64);
    await expect(signing('ocsp').sign(token)).rejects.toMatchObject({ code: 'KEY_USE_REFUSED' });
    await expect(
      keys('auth').generateKey({ ...request, keyId: 'x', purposes: ['certSign'] }),
    ).rejects.toMatchObject({
      code: 'KEY_USE_REFUSED',
    });
  });

  it('covers: T4. has recorded a signature whose answer was lost; closing finds it', async () => {
    installFaultHook((step, moment) => {
      if (step === 'keymgr.signature' && moment === 'after') throw new Error('cut off');
    });
    const asked = certSign();
    await expect(signing('ca').sign(asked)).rejects.toMatchObject({ code: 'INTERNAL' });
    installFaultHook(undefined);
    const { signature, tombstoned } = await signing('ca').closeSigning({
      intentId: asked.intentId,
    });
    expect([signature.length > 60, tombstoned]).toEqual([true, false]);
    expect((await signing('ca').sign(asked)).signature).toEqual(signature);
  });

  it('covers: T4. has recorded nothing when it was cut off before; closing ends the intent', async () => {
    installFaultHook((step, moment) => {
      if (step === 'keymgr.signature' && moment === 'before') throw new Error('cut off');
    });
    const asked = certSign();
    await expect(signing('ca').sign(asked)).rejects.toMatchObject({ code: 'INTERNAL' });
    installFaultHook(undefined);
    expect(await signing('ca').closeSigning({ intentId: asked.intentId })).toMatchObject({
      tombstoned: true,
    });
    await expect(signing('ca').sign(asked)).rejects.toMatchObject({ code: 'SIGNING_CLOSED' });
  });

  it('tells audit of a service that calls what is not its to call — covers: T61', async () => {
    await expect(signing('enroll').sign(certSign())).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(await lastRefusal()).toEqual({
      actor: 'service:enroll',
      subject: 'ca-issuing',
      data: {
        caller: 'enroll',
        purpose: 'KeySigningService/Sign',
        reason: 'peers.yaml does not let it call this',
      },
    });
    await expect(keys('crl').generateKey({ ...NEW_KEY, keyId: '../x' })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    expect(await lastRefusal()).toMatchObject({ actor: 'service:crl', subject: '*' });
  });

  it('tells audit of keys that services ask for and do not get — covers: T63', async () => {
    await expect(keys('ocsp').generateKey({ ...NEW_KEY, keyId: 'ca-next' })).rejects.toMatchObject({
      code: 'KEY_USE_REFUSED',
    });
    expect(await lastRefusal()).toMatchObject({
      actor: 'service:ocsp',
      subject: 'ca-next',
      data: { purpose: 'generate', reason: "ids of ocsp's keys begin with 'ocsp-'" },
    });
    const successor = { keyId: 'ca-issuing-g2', generation: 2, actor: '' };
    await keys('ca').requestSuccessor({ ...successor, keyId: 'ca-issuing' });
    await expect(keys('ca').requestSuccessor(successor)).rejects.toMatchObject({
      code: 'KEY_USE_REFUSED',
    });
    expect(await lastRefusal()).toMatchObject({
      actor: 'service:ca',
      subject: 'ca-issuing-g2',
      data: { purpose: 'request-successor' },
    });
    const asked = certSign();
    await signing('ca').closeSigning({ intentId: asked.intentId });
    await expect(signing('ca').sign(asked)).rejects.toMatchObject({ code: 'SIGNING_CLOSED' });
    expect(await lastRefusal()).toMatchObject({
      subject: 'ca-issuing',
      data: { purpose: 'certSign', reason: `intent ${asked.intentId} was closed` },
    });
  });

  it('tells audit of the request for a CA’s certificate, which its key signs', async () => {
    const { rows } = await pool.query<{ data: Buffer }>(
      `SELECT data FROM outbox WHERE type = 'key.used' AND subject = 'ca-issuing-g2'`,
    );
    expect(rows.map(({ data }) => JSON.parse(data.toString('utf8')))).toEqual([
      {
        purpose: 'request-certificate',
        caller: 'ca',
        count: 1,
        version: 1,
        dataSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    ]);
  });

  it('tells audit of every key and signature', async () => {
    const log = broker.client('audit', RPC.eventLog, 'keymgr');
    const { events } = await log.pull({ acknowledged: 0, limit: 1000, waitMs: 0 });
    const types = new Set(events.map(({ type }) => type));
    expect([...types].sort()).toEqual(
      expect.arrayContaining(['key.generated', 'key.refused', 'key.used', 'signing.closed']),
    );
    const { rows } = await pool.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM signature WHERE NOT tombstoned',
    );
    const told = events
      .map(({ data }) => JSON.parse(data.toString('utf8')) as { signatures?: unknown[] })
      .reduce((sum, { signatures = [] }) => sum + signatures.length, 0);
    expect(told).toBe(rows[0]!.n);
  });

  it('counts, and is healthy', async () => {
    for (const { check } of service.healthChecks) await check();
    const text = await eventually(async () => {
      const scrape = await metrics.exposition();
      expect(scrape).toMatch(/gigvault_keys_total\{backend="pkcs8"\} [1-9]/);
      expect(scrape).toContain('gigvault_queue_depth{queue="events.keymgr.audit"}');
      return scrape;
    });
    expect(text).toContain(
      'gigvault_key_generate_duration_seconds_count{backend="pkcs8",key_type="ec-p256"}',
    );
    expect(text).toMatch(/gigvault_key_generate_total\{backend="pkcs8",key_type="ec-p256"\} [1-9]/);
    expect(text).toMatch(/gigvault_sign_total\{backend="pkcs8"\} [1-9]/);
    expect(text).toContain('gigvault_sign_duration_seconds_bucket');
    expect(text).toContain('gigvault_backends_available{backend="pkcs8"} 1');
  });

  it('is ready without a backend with which no service signs', async () => {
    const read = (written: object) => ({ ...context(), config: keymgrConfig.parse(written) });
    const more = { backends: { scratch: { type: 'memory' } } };
    for (const [written, blocking] of [
      [more, ['keystore']],
      // Services' keys stay in the files, so those are needed.
      [
        {
          backend: 'token',
          backends: { ...more.backends, token: { type: 'pkcs11', uri: NO_TOKEN } },
        },
        ['keystore.pkcs8', 'keystore'],
      ],
    ] as const) {
      const opened = await openKeymgr(read(written));
      const ready = opened.healthChecks.filter((check) => check.blocksReadiness !== false);
      expect(ready.map(({ name }) => name).sort()).toEqual([...blocking].sort());
      await opened.close();
    }
  });

  it('keeps private keys encrypted, and does not start without the master key', async () => {
    for (const file of await readdir(join(dataDir, 'keys'))) {
      const path = join(dataDir, 'keys', file);
      expect(await readFile(path, 'utf8')).toMatch(
        /^master-key: [0-9a-f]{16}\n-----BEGIN ENCRYPTED PRIVATE KEY-----/,
      );
      expect((await stat(path)).mode & 0o777).toBe(0o600);
    }
    const elsewhere = { ...context(), dataDir: join(dataDir, 'elsewhere') };
    await expect(openKeymgr(elsewhere)).rejects.toThrow('keymgr-master.key');
  });

  it('never makes a second master key for keys that are there', async () => {
    const masterKey = join(dataDir, 'secrets', 'keymgr-master.key');
    expect(await prepareMasterKey(config, dataDir)).toBe(false);
    await rename(masterKey, `${masterKey}.lost`);
    await expect(prepareMasterKey(config, dataDir)).rejects.toThrow('Restore it from a backup');
    await rename(`${masterKey}.lost`, masterKey);
  });
});

describe('REST', () => {
  const principal: Principal = {
    actor: 'user:alice',
    name: 'alice',
    roles: ['operator'],
    permissions: permissionsOf(['operator']),
    tenantId: 'default',
  };

  const operationOf = (operationId: string): Operation =>
    service.routes
      .map(({ route }) => route)
      .find(
        (route): route is Operation =>
          route.kind === 'operation' && route.operationId === operationId,
      )!;

  const bodyOf = (operationId: string) => operationOf(operationId).body!;

  async function call(operationId: string, input: object) {
    const operation = operationOf(operationId);
    const reply = await operation.handle({ principal, headers: {}, ...input } as never);
    operation.replies[reply.status]!.parse(reply.body);
    return reply;
  }

  it('covers: G70. generates a key, gets it and lists it; its reply has no private part', async () => {
    const body = { keyId: 'my-key', keyType: 'ec-p384' };
    const made = await call('generateKey', { body });
    expect(made).toMatchObject({ status: 201, headers: { location: '/api/v1/keys/my-key' } });
    expect(made.body).toMatchObject({ keyType: 'ec-p384', state: 'active', owner: 'user:alice' });
    expect(JSON.stringify(made.body)).not.toContain('PRIVATE');
    expect((await call('getKey', { params: { keyId: 'my-key' } })).body).toMatchObject({
      ...(made.body as object),
      versions: [{ version: 1, backend: 'pkcs8' }],
    });
    const { body: page } = await call('listKeys', { query: { limit: 200, cursor: '' } });
    expect((page as { items: unknown[] }).items).toContainEqual(made.body);
  });

  it('makes one key for one Idempotency-Key', async () => {
    const body = { keyType: 'ec-p256' };
    const headers = { 'idempotency-key': 'a' };
    const made = await call('generateKey', { body, headers });
    expect(await call('generateKey', { body, headers })).toEqual(made);
    const other = await call('generateKey', { body, headers: { 'idempotency-key': 'b' } });
    expect(other.body).not.toEqual(made.body);
    await expect(
      call('generateKey', { body: { keyType: 'ed25519' }, headers }),
    ).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await expect(
      call('generateKey', { body, headers: { 'idempotency-key': '' } }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('covers: K69, K70, K72. signs, rotates and verifies, newest version first', async () => {
    const params = { keyId: 'signing' };
    await call('generateKey', { body: { ...params, keyType: 'ec-p256' } });
    const data = Buffer.from('release 1').toString('base64');
    const sign = async () =>
      (await call('signData', { params, body: { data, format: 'der' } })).body as {
        signature: string;
      };
    const first = await sign();
    expect(first).toMatchObject({ ...params, version: 1, algorithm: 'ecdsa-with-SHA256' });
    expect((await call('rotateKey', { params, body: {} })).body).toMatchObject({ version: 2 });
    expect(await sign()).toMatchObject({ version: 2 });
    const body = { data, signature: first.signature, format: 'der' };
    expect((await call('verifySignature', { params, body })).body).toEqual({
      valid: true,
      version: 1,
      state: 'active',
    });
    const shown = (await call('getKey', { params })).body;
    expect(shown).toMatchObject({ version: 2, versions: [{ version: 2 }, { version: 1 }] });
    const trusted = { params: { keyId: 'ca-issuing' }, body: { data, format: 'der' } };
    await expect(call('signData', trusted)).rejects.toMatchObject({ code: 'KEY_USE_REFUSED' });
  });

  it('covers: K68. disables, destroys and restores, and lists by state', async () => {
    const params = { keyId: 'brief' };
    await call('generateKey', { body: { ...params, keyType: 'ec-p256' } });
    const body = { state: 'suspended', reason: 'why not' };
    expect((await call('changeKeyState', { params, body })).body).toMatchObject({
      state: 'suspended',
    });
    const listed = async (state: string) =>
      (await call('listKeys', { query: { limit: 200, cursor: '', state } })).body;
    expect(await listed('suspended')).toMatchObject({ items: [params] });
    const waiting = (await call('destroyKey', { params })).body as { destroyAt: string };
    expect(waiting).toMatchObject({ state: 'deactivated' });
    const days = (Date.parse(waiting.destroyAt) - systemClock.now()) / 86_400_000;
    expect(days).toBeCloseTo(7, 2);
    expect((await call('destroyKey', { params })).body).toEqual(waiting);
    expect((await call('restoreKey', { params })).body).toMatchObject({ state: 'suspended' });
    expect(await listed('deactivated')).toEqual({ items: [] });
  });

  it('has lost no key whose destruction has begun, and every other whose file is gone', async () => {
    const keyFile = async (keyId: string) => {
      await call('generateKey', { body: { keyId, keyType: 'ec-p256' } });
      await call('destroyKey', { params: { keyId } });
      const { rows } = await pool.query<{ handle: string }>(
        'SELECT handle FROM key WHERE key_id = $1',
        [keyId],
      );
      return join(dataDir, 'keys', `${rows[0]?.handle}.p8`);
    };
    const file = await keyFile('half-gone');
    await rename(file, `${file}.gone`);
    expect((await lostKeys(config, dataDir, pool)).files).toMatchObject([
      expect.stringContaining('(half-gone)'),
    ]);
    await pool.query(`UPDATE key SET restore_state = NULL WHERE key_id = 'half-gone'`);
    expect((await lostKeys(config, dataDir, pool)).files).toEqual([]);
  });

  it.each(['ec-p256', 'aes-256'])('misses the file of an earlier version: %s', async (keyType) => {
    const params = { keyId: `earlier-${keyType}` };
    await call('generateKey', { body: { ...params, keyType } });
    await call('rotateKey', { params, body: {} });
    const { rows } = await pool.query<{ handle: string }>(
      'SELECT handle FROM key_version WHERE key_id = $1',
      [params.keyId],
    );
    const name = `${rows[0]?.handle}.${keyType === 'aes-256' ? 'jwe' : 'p8'}`;
    const file = join(dataDir, 'keys', name);
    expect((await lostKeys(config, dataDir, pool)).files).toEqual([]);
    await rename(file, `${file}.gone`);
    expect((await lostKeys(config, dataDir, pool)).files).toEqual([`${name} (${params.keyId})`]);
    await rename(`${file}.gone`, file);
  });

  it('its table takes no destruction of a key of a service', async () => {
    for (const change of [`destroy_at = now(), state = 'deactivated'`, `state = 'destroyed'`])
      await expect(
        pool.query(`UPDATE key SET ${change} WHERE key_id = 'ca-issuing'`),
      ).rejects.toThrow('key_of_service_check');
  });

  it('covers: X17, T63. grants uses of a key, and takes nothing else with it', async () => {
    const params = { keyId: 'my-key' };
    const made = (await call('getKey', { params })).body;
    expect((await call('getKeyGrants', { params })).body).toEqual({ version: 0, grants: [] });
    const body = { grants: [{ user: 'user:bob', uses: ['sign'] }], version: 0 };
    const granted = { version: 1, grants: body.grants };
    expect((await call('setKeyGrants', { params, body })).body).toEqual(granted);
    expect((await call('getKeyGrants', { params })).body).toEqual(granted);
    await expect(call('setKeyGrants', { params, body })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    for (const more of [
      { owner: 'user:bob' },
      { grants: [{ user: 'user:bob', uses: ['destroy'] }] },
      { grants: [{ user: 'service:ca', uses: ['sign'] }] },
      { grants: [{ user: 'user:bob', uses: ['sign'], tenantId: 'other' }] },
      { grantsVersion: 7 },
    ])
      expect(bodyOf('setKeyGrants').safeParse({ grants: [], ...more }).success).toBe(false);
    for (const more of [{ owner: 'user:bob' }, { roles: ['admin'] }, { grants: body.grants }])
      expect(bodyOf('generateKey').safeParse({ keyType: 'ec-p256', ...more }).success).toBe(false);
    expect((await call('getKey', { params })).body).toEqual(made);
  });

  it('decrypts nothing that names a version which never was, whatever its number', async () => {
    const params = { keyId: 'sealing' };
    await call('generateKey', { body: { ...params, keyType: 'aes-256' } });
    const plaintext = Buffer.from('secret').toString('base64');
    const sealed = await call('encryptData', { params, body: { plaintext, additionalData: '' } });
    const { ciphertext } = sealed.body as { ciphertext: string };
    for (const version of [0, 2, 2 ** 31 - 1, 2 ** 32 - 1]) {
      const octets = Buffer.from(ciphertext, 'base64');
      octets.writeUInt32BE(version, 1);
      const body = { ciphertext: octets.toString('base64'), additionalData: '' };
      await expect(call('decryptData', { params, body })).rejects.toMatchObject({
        code: 'DECRYPTION_FAILED',
      });
    }
  });

  it('makes keys that no service may sign with', async () => {
    await call('generateKey', { body: { keyId: 'mine', keyType: 'ec-p256' } });
    await expect(signing('ca').sign({ ...certSign(), keyId: 'mine' })).rejects.toMatchObject({
      code: 'KEY_USE_REFUSED',
    });
  });
});
