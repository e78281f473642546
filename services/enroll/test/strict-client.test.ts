import { generateKeyPairSync } from 'node:crypto';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type AcmeTestClient, acmeTestClient, csrFor } from './acme-test-client.ts';
import { type AcmeWorld, startAcmeWorld } from './acme-world.ts';
import { expectProblem } from './expect-problem.ts';
import { signJws, signRaw } from './jws-signer.ts';

const TERMS = 'https://ca.example/terms';

let world: AcmeWorld;
let client: AcmeTestClient;
const at = (path: string) => `${world.url}/acme/${path}`;
const names = (...values: string[]) => ({
  identifiers: values.map((value) => ({ type: 'dns', value })),
});

beforeAll(async () => {
  world = await startAcmeWorld({ termsOfService: TERMS });
  client = acmeTestClient(world);
  await client.newAccount({ termsOfServiceAgreed: true });
});

afterAll(() => world.stop());

describe('new accounts', () => {
  it('must agree to the terms, which the directory names', async () => {
    expect((await client.raw('GET', at('directory'))).json.meta.termsOfService).toBe(TERMS);
    const own = acmeTestClient(world);
    for (const payload of [{}, { termsOfServiceAgreed: false }]) {
      const refused = await own.newAccount(payload);
      expectProblem(refused, 400, 'malformed');
      expect(refused.json.detail).toContain(TERMS);
    }
    expectProblem(await own.newAccount({ termsOfServiceAgreed: 'yes' }), 400, 'malformed');
    const made = await own.newAccount({ termsOfServiceAgreed: true });
    expect({ status: made.status, ...made.json }).toMatchObject({
      status: 'valid',
      termsOfServiceAgreed: true,
    });
  });

  it.each([
    [['tel:+1555'], 'unsupportedContact'],
    [['https://example.com'], 'unsupportedContact'],
    [['mailto:'], 'invalidContact'],
    [Array(11).fill('mailto:a@example.com'), 'invalidContact'],
  ])('are not made with the contacts %j', async (contact, type) => {
    const own = acmeTestClient(world);
    expectProblem(await own.newAccount({ contact, termsOfServiceAgreed: true }), 400, type);
    expectProblem(await own.newAccount({ onlyReturnExisting: true }), 400, 'accountDoesNotExist');
  });
});

describe('signatures', () => {
  it.each([
    ['no algorithm', { alg: 'none' }, 'badSignatureAlgorithm'],
    ["another key type's algorithm", { alg: 'RS256' }, 'badSignatureAlgorithm'],
    ["another curve's algorithm", { alg: 'ES384' }, 'badSignatureAlgorithm'],
    ['a key beside the account', { jwk: { kty: 'EC' } }, 'malformed'],
    ['no signer', { kid: undefined }, 'malformed'],
    ['a critical extension', { crit: ['b64'], b64: false }, 'malformed'],
  ])('with %s are refused — covers: T34', async (_what, header, type) => {
    expectProblem(await client.post(client.kid, '', header), 400, type);
  });

  it('that do not verify, or have a header outside of them, are refused — covers: T34', async () => {
    const header = { kid: client.kid, url: client.kid, nonce: await client.nonce() };
    const good = JSON.parse(signJws(client.signer, header, '').toString());
    for (const body of [
      { ...good, signature: `${'A'.repeat(86)}` },
      { ...good, signature: '' },
      { ...good, payload: 'e30' },
      { ...good, header: { nonce: header.nonce } },
      { payload: good.payload, signatures: [good, good] },
    ]) {
      const reply = await client.raw('POST', client.kid, Buffer.from(JSON.stringify(body)));
      expectProblem(reply, 400, 'malformed');
    }
    // None of them used the nonce up.
    const reply = await client.raw('POST', client.kid, Buffer.from(JSON.stringify(good)));
    expect(reply.status).toBe(200);
  });

  it('over JSON with a member twice are refused — covers: T34, T70', async () => {
    const nonce = await client.nonce();
    const fields = `"kid":"${client.kid}","url":"${at('new-order')}","nonce":"${nonce}"`;
    const twice = Buffer.from(
      '{"identifiers":[],"identifiers":[{"type":"dns","value":"a.example.com"}]}',
    );
    const inHeader = signRaw(
      client.signer,
      `{"alg":"none","alg":"ES256",${fields}}`,
      Buffer.alloc(0),
    );
    const inPayload = signRaw(client.signer, `{"alg":"ES256",${fields}}`, twice);
    for (const body of [inHeader, inPayload])
      expectProblem(await client.raw('POST', at('new-order'), body), 400, 'malformed');
  });
});

