import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HttpAnswer } from '@gigvault/testkit/http-client';
import { MODES } from '@gigvault/testkit/pki-process';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { toPem } from '@gigvault/x509/pem';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { QUICK_CRL, usePki } from './use-pki.ts';

const API = '/service/api/v1';

describe.each(MODES)('the REST API, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL);
  let token = '';

  const fetch = (path: string, question = {}) =>
    shared.http.fetch(shared.pki.publicUrl + path, question);

  /** With the operator's token and a JSON body. */
  const call = (method: string, path: string, body?: unknown, headers = {}) =>
    fetch(API + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });

  beforeAll(async () => {
    const folder = join(shared.pki.home, 'config', 'gigvault', 'contexts', 'local');
    token = await exchange(readFileSync(join(folder, 'api-key'), 'utf8').trim());
  });

  /** The authorization header of a new user. */
  async function signedIn(name: string, role: string): Promise<{ authorization: string }> {
    const created = await call('POST', '/users', { name, roles: [role] });
    const { setupToken } = created.json<{ setupToken: string }>();
    const redeemed = await call('POST', '/setup', { token: setupToken });
    const { apiKey } = redeemed.json<{ apiKey: string }>();
    return { authorization: `Bearer ${await exchange(apiKey)}` };
  }

  async function exchange(clientSecret: string): Promise<string> {
    const answer = await call('POST', '/token', { grantType: 'client_credentials', clientSecret });
    return answer.json<{ accessToken: string }>().accessToken;
  }

  it('issues, shows, lists and revokes a certificate, on both mounts — covers: X21, G84', async () => {
    const issued = await call('POST', '/certificates', {
      certificationRequest: csr('rest.localhost'),
    });
    expect(issued.status).toBe(201);
    const { serialNumber } = issued.json<{ serialNumber: string }>();
    const shown = await call('GET', `/certificates/${serialNumber}`);
    expect(shown.json()).toMatchObject({ serialNumber, status: 'valid', names: expect.anything() });
    const other = await fetch(`/api/v1/certificates/${serialNumber}`, {
      headers: { authorization: `Bearer ${token}` },
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
      await call('GET', '/certificates', undefined, { authorization: `Bearer ${token}x` }),
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

  it('describes itself in OpenAPI 3.1 — covers: X21', async () => {
    const answer = await fetch('/openapi.json');
    expect(answer.status).toBe(200);
    const document = answer.json<OpenApi>();
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(document.info).toMatchObject({ title: expect.any(String), version: expect.any(String) });
    for (const reference of references(document))
      expect([reference, resolve(document, reference)]).toEqual([reference, expect.anything()]);
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    );
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(
      expect.arrayContaining(['listCertificates', 'getCertificate', 'revokeCertificate', 'whoami']),
    );
    for (const { path, operation } of operations) {
      expect(operation).toMatchObject({
        operationId: expect.stringMatching(/^[a-z]\w+$/),
        summary: expect.any(String),
      });
      expect(Object.keys(operation.responses).some((status) => /^2\d\d$/.test(status))).toBe(true);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      const described = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(described.map((parameter) => parameter.name).sort()).toEqual(inPath.sort());
    }
    for (const path of [
      '/certificates',
      '/certificates/{serialNumber}',
      '/certificates/{serialNumber}/revoke',
      '/csrs',
      '/csrs/{requestId}/approve',
      '/keys',
      '/users',
      '/audit/checkpoint',
      '/token',
    ])
      expect(Object.keys(document.paths)).toContain(path);
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

  if (mode === 'one process') {
    it('one process only: the admin listener tells operators everything — covers: C45, C46, C47, X2', async () => {
      const admin = /^ {2}Admin +(https:\/\/127\.0\.0\.1:\d+)/m.exec(
        shared.pki.output(),
      )?.[1] as string;
      const ask = (path: string, question = {}) =>
        shared.http.fetch(`${admin}/admin/v1/${path}`, question);
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

    it('one process only: metrics are scraped from a listener of their own — covers: X4', async () => {
      await call('GET', '/certificates');
      const url = /^ {2}Metrics +(\S+)/m.exec(shared.pki.output())?.[1] as string;
      const { text } = await shared.http.fetch(url);
      expect(text).toMatch(
        /^gigvault_http_requests_total\{.*route="\/service\/api\/v1\/certificates".*\} \d+$/m,
      );
      expect(text).toMatch(/^gigvault_certificates_issued_total\{/m);
      expect(text).not.toMatch(/rest\.localhost/);
    });

    it('one process only: shutdown with the admin token drains and ends with 0 — covers: C48', async () => {
      const admin = /^ {2}Admin +(https:\/\/127\.0\.0\.1:\d+)/m.exec(
        shared.pki.output(),
      )?.[1] as string;
      const secret = readFileSync(join(shared.pki.dataDir, 'secrets', 'admin-token'), 'utf8');
      const headers = { authorization: `Bearer ${secret}` };
      const answer = await shared.http.fetch(`${admin}/admin/v1/shutdown`, {
        method: 'POST',
        headers,
      });
      expect(answer.status).toBe(202);
      expect(await shared.pki.exited()).toBe(0);
      await shared.pki.start();
    }, 60_000);
  }
});

interface OpenApi {
  readonly openapi: string;
  readonly info: object;
  readonly paths: Record<
    string,
    Record<
      string,
      {
        readonly operationId: string;
        readonly responses: object;
        readonly parameters?: readonly { readonly in: string; readonly name: string }[];
      }
    >
  >;
}

function csr(name: string): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subjectAltName = [{ type: 'dns' as const, value: name }];
  return toPem(
    'CERTIFICATE REQUEST',
    buildCertificationRequest({ privateKey, subject: [], subjectAltName }),
  );
}

/** Both shapes of an error (RFC 9457, and the required `error` member). Returns the document. */
function expectProblem(answer: HttpAnswer, status: number, code: string): Record<string, unknown> {
  expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(code)]);
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  const document = answer.json<Record<string, unknown>>();
  const detail = expect.any(String);
  expect(document).toMatchObject({
    type: expect.stringContaining(`GV-${code.replaceAll('_', '-')}`),
    title: expect.any(String),
    status,
    detail,
    error: { code, message: detail, details: expect.any(Object) },
  });
  return document;
}

/** Every `$ref` in a document. */
function references(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) =>
    key === '$ref' ? [String(value)] : references(value),
  );
}

function resolve(document: unknown, reference: string): unknown {
  return reference
    .slice('#/'.length)
    .split('/')
    .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], document);
}
