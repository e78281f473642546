import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type AcmeTestClient, acmeTestClient } from './acme-test-client.ts';
import { type AcmeWorld, startAcmeWorld } from './acme-world.ts';
import { expectProblem } from './expect-problem.ts';
import { jwsSigner, signJws } from './jws-signer.ts';

let world: AcmeWorld;
let client: AcmeTestClient;
const at = (path: string) => `${world.url}/acme/${path}`;

beforeAll(async () => {
  world = await startAcmeWorld({ maxOpenOrders: 20 });
  client = acmeTestClient(world);
  await client.newAccount();
});

afterAll(() => world.stop());

describe('directory and nonces', () => {
  it('tells where everything is', async () => {
    const { status, json, headers } = await client.raw('GET', at('directory'));
    expect(status).toBe(200);
    expect(headers['cache-control']).toBe('no-store');
    expect(json).toMatchObject({
      newNonce: at('new-nonce'),
      newAccount: at('new-account'),
      newOrder: at('new-order'),
      revokeCert: at('revoke-cert'),
      keyChange: at('key-change'),
      meta: { externalAccountRequired: false, profiles: { 'tls-server': expect.any(String) } },
    });
    expect((await client.raw('HEAD', at('directory'))).status).toBe(200);
  });

  it('gives nonces: HEAD 200, GET 204', async () => {
    for (const [method, status] of [
      ['HEAD', 200],
      ['GET', 204],
    ] as const) {
      const reply = await client.raw(method, at('new-nonce'));
      expect(reply.status).toBe(status);
      expect(reply.headers['cache-control']).toBe('no-store');
      expect(reply.headers['replay-nonce']).toMatch(/^[\w-]{35}$/);
    }
  });

  it('refuses nonces that are missing, used, or not ours, and gives a fresh one — covers: T33, L11', async () => {
    const nonce = await client.nonce();
    expect((await client.post(client.kid, '', { nonce })).status).toBe(200);
    for (const bad of [undefined, nonce, 'AAAA', '']) {
      const reply = await client.post(client.kid, '', { nonce: bad });
      expectProblem(reply, 400, 'badNonce');
      expect(
        (await client.post(client.kid, '', { nonce: reply.headers['replay-nonce'] })).status,
      ).toBe(200);
    }
    expectProblem(await client.post(client.kid, '', { nonce: 'not base64url!' }), 400, 'malformed');
  });
});

describe('requests', () => {
  it('for another URL are refused — covers: T36', async () => {
    const other = await client.post(
      at('new-order'),
      { identifiers: [] },
      { url: at('new-account') },
    );
    expectProblem(other, 403, 'unauthorized');
    const foreign = await client.post(
      at('new-order'),
      {},
      { url: 'https://other.example/acme/new-order' },
    );
    expectProblem(foreign, 403, 'unauthorized');
    expectProblem(
      await client.post(`${client.kid}?x=1`, '', { url: client.kid }),
      403,
      'unauthorized',
    );
    expectProblem(await client.post(client.kid, '', { url: undefined }), 400, 'malformed');
  });

  it('of another media type, method or size are refused — covers: T37, T22', async () => {
    const body = signJws(
      client.signer,
      { kid: client.kid, url: client.kid, nonce: await client.nonce() },
      '',
    );
    expectProblem(
      await client.raw('POST', client.kid, body, { 'content-type': 'application/json' }),
      415,
      'malformed',
    );
    expectProblem(await client.raw('POST', client.kid, body, {}), 415, 'malformed');
    for (const url of [client.kid, at('new-order'), at('order/x'), at('cert/x')]) {
      const reply = await client.raw('GET', url, undefined, {});
      expectProblem(reply, 405, 'malformed');
      expect(reply.headers.allow).toContain('POST');
    }
    expectProblem(
      await client.raw('POST', at('new-order'), Buffer.alloc(50_001, 'a')),
      413,
      'malformed',
    );
  });

  it('with a payload where none belongs, or none where one does, are refused — covers: T37', async () => {
    const { headers } = await client.post(at('new-order'), {
      identifiers: [{ type: 'dns', value: 'p.example.com' }],
    });
    expectProblem(await client.post(String(headers.location), {}), 400, 'malformed');
    expectProblem(await client.post(`${client.kid}/orders`, {}), 400, 'malformed');
    expectProblem(await client.post(at('new-order'), ''), 400, 'malformed');
    expectProblem(await client.post(at('new-order'), []), 400, 'malformed');
  });

  it('are signed with kid or jwk as the resource says — covers: T34', async () => {
    expectProblem(await client.postAs(client.signer, at('new-order'), {}), 400, 'malformed');
    expectProblem(await client.post(at('new-account'), {}), 400, 'malformed');
    expectProblem(
      await client.post(at('new-order'), {}, { kid: at('account/nobody') }),
      400,
      'accountDoesNotExist',
    );
    expectProblem(
      await client.post(at('new-order'), {}, { kid: 'https://other.example/1' }),
      400,
      'malformed',
    );
    const algorithms = await client.post(at('new-order'), {}, { alg: 'HS256' });
    expectProblem(algorithms, 400, 'badSignatureAlgorithm');
    expect(algorithms.json.algorithms).toEqual(['ES256', 'ES384', 'ES512', 'RS256', 'EdDSA']);
  });
});