describe('orders', () => {
  it('carry the links and headers that clients go by', async () => {
    const order = await client.post(at('new-order'), names('links.example.com'));
    expect(order.status).toBe(201);
    const authorization = await client.post(order.json.authorizations[0], '');
    const challenge = await client.post(authorization.json.challenges[0].url, '');
    for (const reply of [order, authorization, challenge]) {
      expect(String(reply.headers.link)).toContain(`<${at('directory')}>;rel="index"`);
      expect(reply.headers['content-type']).toBe('application/json');
      expect(reply.headers['cache-control']).toBe('no-store');
    }
    expect(String(challenge.headers.link)).toContain(`<${order.json.authorizations[0]}>;rel="up"`);
    expect(Date.parse(order.json.expires)).toBeGreaterThan(0);
    expect(order.json.expires).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  });

  it('say why a wildcard is refused, and which identifier it was', async () => {
    const refused = await client.post(at('new-order'), names('ok.example.com', '*.example.com'));
    expectProblem(refused, 400, 'rejectedIdentifier');
    expect(refused.json.detail).toContain('wildcards need dns-01, which is not offered');
    expect(refused.json.subproblems).toEqual([
      expect.objectContaining({ identifier: { type: 'dns', value: '*.example.com' } }),
    ]);
  });

  it('know no challenge but those they offer', async () => {
    const order = await client.post(at('new-order'), names('unknown.example.com'));
    const { url } = (await client.post(order.json.authorizations[0], '')).json.challenges[0];
    const unknown = `${url.slice(0, url.lastIndexOf('/'))}/dns-01`;
    expectProblem(await client.post(unknown, {}), 404, 'malformed');
    // RFC 8555 §7.5.1: what the draft versions sent is ignored.
    expect((await client.post(url, { keyAuthorization: 1 })).status).toBe(200);
  });

  it('whose authorization was given up after they were ready cannot be finalized', async () => {
    const order = await client.readyOrder('gone.example.com');
    expect(order.json.status).toBe('ready');
    await client.post(order.json.authorizations[0], { status: 'deactivated' });
    const refused = await client.post(order.json.finalize, csrFor(['gone.example.com']));
    expectProblem(refused, 403, 'orderNotReady');
    const { status, error } = (await client.post(String(order.headers.location), '')).json;
    expect({ status, type: error.type }).toEqual({
      status: 'invalid',
      type: 'urn:ietf:params:acme:error:unauthorized',
    });
  });

  it('are listed in pages, newest first', async () => {
    const own = acmeTestClient(world);
    await own.newAccount({ termsOfServiceAgreed: true });
    const made: string[] = [];
    for (let i = 0; i < 52; i++) {
      const { headers } = await own.post(at('new-order'), names(`p${i}.example.com`));
      made.unshift(String(headers.location));
    }
    const first = await own.post(`${own.kid}/orders`, '');
    const next = /<([^>]+)>;rel="next"/.exec(String(first.headers.link))?.[1];
    const second = await own.post(next!, '');
    expect([...first.json.orders, ...second.json.orders]).toEqual(made);
    expect(first.json.orders).toHaveLength(50);
    expect(String(second.headers.link)).not.toContain('next');
    expectProblem(await client.post(next!, ''), 403, 'unauthorized');
  });

  it('that expired are over', async () => {
    const order = await client.readyOrder('late.example.com');
    const url = String(order.headers.location);
    await world.pool.query('UPDATE order_ SET expires_at = 1 WHERE order_id = $1', [
      url.split('/').at(-1),
    ]);
    const refused = await client.post(order.json.finalize, csrFor(['late.example.com']));
    expectProblem(refused, 403, 'orderNotReady');
    expect((await client.post(url, '')).json).toMatchObject({ status: 'invalid' });
  });
});

describe('certification requests', () => {
  const csr = (commonName: string | undefined, values: readonly string[]) =>
    buildCertificationRequest({
      privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
      subject: commonName === undefined ? [] : [{ type: 'CN', value: commonName }],
      subjectAltName: values.map((value) => ({ type: 'dns' as const, value })),
    }).toString('base64url');

  it('whose names are not those of the order leave it ready — covers: T26', async () => {
    const order = await client.readyOrder('cn.example.com');
    for (const wrong of [
      csr('other.example.com', ['cn.example.com']),
      csr('other.example.com', []),
      csr(undefined, []),
      csr(undefined, ['*.example.com']),
      csr(undefined, ['cn.example.com', 'www.cn.example.com']),
    ]) {
      expectProblem(await client.post(order.json.finalize, { csr: wrong }), 400, 'badCSR');
      expect((await client.post(String(order.headers.location), '')).json.status).toBe('ready');
    }
    const good = csr('CN.example.com', ['CN.example.com']);
    expect((await client.post(order.json.finalize, { csr: good })).json.status).toBe('valid');
  });

  it('may have the name as their common name alone', async () => {
    const order = await client.readyOrder('alone.example.com');
    const only = csr('alone.example.com', []);
    expect((await client.post(order.json.finalize, { csr: only })).json.status).toBe('valid');
  });
});
