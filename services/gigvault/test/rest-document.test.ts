import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HttpAnswer } from '@gigvault/testkit/http-client';
import { MODES } from '@gigvault/testkit/pki-process';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import { csr, useRest } from './rest-client.ts';
import { passphraseFile } from './root-passphrase.ts';
import { QUICK_CRL, usePki } from './use-pki.ts';

describe.each(MODES)('the document of the REST API, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL);
  const { fetch, call, signedIn } = useRest(shared);
  let document: OpenApi;
  const seen = new Set<string>();

  beforeAll(async () => {
    document = (await fetch('/openapi.json')).json<OpenApi>();
  });

  /** Asks for an operation, and holds its answer against what the document says of it. Returns the answer's body. */
  async function tried<T = Record<string, string>>(
    operationId: string,
    status: number,
    asked: { params?: Record<string, string>; query?: string; body?: unknown; by?: object } = {},
  ): Promise<T> {
    const { path, method, operation } = find(document, operationId);
    const concrete = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => asked.params?.[name] ?? '');
    const headers = { ...asked.by };
    const answer = await call(method, concrete + (asked.query ?? ''), asked.body, headers);
    expect([operationId, answer.status, answer.text]).toEqual([
      operationId,
      status,
      expect.any(String),
    ]);
    expectDescribed(operation, answer);
    seen.add(operationId);
    return status === 204 ? (undefined as T) : answer.json<T>();
  }

  /** For the issuing CA's next key. PEM. */
  async function signedByRoot(request: string): Promise<string> {
    const { pki } = shared;
    const [csrFile, out] = [join(pki.home, 'g2.csr'), join(pki.home, 'g2.crt')];
    writeFileSync(csrFile, request);
    const root = ['--root', join(pki.dataDir, 'root'), '--passphrase-file', passphraseFile(pki)];
    const what = ['--kind', 'issuing', '--csr', csrFile, '--out', out];
    const { code, stderr } = await pki.cliOf('root', ['rootca', 'sign', ...root, ...what]);
    expect([code, stderr]).toEqual([0, '']);
    return readFileSync(out, 'utf8');
  }

  it('says what every operation really answers, with examples that look like it — covers: X21', async () => {
    const { serialNumber = '' } = await tried('createCertificate', 201, {
      body: { certificationRequest: csr('document.localhost'), reason: 'test' },
    });
    await tried('listCertificates', 200, { query: '?limit=1' });
    await tried('getCertificate', 200, { params: { serialNumber } });
    await tried('revokeCertificate', 200, { params: { serialNumber }, body: {} });
    await tried('listIssuers', 200);
    const line = { params: { line: 'issuing' } };
    const { certificationRequest = '' } = await tried('rotateIssuer', 200, {
      ...line,
      body: { generation: 2 },
    });
    const certificate = await signedByRoot(certificationRequest);
    await tried('acceptSuccessor', 200, { ...line, body: { certificate } });

    const by = await signedIn('anna', 'approver');
    for (const verb of ['approve', 'reject']) {
      const { requestId = '' } = await tried('submitCsr', 202, {
        body: { certificationRequest: csr('shop.example.com') },
      });
      const params = { requestId };
      await tried(`${verb}Csr`, 200, { params, body: { comment: 'seen' }, by });
      await tried('getCsr', 200, { params });
    }
    await tried('listCsrs', 200, { query: '?limit=2' });

    await tried('generateKey', 201, { body: { keyId: 'my-key', keyType: 'ec-p256' } });
    const params = { keyId: 'my-key' };
    const data = Buffer.from('data').toString('base64');
    const { signature } = await tried('signData', 200, { params, body: { data } });
    await tried('verifySignature', 200, { params, body: { data, signature } });
    const grants = [{ user: 'user:8f14e45f-ceea-467f-ab2e-3c6a0d7e5b21', uses: ['sign'] }];
    await tried('setKeyGrants', 200, { params, body: { grants } });
    await tried('getKeyGrants', 200, { params });
    await tried('rotateKey', 200, { params, body: {} });
    await tried('changeKeyState', 200, { params, body: { state: 'suspended' } });
    await tried('destroyKey', 200, { params });
    await tried('getKeyDestruction', 200, { params });
    const other = await signedIn('olga', 'operator');
    await tried('approveKeyDestruction', 200, { params, by: other });
    await tried('listKeys', 200, { query: '?limit=1&state=deactivated' });
    await tried('getKey', 200, { params });
    await tried('restoreKey', 200, { params });
    const box = { params: { keyId: 'my-box' } };
    await tried('generateKey', 201, { body: { keyId: 'my-box', keyType: 'aes-256' } });
    const { ciphertext } = await tried('encryptData', 200, { ...box, body: { plaintext: data } });
    await tried('decryptData', 200, { ...box, body: { ciphertext } });
    const backend = { params: { name: 'pkcs8' } };
    await tried('listBackends', 200);
    await tried('getBackend', 200, backend);
    await tried('testBackend', 200, { ...backend, body: {} });
    await tried('rotateMasterKey', 200, backend);
    await tried('getMasterKey', 200, backend);
  });

  it('… of users, API keys and the audit log too', async () => {
    const user = { name: 'grace', roles: ['requester'] };
    const { setupToken } = await tried('createUser', 201, { body: user });
    const params = { user: 'grace' };
    const { apiKey: clientSecret } = await tried('redeemSetupToken', 201, {
      body: { token: setupToken },
    });
    await tried('createToken', 200, { body: { grantType: 'client_credentials', clientSecret } });
    await tried('whoami', 200);
    await tried('listUsers', 200, { query: '?limit=1' });
    await tried('getUser', 200, { params });
    await tried('disableUser', 200, { params });
    await tried('createSetupToken', 201, { params });

    const body = { label: 'ci', expiresIn: 3600 };
    const { keyId = '' } = await tried('createApiKey', 201, { body });
    await tried('listApiKeys', 200);
    await tried('revokeApiKey', 204, { params: { keyId } });

    const { treeSize } = await tried<{ treeSize: number }>('getAuditCheckpoint', 200);
    await tried('listAuditEntries', 200, { query: '?limit=1' });
    await tried('getAuditProof', 200, { query: '?leafIndex=0' });
    await tried('getAuditConsistency', 200, { query: `?first=1&second=${treeSize}` });

    expect([...seen].sort()).toEqual(
      operationsOf(document)
        .map(({ id }) => id)
        .sort(),
    );
  });

  it('is whole: an error, its example and every reference are there', async () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    for (const reference of references(document))
      expect([reference, resolve(document, reference)]).toEqual([reference, expect.anything()]);
    const problem = z.fromJSONSchema(document.components.schemas.Problem as never);
    const problems = operationsOf(document).flatMap(({ operation }) =>
      Object.entries(operation.responses).flatMap(([status, response]) =>
        Object.values(response.content?.['application/problem+json']?.examples ?? {}).map(
          (example) => [
            status,
            '$ref' in example ? resolve(document, String(example.$ref)) : example,
          ],
        ),
      ),
    );
    expect(problems.length).toBeGreaterThan(100);
    for (const [status, example] of problems) {
      const { value } = example as { value: object };
      expect(problem.parse(value)).toMatchObject({ status: Number(status) });
    }
    const real = await call('POST', '/certificates', { profile: 7 });
    expect(problem.parse(real.json())).toMatchObject({ status: 400 });
  });

  it('is there as YAML, and as a page with or without a slash', async () => {
    const yaml = await fetch('/openapi.yaml');
    expect(yaml.headers['content-type']).toBe('application/yaml');
    expect(parse(yaml.text)).toEqual(document);
    for (const path of ['/docs', '/docs/']) {
      const page = await fetch(path);
      expect([page.status, page.headers['content-type']]).toEqual([
        200,
        'text/html; charset=utf-8',
      ]);
    }
  });
});

