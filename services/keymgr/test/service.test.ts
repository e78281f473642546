import { readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { verifyWith } from '@gigvault/keystore/key-algorithm';
import { RPC } from '@gigvault/rpc/contracts';
import type { PeerName } from '@gigvault/rpc/service-name';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { eventually } from '@gigvault/testkit/eventually';
import { readPublicKey } from '@gigvault/x509/public-key';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { keymgrConfig } from '../src/keymgr.config.ts';
import { openKeymgr, prepareMasterKey } from '../src/open-keymgr.ts';
import { certSign, type RunningKeymgr, startKeymgr } from './running-keymgr.ts';
import { crlTbs, jwsTbs, ocspTbs } from './signing-fixture.ts';

let keymgr: RunningKeymgr;
let pool: Pool;

beforeAll(async () => {
  keymgr = await startKeymgr();
  pool = keymgr.database;
});
afterAll(() => keymgr?.stop());
afterEach(() => installFaultHook(undefined));

const signing = (caller: PeerName) => keymgr.signing(caller);
const keys = (caller: PeerName) => keymgr.keys(caller);

const NO_TOKEN = 'pkcs11:token=none?module-path=/nowhere.so&pin-source=file:/nowhere';
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
    const log = keymgr.broker.client('audit', RPC.eventLog, 'keymgr');
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
    for (const { check } of keymgr.service.healthChecks) await check();
    const text = await eventually(async () => {
      const scrape = await keymgr.metrics.exposition();
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
    const read = (written: object) => ({ ...keymgr, config: keymgrConfig.parse(written) });
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
    for (const file of await readdir(join(keymgr.dataDir, 'keys'))) {
      const path = join(keymgr.dataDir, 'keys', file);
      expect(await readFile(path, 'utf8')).toMatch(
        /^master-key: [0-9a-f]{16}\n-----BEGIN ENCRYPTED PRIVATE KEY-----/,
      );
      expect((await stat(path)).mode & 0o777).toBe(0o600);
    }
    const elsewhere = { ...keymgr, dataDir: join(keymgr.dataDir, 'elsewhere') };
    await expect(openKeymgr(elsewhere)).rejects.toThrow('keymgr-master.key');
  });

  it('never makes a second master key for keys that are there', async () => {
    const masterKey = join(keymgr.dataDir, 'secrets', 'keymgr-master.key');
    expect(await prepareMasterKey(keymgr.config, keymgr.dataDir)).toBe(false);
    await rename(masterKey, `${masterKey}.lost`);
    await expect(prepareMasterKey(keymgr.config, keymgr.dataDir)).rejects.toThrow(
      'Restore it from a backup',
    );
    await rename(`${masterKey}.lost`, masterKey);
  });
});
