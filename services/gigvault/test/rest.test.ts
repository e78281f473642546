import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClientPair, clientAuthority } from '@gigvault/testkit/client-authority';
import { eventually } from '@gigvault/testkit/eventually';
import { MODES } from '@gigvault/testkit/pki-process';
import { runOrFail } from '@gigvault/testkit/run-program';
import { toPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { auditEvents, describeKeystoreMatrix } from './keystore-matrix.ts';
import { type Operators, operatorsOf } from './operators-of.ts';
import { API, csr, expectProblem, useRest } from './rest-client.ts';
import { QUICK_CRL, usePki } from './use-pki.ts';

/** What one person makes here is more than a person's share of a minute. */
const MANY_KEYS = ['--keymgr-limits-people-generate', '0', '--keymgr-limits-people-sign', '0'];

const folder = mkdtempSync(join(tmpdir(), 'gigvault-people-'));
afterAll(() => rmSync(folder, { recursive: true }));
const people = clientAuthority();
const authorities = join(folder, 'people.pem');
writeFileSync(authorities, people.certificate);

describe.each(MODES)('the REST API, %s', (mode) => {
  const shared = usePki(
    mode,
    ...QUICK_CRL,
    ...MANY_KEYS,
    '--https-client-certificates',
    'optional',
    '--https-client-authorities',
    authorities,
  );
  const rest = useRest(shared);
  const { fetch, call, signedIn } = rest;

  async function userIdOf(name: string): Promise<string> {
    const { items } = (await call('GET', '/users')).json<{
      items: { userId: string; name: string }[];
    }>();
    return items.find((user) => user.name === name)!.userId;
  }

  describeKeystoreMatrix(shared, rest);

  it('issues, shows, lists and revokes a certificate, on both mounts — covers: X21, G84', async () => {
    const issued = await call('POST', '/certificates', {
      certificationRequest: csr('rest.localhost'),
    });
    expect(issued.status).toBe(201);
    const { serialNumber } = issued.json<{ serialNumber: string }>();
    const shown = await call('GET', `/certificates/${serialNumber}`);
    expect(shown.json()).toMatchObject({
      serialNumber,
      status: 'valid',
      names: ['rest.localhost'],
    });
    const other = await fetch(`/api/v1/certificates/${serialNumber}`, {
      headers: { authorization: `Bearer ${rest.token}` },
    });
    expect(other.json()).toEqual(shown.json());
    const list = await call('GET', '/certificates?limit=1');
    expect(list.json<{ items: unknown[] }>().items).toHaveLength(1);
    const revoked = await call('POST', `/certificates/${serialNumber}/revoke`, {
      reason: 'keyCompromise',
    });
    expect(revoked.json()).toMatchObject({
      serialNumber,
      status: 'revoked',
      reason: 'keyCompromise',
    });
    expectProblem(
      await call('POST', `/certificates/${serialNumber}/revoke`, {}),
      409,
      'ALREADY_REVOKED',
    );
  });

  it('a request that policy sends to a person is approved by another person, never by its requester', async () => {
    const submitted = await call('POST', '/csrs', {
      certificationRequest: csr('shop.example.com'),
    });
    expect(submitted.status).toBe(202);
    const { requestId } = submitted.json<{ requestId: string }>();
    expectProblem(await call('POST', `/csrs/${requestId}/approve`, {}), 403, 'SELF_APPROVAL');
    const approver = await signedIn('anna', 'approver');
    const approved = await call('POST', `/csrs/${requestId}/approve`, {}, approver);
    expect([approved.status, approved.json()]).toMatchObject([200, { status: 'issued' }]);
  });

  it('takes an API key as it is, for every service, by either header — covers: T63', async () => {
    const { apiKey } = rest;
    const bearer = { authorization: `Bearer ${apiKey}` };
    const none = { authorization: '' };
    for (const path of ['/keys', '/certificates', '/csrs', '/audit/checkpoint', '/whoami'])
      for (const headers of [bearer, { ...none, 'x-api-key': apiKey }])
        expect([path, (await call('GET', path, undefined, headers)).status]).toEqual([path, 200]);
    const wrong = apiKey.replace(/.{43}$/, 'C'.repeat(43));
    const refusals: Record<string, string>[] = [
      { authorization: `Bearer ${wrong}` },
      { ...none, 'x-api-key': wrong },
      { ...none, 'x-api-key': rest.token },
      { 'x-api-key': apiKey },
    ];
    for (const headers of refusals) {
      const refused = await call('GET', '/keys', undefined, headers);
      expectProblem(refused, 401, 'UNAUTHENTICATED');
      expect(refused.text).not.toContain(apiKey.slice(-43));
    }
  });

  it('takes a client certificate from curl, and none that is wrong — covers: P7, T63', async () => {
    const { pki } = shared;
    await signedIn('cert-user', 'operator');
    /** The status with which each path is answered. */
    const curl = async ({ cert, key }: ClientPair, paths: readonly string[], ...more: string[]) => {
      const pem = join(folder, 'client.pem');
      writeFileSync(pem, cert + key);
      const urls = paths.flatMap((path) => ['-o', '/dev/null', pki.publicUrl + path]);
      const options = ['-sS', '--cacert', pki.rootFile, '--cert', pem, '-w', '%{http_code} '];
      return (await runOrFail('curl', [...options, ...more, ...urls])).trim().split(' ');
    };
    const fields = { commonName: 'cert-user' };
    const services = ['/keys', '/certificates', '/csrs', '/audit/checkpoint', '/whoami'];
    const paths = services.map((path) => API + path);
    const ok = services.map(() => '200');
    expect(await curl(people.issue(fields), paths)).toEqual(ok);
    const issued = await call('POST', '/certificates', {
      certificationRequest: csr('revoked.localhost'),
    });
    const { serialNumber } = issued.json<{ serialNumber: string }>();
    // The CA is asked by number alone.
    const numbered = people.issue({ ...fields, serialNumber });
    expect(await curl(numbered, [`${API}/keys`])).toEqual(['200']);
    await call('POST', `/certificates/${serialNumber}/revoke`, {});
    const wrong = [
      people.issue({ ...fields, serialNumber }),
      people.issue({ ...fields, notAfter: Date.parse('2026-01-01') }),
      clientAuthority().issue(fields),
      people.issue({ commonName: 'nobody-of-that-name' }),
    ];
    const asked = [`${API}/keys`, '/acme/directory', '/live'];
    for (const client of wrong) expect(await curl(client, asked)).toEqual(['401', '200', '200']);
    const claim = { isRequired: false, certificate: { name: 'cert-user', sha256: '1' } };
    const header = `x-gigvault-client: ${Buffer.from(JSON.stringify(claim)).toString('base64url')}`;
    expect(await curl(wrong[2]!, asked.slice(0, 1), '-H', header)).toEqual(['401']);
    const bare = await fetch(`${API}/keys`, { headers: { 'x-gigvault-client': header.slice(19) } });
    expectProblem(bare, 401, 'UNAUTHENTICATED');
  });

  it('errors are problem documents with the error member beside them', async () => {
    const missing = expectProblem(
      await call('GET', `/certificates/${'42'.repeat(16)}`),
      404,
      'CERTIFICATE_NOT_FOUND',
    );
    expect(missing).toMatchObject({
      instance: expect.stringContaining('/certificates/'),
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    const nobody = await call('GET', '/certificates', undefined, { authorization: '' });
    expectProblem(nobody, 401, 'UNAUTHENTICATED');
    expect(nobody.headers['www-authenticate']).toMatch(/^Bearer/);
    expectProblem(
      await call('GET', '/certificates', undefined, { authorization: `Bearer ${rest.token}x` }),
      401,
      'UNAUTHENTICATED',
    );
    const wrong = await call('DELETE', '/certificates');
    expectProblem(wrong, 405, 'METHOD_NOT_ALLOWED');
    expect(wrong.headers.allow).toMatch(/GET/);
    expectProblem(await call('GET', '/nothing'), 404, 'NOT_FOUND');
    expectProblem(await fetch('/nothing/at/all'), 404, 'NOT_FOUND');
    expectProblem(
      await call('POST', '/certificates', '{}', { 'content-type': 'text/plain' }),
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    );
    expectProblem(
      await call('POST', '/certificates', `{"x":"${'y'.repeat(200_000)}"}`),
      413,
      'PAYLOAD_TOO_LARGE',
    );
    const invalid = expectProblem(
      await call('POST', '/certificates', { profile: 7 }),
      400,
      'INVALID_ARGUMENT',
    );
    expect(invalid['errors']).toContainEqual(
      expect.objectContaining({ pointer: '/certificationRequest' }),
    );
  });

  it('bodies that are no honest JSON are refused — covers: T70', async () => {
    const bodies = [
      '{',
      'null',
      '[]',
      '"x"',
      '{"__proto__":{"admin":true}}',
      `${'['.repeat(100_000)}`,
      `{"a":${'{"a":'.repeat(40)}1${'}'.repeat(41)}`,
    ];
    for (const body of bodies) expect((await call('POST', '/certificates', body)).status).toBe(400);
    expectProblem(
      await call('POST', '/certificates', {
        certificationRequest: csr('x.localhost'),
        roles: ['admin'],
      }),
      400,
      'INVALID_ARGUMENT',
    );
    const malformed = {
      certificationRequest: toPem('CERTIFICATE REQUEST', Buffer.from('30800000', 'hex')),
    };
    expectProblem(await call('POST', '/certificates', malformed), 400, 'BAD_CSR');
  });

  it('a role that may not is told so — covers: T63', async () => {
    const by = await signedIn('mallory', 'auditor');
    expect((await call('GET', '/certificates', undefined, by)).status).toBe(200);
    expectProblem(
      await call('POST', '/certificates', { certificationRequest: csr('m.localhost') }, by),
      403,
      'FORBIDDEN',
    );
    expectProblem(await call('GET', '/users', undefined, by), 403, 'FORBIDDEN');
  });

  it('every service tells the audit log whom it refused — covers: T63', async () => {
    const by = await signedIn('nosy', 'key-user');
    const nobody = '00000000-0000-4000-8000-000000000000';
    const asked = [
      ['ca', 'listCertificates', 'GET', '/certificates', '*', 'certificates:read'],
      [
        'ca',
        'revokeCertificate',
        'POST',
        '/certificates/0aff/revoke',
        '0aff',
        'certificates:revoke',
      ],
      ['ra', 'submitCsr', 'POST', '/csrs', '*', 'csrs:submit'],
      ['auth', 'disableUser', 'POST', `/users/${nobody}/disable`, nobody, 'users:manage'],
      ['audit', 'listAuditEntries', 'GET', '/audit/entries', '*', 'audit:read'],
    ] as const;
    for (const [, , method, path] of asked)
      for (let n = 0; n < 2; n++)
        expectProblem(
          await call(method, path, method === 'POST' ? {} : undefined, by),
          403,
          'FORBIDDEN',
        );
    const userId = await userIdOf('nosy');
    const expected = asked.map(([producer, operation, , , subject, permission]) => ({
      producer,
      subject,
      data: { operation, reason: `their roles lack ${permission}` },
    }));
    await eventually(async () => {
      const told = (await auditEvents(rest))
        .filter(({ type, actor }) => type === 'operation.refused' && actor === `user:${userId}`)
        .map(({ producer, subject, data }) => ({ producer, subject, data }));
      expect(told).toHaveLength(expected.length);
      expect(told).toEqual(expect.arrayContaining(expected));
    });
  });

  it('a refusal to approve one’s own is told to the audit log, as what auth refuses — covers: T63', async () => {
    const by = await signedIn('olga', 'operator');
    const body = { certificationRequest: csr('own.example.com') };
    const { requestId } = (await call('POST', '/csrs', body, by)).json<{ requestId: string }>();
    for (const verb of ['approve', 'approve', 'reject'])
      expectProblem(await call('POST', `/csrs/${requestId}/${verb}`, {}, by), 403, 'SELF_APPROVAL');
    const admin = await signedIn('root', 'admin');
    const adminId = await userIdOf('root');
    expectProblem(await call('POST', `/users/${adminId}/disable`, {}, admin), 403, 'FORBIDDEN');
    const own = 'Nobody decides on their own request; ask somebody else.';
    const actor = `user:${await userIdOf('olga')}`;
    const expected = [
      {
        producer: 'auth',
        actor: `user:${adminId}`,
        subject: adminId,
        data: { operation: 'disableUser', reason: 'Nobody disables their own account.' },
      },
      ...['approveCsr', 'rejectCsr'].map((operation) => ({
        producer: 'ra',
        actor,
        subject: requestId,
        data: { operation, reason: own },
      })),
    ];
    await eventually(async () => {
      const told = (await auditEvents(rest))
        .filter(
          ({ type, subject }) =>
            type === 'operation.refused' && [adminId, requestId].includes(subject),
        )
        .map(({ producer, actor, subject, data }) => ({ producer, actor, subject, data }));
      expect(told).toHaveLength(expected.length);
      expect(told).toEqual(expect.arrayContaining(expected));
    });
  });

  it('a requester sees what is theirs, and nothing else — covers: T63', async () => {
    const others = await call('POST', '/certificates', {
      certificationRequest: csr('not-yours.localhost'),
    });
    const { serialNumber } = others.json<{ serialNumber: string }>();
    const by = await signedIn('rita', 'requester');
    const none = await call('GET', '/certificates', undefined, by);
    expect(none.json()).toEqual({ items: [] });
    const body = { certificationRequest: csr('yours.localhost') };
    const { requestId } = (await call('POST', '/certificates', body, by)).json<{
      requestId: string;
    }>();
    const approved = await call('POST', `/csrs/${requestId}/approve`, {});
    const own = approved.json<{ serialNumber: string }>();
    const list = await call('GET', '/certificates', undefined, by);
    expect(list.json<{ items: object[] }>().items).toMatchObject([
      { serialNumber: own.serialNumber, names: ['yours.localhost'] },
    ]);
    expect((await call('GET', `/certificates/${own.serialNumber}`, undefined, by)).status).toBe(
      200,
    );
    expectProblem(
      await call('GET', `/certificates/${serialNumber}`, undefined, by),
      404,
      'CERTIFICATE_NOT_FOUND',
    );
  });

  it('a repetition with the same Idempotency-Key makes nothing new', async () => {
    const body = { certificationRequest: csr('once.localhost') };
    const headers = { 'idempotency-key': 'c9a1' };
    const issue = () => call('POST', '/certificates', body, headers);
    const first = await issue();
    expect(first.status).toBe(201);
    expect((await issue()).json()).toEqual(first.json());
    const other = { certificationRequest: csr('other.localhost') };
    expectProblem(await call('POST', '/certificates', other, headers), 409, 'ALREADY_EXISTS');
    const generate = () => call('POST', '/keys', { keyType: 'ec-p256' }, headers);
    expect((await generate()).json()).toEqual((await generate()).json());
    await call('POST', '/api-keys', { label: 'ci' }, headers);
    expectProblem(await call('POST', '/api-keys', { label: 'ci' }, headers), 409, 'ALREADY_EXISTS');
  });

  it('OAuth clients sign in with a form — covers: C56', async () => {
    const ask = (body: string, headers = {}) =>
      fetch(`${API}/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        body,
      });
    const authorization = `Basic ${Buffer.from(`ci:${rest.apiKey}`).toString('base64')}`;
    const answers = [
      await ask(`grant_type=client_credentials&client_id=ci&client_secret=${rest.apiKey}`),
      await ask('grant_type=client_credentials', { authorization }),
    ];
    for (const answer of answers) {
      const { access_token: token } = answer.json<{ access_token: string }>();
      const by = { authorization: `Bearer ${token}` };
      expect((await call('GET', '/whoami', undefined, by)).status).toBe(200);
    }
    const refused = await ask('grant_type=client_credentials&client_secret=x');
    expect([refused.status, refused.json()]).toMatchObject([401, { error: 'invalid_client' }]);
  });

  it('health for everybody, without detail — covers: X2', async () => {
    for (const path of ['/health', '/ready', '/live']) {
      const answer = await fetch(path);
      expect([answer.status, answer.json()]).toEqual([200, { status: 'ok' }]);
    }
    expect((await fetch('/version')).json()).toMatchObject({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    });
    // Nothing of it, and no management, on the plain listener.
    for (const path of [
      '/health',
      `${API}/certificates`,
      '/admin/v1/healthz',
      '/metrics',
      '/openapi.json',
    ])
      expect((await shared.http.fetch(shared.pki.statusUrl + path)).status).toBe(404);
  });

  describe('for its operators', () => {
    let operators: Operators;

    beforeAll(() => {
      operators = operatorsOf('ca', mode, shared.pki);
    });

    afterAll(() => operators?.http.close());

    it('the admin listener tells operators everything — covers: C45, C46, C47, X2', async () => {
      const { admin, http } = operators;
      const ask = (path: string, question = {}) =>
        http.fetch(`${admin}/admin/v1/${path}`, question);
      expect((await ask('livez')).json()).toEqual({ status: 'ok' });
      expect((await ask('readyz')).status).toBe(200);
      const { checks } = (await ask('healthz?verbose')).json<{
        checks: { name: string; ok: boolean }[];
      }>();
      expect(checks.filter((check) => !check.ok)).toEqual([]);
      expect(checks.map((check) => check.name)).toContain('database');
      const without = (await ask('healthz?verbose&exclude=database')).json<{
        checks: { name: string }[];
      }>();
      expect(without.checks.map((check) => check.name)).not.toContain('database');
      for (const authorization of ['', 'Bearer wrong'])
        expect((await ask('shutdown', { method: 'POST', headers: { authorization } })).status).toBe(
          401,
        );
      expect((await ask('livez')).status).toBe(200);
    });

    it('metrics are scraped from a listener of their own — covers: X4', async () => {
      await call('GET', '/certificates');
      const { text } = await operators.http.fetch(operators.metrics);
      expect(text).toMatch(
        /^gigvault_http_requests_total\{.*route="\/service\/api\/v1\/certificates".*\} \d+$/m,
      );
      expect(text).toMatch(/^gigvault_certificates_issued_total\{/m);
      expect(text).not.toMatch(/rest\.localhost/);
    });

    it('shutdown with the admin token drains — covers: C48', async () => {
      const secret = readFileSync(join(shared.pki.dataDir, 'secrets', 'admin-token'), 'utf8');
      const headers = { authorization: `Bearer ${secret}` };
      const answer = await operators.http.fetch(`${operators.admin}/admin/v1/shutdown`, {
        method: 'POST',
        headers,
      });
      expect(answer.status).toBe(202);
      if (mode === 'one process') {
        expect(await shared.pki.exited()).toBe(0);
        await shared.pki.start();
        return;
      }
      // It was this service's process alone, and its supervisor starts it again.
      const log = join(shared.pki.dataDir, 'logs', 'gigvault.log');
      await eventually(() =>
        expect(readFileSync(log, 'utf8')).toMatch(/"process":"ca","code":0,.*"process ended"/),
      );
      await eventually(async () => expect((await call('GET', '/certificates')).status).toBe(200));
    }, 60_000);
  });
});