describe('ids', () => {
  it.each(['order/%00', 'authz/..%2f..', 'cert/%ff', `order/${'a'.repeat(100)}`])(
    'such as %p name nothing — covers: T67',
    async (path) => {
      const reply = await client.post(at(path), '');
      expect([400, 404]).toContain(reply.status);
    },
  );

  it('of accounts and pages are checked as well — covers: T67', async () => {
    expectProblem(
      await client.post(at('new-order'), {}, { kid: at('account/\u0000') }),
      400,
      'accountDoesNotExist',
    );
    expectProblem(await client.post(`${client.kid}/orders?cursor=%00`, ''), 400, 'malformed');
    expectProblem(
      await client.post(`${client.kid}/orders?cursor=a&cursor=b`, ''),
      400,
      'malformed',
    );
  });
});

describe('accounts', () => {
  it('are made once for a key, found, updated and deactivated — covers: T38', async () => {
    const own = acmeTestClient(world);
    const none = await own.postAs(own.signer, at('new-account'), { onlyReturnExisting: true });
    expectProblem(none, 400, 'accountDoesNotExist');
    const created = await own.newAccount();
    expect(created.status).toBe(201);
    expect(created.json).toMatchObject({
      status: 'valid',
      contact: ['mailto:admin@example.com'],
      orders: `${own.kid}/orders`,
    });
    for (const payload of [{}, { onlyReturnExisting: true }]) {
      const again = await own.postAs(own.signer, at('new-account'), payload);
      expect({ status: again.status, url: again.headers.location }).toEqual({
        status: 200,
        url: own.kid,
      });
    }
    expect((await own.post(own.kid, { contact: [] })).json.contact).toEqual([]);
    expectProblem(await own.post(client.kid, ''), 403, 'unauthorized');
    expect((await own.post(own.kid, { status: 'deactivated' })).json.status).toBe('deactivated');
    expectProblem(await own.post(own.kid, ''), 401, 'unauthorized');
    expectProblem(await own.post(at('new-order'), {}), 401, 'unauthorized');
    expectProblem(await own.postAs(own.signer, at('new-account'), {}), 401, 'unauthorized');
  });

  it.each([
    ['tel:+1555', 'unsupportedContact'],
    ['mailto:a@example.com?to=b@example.com', 'invalidContact'],
    ['mailto:a@example.com,b@example.com', 'invalidContact'],
    ['mailto:nobody', 'invalidContact'],
    ['mailto:a@ex\u0000ample.com', 'invalidContact'],
  ])('refuse the contact %p', async (uri, type) => {
    expectProblem(await client.post(client.kid, { contact: [uri] }), 400, type);
  });

  it('change their key; a key that has an account is refused with its URL — covers: T38', async () => {
    const own = acmeTestClient(world);
    await own.newAccount();
    const change = (
      to: ReturnType<typeof jwsSigner>,
      edits: object = {},
      url = at('key-change'),
    ) => {
      const inner = signJws(
        to,
        { jwk: to.jwk, url },
        { account: own.kid, oldKey: own.signer.jwk, ...edits },
      );
      return own.post(at('key-change'), JSON.parse(inner.toString()));
    };
    const taken = await change(client.signer);
    expectProblem(taken, 409, 'malformed');
    expect(taken.headers.location).toBe(client.kid);
    const fresh = jwsSigner('ES384');
    expectProblem(await change(fresh, { account: client.kid }), 400, 'malformed');
    expectProblem(await change(fresh, { oldKey: client.signer.jwk }), 400, 'malformed');
    expectProblem(await change(fresh, {}, at('new-order')), 400, 'malformed');
    expect((await change(fresh)).status).toBe(200);
    expectProblem(await own.post(own.kid, ''), 400, 'badSignatureAlgorithm');
    const moved = await own.postAs(fresh, at('new-account'), { onlyReturnExisting: true });
    expect(moved.headers.location).toBe(own.kid);
  });
});