interface Example {
  readonly $ref?: string;
  readonly value?: unknown;
}

interface Media {
  readonly schema: object;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, Example>>;
}

interface Described {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, { readonly content?: Record<string, Media> }>>;
}

interface OpenApi {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly schemas: { readonly Problem: object } };
}

function operationsOf({ paths }: OpenApi) {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      id: operation.operationId,
      path,
      method: method.toUpperCase(),
      operation,
    })),
  );
}

function find(document: OpenApi, operationId: string) {
  const found = operationsOf(document).find(({ id }) => id === operationId);
  if (!found) throw new Error(`the document has no operation ${operationId}`);
  return found;
}

/** The answer is what the schema says, and has no member that the example does not show. */
function expectDescribed({ operationId, responses }: Described, answer: HttpAnswer): void {
  const media = responses[answer.status]?.content?.['application/json'];
  expect([operationId, media === undefined]).toEqual([operationId, answer.status === 204]);
  if (answer.status === 204) return;
  if (!media) throw new Error(`${operationId}: the document has no answer ${answer.status}`);
  const body = answer.json<unknown>();
  const verdict = z.fromJSONSchema(media.schema as never).safeParse(body);
  expect([operationId, verdict.error?.issues ?? []]).toEqual([operationId, []]);
  const example = media.example ?? Object.values(media.examples ?? {})[0]?.value;
  const shown = new Set(membersOf(example));
  const hidden = membersOf(body).filter((member) => !shown.has(member));
  expect([operationId, hidden]).toEqual([operationId, []]);
}

/** As `/items/commonName`; what lies in an event is the event's own. */
function membersOf(node: unknown, at = ''): string[] {
  if (Array.isArray(node)) return node.flatMap((item) => membersOf(item, at));
  if (typeof node !== 'object' || node === null || at.endsWith('/event/data')) return [];
  return Object.entries(node).flatMap(([key, value]) => [
    `${at}/${key}`,
    ...membersOf(value, `${at}/${key}`),
  ]);
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
