import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type Principal, permissionsOf } from '@gigvault/access/permissions';
import type { Operation } from '@gigvault/http/route';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { KEY_STATES } from '../src/keys/key-state.ts';
import { lostKeys } from '../src/open-keymgr.ts';
import { certSign, type RunningKeymgr, startKeymgr } from './running-keymgr.ts';

let keymgr: RunningKeymgr;
let pool: Pool;

beforeAll(async () => {
  keymgr = await startKeymgr({ mem: { type: 'memory' } });
  pool = keymgr.database;
});
afterAll(() => keymgr?.stop());

describe('the REST operations on keys', () => {
  const principal: Principal = {
    actor: 'user:alice',
    name: 'alice',
    roles: ['operator'],
    permissions: permissionsOf(['operator']),
    tenantId: 'default',
  };

  const operationOf = (operationId: string): Operation =>
    keymgr.service.routes
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

  it('one Idempotency-Key is not of keys in two backends', async () => {
    const headers = { 'idempotency-key': 'backend' };
    const generate = (backend?: string) =>
      call('generateKey', { body: { keyType: 'ec-p256', backend }, headers });
    const made = (await generate('mem')).body as { keyId: string };
    expect(made).toMatchObject({ backend: 'mem' });
    await expect(generate('pkcs8')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    for (const same of ['mem', undefined]) expect((await generate(same)).body).toEqual(made);
    const params = { keyId: made.keyId };
    await call('rotateKey', { params, body: {} });
    expect((await generate('mem')).body).toMatchObject({ ...params, version: 2 });
  });

  it('one Idempotency-Key makes no key of another state, whatever became of the first', async () => {
    const generate = (body: object, key: string) =>
      call('generateKey', { body, headers: { 'idempotency-key': key } });
    const active = { keyType: 'ec-p256' };
    const later = { ...active, state: 'pre-active' };
    const made = (await generate(later, 'later')).body as { keyId: string };
    expect((await generate(later, 'later')).body).toEqual(made);
    await expect(generate(active, 'later')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    const params = { keyId: made.keyId };
    await call('changeKeyState', { params, body: { state: 'active', reason: '' } });
    expect((await generate(later, 'later')).body).toEqual({ ...made, state: 'active' });
    await expect(generate(active, 'later')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await generate({ ...active, state: 'active' }, 'now');
    expect((await generate(active, 'now')).status).toBe(201);
    await expect(generate(later, 'now')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it.each([
    { keyType: 'ec-p256', uses: ['signData', 'verifySignature'] },
    { keyType: 'hmac-sha256', uses: ['signData', 'verifySignature'] },
    { keyType: 'aes-256', uses: ['encryptData', 'decryptData'] },
  ])(
    'covers: K68. a pre-active key of type $keyType is used for nothing until it is activated',
    async ({ keyType, uses }) => {
      const params = { keyId: `later-${keyType}` };
      const body = { ...params, keyType, state: 'pre-active' };
      expect((await call('generateKey', { body })).body).toMatchObject({ state: 'pre-active' });
      const data = Buffer.from('some data').toString('base64');
      const asked = { data, format: 'der', plaintext: data, additionalData: '' };
      const [protect, process] = uses as [string, string];
      const refused = {
        code: 'KEY_USE_REFUSED',
        message: expect.stringMatching(/key is pre-active/),
      };
      for (const use of uses)
        await expect(
          call(use, { params, body: { ...asked, signature: data, ciphertext: data } }),
        ).rejects.toMatchObject(refused);
      await expect(call('rotateKey', { params, body: {} })).rejects.toMatchObject({
        code: 'KEY_STATE_REFUSED',
      });
      expect((await call('destroyKey', { params })).body).toMatchObject({
        state: 'pre-active',
        destroyAt: expect.any(String),
      });
      expect((await call('restoreKey', { params })).body).toMatchObject({ state: 'pre-active' });
      const activation = { params, body: { state: 'active', reason: 'it begins' } };
      expect((await call('changeKeyState', activation)).body).toMatchObject({ state: 'active' });
      const made = (await call(protect, { params, body: asked })).body as object;
      expect((await call(process, { params, body: { ...asked, ...made } })).status).toBe(200);
      const { rows } = await pool.query<{ type: string; data: Buffer }>(
        'SELECT type, data FROM outbox WHERE subject = $1 ORDER BY position',
        [params.keyId],
      );
      const told = rows.map(({ type, data: json }) => ({ type, data: JSON.parse(String(json)) }));
      expect(told.slice(0, 4)).toMatchObject([
        { type: 'key.generated', data: { state: 'pre-active' } },
        { type: 'key.refused', data: { reason: 'key is pre-active' } },
        { type: 'key.refused', data: { reason: 'key is pre-active' } },
        { type: 'key.refused' },
      ]);
      expect(told.slice(4).map(({ type }) => type)).toEqual(
        expect.arrayContaining([
          'key.destruction-scheduled',
          'key.destruction-undone',
          'key.activated',
        ]),
      );
    },
  );

  it('makes keys in no state but these two', () => {
    const isTaken = (state: string) =>
      bodyOf('generateKey').safeParse({ keyType: 'ec-p256', state }).success;
    expect(KEY_STATES.filter(isTaken)).toEqual(['pre-active', 'active']);
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
      return join(keymgr.dataDir, 'keys', `${rows[0]?.handle}.p8`);
    };
    const file = await keyFile('half-gone');
    await rename(file, `${file}.gone`);
    expect((await lostKeys(keymgr.config, keymgr.dataDir, pool)).files).toMatchObject([
      expect.stringContaining('(half-gone)'),
    ]);
    await pool.query(`UPDATE key SET restore_state = NULL WHERE key_id = 'half-gone'`);
    expect((await lostKeys(keymgr.config, keymgr.dataDir, pool)).files).toEqual([]);
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
    const file = join(keymgr.dataDir, 'keys', name);
    expect((await lostKeys(keymgr.config, keymgr.dataDir, pool)).files).toEqual([]);
    await rename(file, `${file}.gone`);
    expect((await lostKeys(keymgr.config, keymgr.dataDir, pool)).files).toEqual([
      `${name} (${params.keyId})`,
    ]);
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
    await expect(keymgr.signing('ca').sign({ ...certSign(), keyId: 'mine' })).rejects.toMatchObject(
      {
        code: 'KEY_USE_REFUSED',
      },
    );
  });
});
