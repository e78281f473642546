import { X509Certificate } from 'node:crypto';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type AcmeTestClient, acmeTestClient, csrFor } from './acme-test-client.ts';
import { type AcmeWorld, startAcmeWorld } from './acme-world.ts';
import { expectProblem } from './expect-problem.ts';
import { jwsSigner, signerOf } from './jws-signer.ts';

let world: AcmeWorld;
let client: AcmeTestClient;
const at = (path: string) => `${world.url}/acme/${path}`;

beforeAll(async () => {
  world = await startAcmeWorld({ maxOpenOrders: 20 });
  client = acmeTestClient(world);
  await client.newAccount();
});

afterAll(() => world.stop());

async function issue(
  by: AcmeTestClient,
  name: string,
): Promise<{ pem: string; der: string; key: ReturnType<typeof csrFor>['privateKey'] }> {
  const order = await by.readyOrder(name);
  const { csr, privateKey } = csrFor([name]);
  const valid = await by.post(order.json.finalize, { csr });
  const { text } = await by.post(valid.json.certificate, '');
  return { pem: text, der: new X509Certificate(text).raw.toString('base64url'), key: privateKey };
}

describe('orders', () => {
  it('go from pending through ready to a certificate that verifies', async () => {
    const created = await client.post(at('new-order'), {
      identifiers: [
        { type: 'dns', value: 'WWW.example.com' },
        { type: 'dns', value: 'www.example.com' },
      ],
      profile: 'tls-server',
    });
    expect(created.status).toBe(201);
    const order = created.json;
    expect(order).toMatchObject({
      status: 'pending',
      identifiers: [{ type: 'dns', value: 'www.example.com' }],
    });
    const { csr } = csrFor(['www.example.com']);
    expectProblem(await client.post(order.finalize, { csr }), 403, 'orderNotReady');

    const authorization = await client.post(order.authorizations[0], '');
    const [challenge] = authorization.json.challenges;
    expect(challenge).toMatchObject({ type: 'http-01', status: 'pending' });
    const answered = await client.post(challenge.url, {});
    expect(answered.headers.link).toContain(`<${order.authorizations[0]}>;rel="up"`);
    expect(world.ra.keyAuthorization).toMatch(new RegExp(`^${challenge.token}\\.[\\w-]{43}$`));

    const url = String(created.headers.location);
    expect((await client.post(url, '')).json.status).toBe('ready');
    const finalized = await client.post(order.finalize, { csr });
    expect(finalized.json.status).toBe('valid');
    const chain = await client.post(finalized.json.certificate, '');
    expect(chain.headers['content-type']).toBe('application/pem-certificate-chain');
    const [leaf, issuer, ...rest] = chain.text
      .split(/(?<=-----END CERTIFICATE-----\n)/)
      .filter(Boolean);
    expect(rest).toEqual([]);
    expect(new X509Certificate(leaf!).verify(new X509Certificate(issuer!).publicKey)).toBe(true);
    expect(new X509Certificate(leaf!).subjectAltName).toBe('DNS:www.example.com');
    expect((await client.post(`${client.kid}/orders`, '')).json.orders).toContain(url);
  });

  it('are ready at once when the names are validated already', async () => {
    await client.readyOrder('again.example.com');
    const second = await client.post(at('new-order'), {
      identifiers: [{ type: 'dns', value: 'again.example.com' }],
    });
    expect(second.json.status).toBe('ready');
  });

  it('take IP addresses in canonical form, and times', async () => {
    const notAfter = new Date(
      Math.ceil(systemClock.now() / 1000) * 1000 + 86_400_000,
    ).toISOString();
    const order = await client.post(at('new-order'), {
      identifiers: [{ type: 'ip', value: '2001:DB8:0::1' }],
      notAfter,
    });
    expect(order.json.identifiers).toEqual([{ type: 'ip', value: '2001:db8::1' }]);
    expect(Date.parse(order.json.notAfter)).toBe(Date.parse(notAfter));
  });

  it.each([
    [{ identifiers: [] }, 400, 'malformed'],
    [
      {
        identifiers: Array.from({ length: 101 }, (_, i) => ({
          type: 'dns',
          value: `n${i}.example.com`,
        })),
      },
      400,
      'malformed',
    ],
    [{ identifiers: [{ type: 'email', value: 'a@example.com' }] }, 400, 'unsupportedIdentifier'],
    [{ identifiers: [{ type: 'dns', value: '*.example.com' }] }, 400, 'rejectedIdentifier'],
    [{ identifiers: [{ type: 'dns', value: '127.0.0.1' }] }, 400, 'rejectedIdentifier'],
    [{ identifiers: [{ type: 'dns', value: 'a\u0000.example.com' }] }, 400, 'rejectedIdentifier'],
    [{ identifiers: [{ type: 'ip', value: '0x7f.1' }] }, 400, 'rejectedIdentifier'],
    [
      { identifiers: [{ type: 'dns', value: 'ok.example.com' }], profile: 'service' },
      400,
      'malformed',
    ],
    [
      { identifiers: [{ type: 'dns', value: 'ok.example.com' }], notAfter: '2001-01-01T00:00:00Z' },
      400,
      'malformed',
    ],
    [
      { identifiers: [{ type: 'dns', value: 'ok.example.com' }], notAfter: 'soon' },
      400,
      'malformed',
    ],
    [
      { identifiers: [{ type: 'dns', value: 'ok.example.com' }], notAfter: '2999-01-01T00:00:00Z' },
      400,
      'malformed',
    ],
    [
      {
        identifiers: [{ type: 'dns', value: 'ok.example.com' }],
        notBefore: '2001-01-01T00:00:00Z',
      },
      400,
      'malformed',
    ],
    [
      {
        identifiers: [{ type: 'dns', value: 'ok.example.com' }],
        notBefore: '2999-01-01T00:00:00Z',
      },
      400,
      'malformed',
    ],
  ])('refuse %j', async (payload, status, type) => {
    expectProblem(await client.post(at('new-order'), payload), status, type);
  });

  it('name each refused identifier in a subproblem', async () => {
    const identifiers = ['ok.example.com', 'bad_name.example.com', 'also bad'].map((value) => ({
      type: 'dns',
      value,
    }));
    const reply = await client.post(at('new-order'), { identifiers });
    expectProblem(reply, 400, 'rejectedIdentifier');
    expect(reply.json.subproblems.map((sub: { identifier: object }) => sub.identifier)).toEqual(
      identifiers.slice(1),
    );
  });

  it('become invalid when a validation fails, and say why', async () => {
    world.ra.validationSucceeds = false;
    const order = await client.readyOrder('unreachable.example.com');
    world.ra.validationSucceeds = true;
    expect(order.json).toMatchObject({
      status: 'invalid',
      error: { type: 'urn:ietf:params:acme:error:unauthorized' },
    });
    expect(order.json.error.detail).toContain('refused');
    const authorization = await client.post(order.json.authorizations[0], '');
    expect(authorization.json.challenges[0].error.type).toBe(
      'urn:ietf:params:acme:error:connection',
    );
    expectProblem(
      await client.post(order.json.finalize, csrFor(['unreachable.example.com'])),
      403,
      'orderNotReady',
    );
  });

  it('become invalid when an authorization is given up', async () => {
    const created = await client.post(at('new-order'), {
      identifiers: [{ type: 'dns', value: 'up.example.com' }],
    });
    const [url] = created.json.authorizations;
    expectProblem(await client.post(url, { status: 'valid' }), 400, 'malformed');
    expect((await client.post(url, { status: 'deactivated' })).json.status).toBe('deactivated');
    expect((await client.post(String(created.headers.location), '')).json.status).toBe('invalid');
  });

  it('of other accounts are closed — covers: T38', async () => {
    const order = await client.readyOrder('mine.example.com');
    const { csr } = csrFor(['mine.example.com']);
    const valid = await client.post(order.json.finalize, { csr });
    const other = acmeTestClient(world);
    await other.newAccount();
    const authorization = await client.post(order.json.authorizations[0], '');
    for (const [url, payload] of [
      [String(order.headers.location), ''],
      [order.json.finalize, { csr }],
      [order.json.authorizations[0], ''],
      [order.json.authorizations[0], { status: 'deactivated' }],
      [authorization.json.challenges[0].url, {}],
      [valid.json.certificate, ''],
      [`${client.kid}/orders`, ''],
    ]) {
      expectProblem(await other.post(url, payload), 403, 'unauthorized');
    }
    for (const path of ['order/x', 'order/x/finalize', 'authz/x', 'chall/x/y', 'cert/x']) {
      expectProblem(
        await other.post(at(path), path.endsWith('finalize') ? { csr } : ''),
        404,
        'malformed',
      );
    }
  });

  it('are limited in number', async () => {
    const own = acmeTestClient(world);
    await own.newAccount();
    const order = (i: number) =>
      own.post(at('new-order'), { identifiers: [{ type: 'dns', value: `l${i}.example.com` }] });
    for (let i = 0; i < 20; i++) expect((await order(i)).status).toBe(201);
    const refused = await order(20);
    expectProblem(refused, 429, 'rateLimited');
    expect(refused.headers['retry-after']).toBe('3600');
  });
});

describe('certification requests', () => {
  it('must name what was ordered, with a key of their own, and leave the order ready otherwise — covers: T22, T23, T29, T30', async () => {
    const order = await client.readyOrder('a.example.com', 'b.example.com');
    const good = csrFor(['b.example.com', 'a.example.com']);
    const forged = Buffer.from(good.csr, 'base64url');
    forged[forged.length - 1]! ^= 1;
    for (const csr of [
      csrFor(['a.example.com']).csr,
      csrFor(['a.example.com', 'b.example.com', 'c.example.com']).csr,
      csrFor(['a.example.com', 'b.example.com'], client.signer.privateKey).csr,
      forged.toString('base64url'),
      Buffer.concat([Buffer.from(good.csr, 'base64url'), Buffer.alloc(1)]).toString('base64url'),
      Buffer.from('30800000', 'hex').toString('base64url'),
      csrFor(Array.from({ length: 101 }, (_, i) => `n${i}.example.com`)).csr,
      '',
    ]) {
      expectProblem(await client.post(order.json.finalize, { csr }), 400, 'badCSR');
    }
    expectProblem(await client.post(order.json.finalize, { csr: 'ab+/' }), 400, 'malformed');
    expectProblem(await client.post(order.json.finalize, {}), 400, 'malformed');
    expect((await client.post(order.json.finalize, { csr: good.csr })).json.status).toBe('valid');
  });
});

describe('revocation', () => {
  it('by the account that has it, once — covers: T56', async () => {
    const { der } = await issue(client, 'r1.example.com');
    expect((await client.post(at('revoke-cert'), { certificate: der, reason: 4 })).status).toBe(
      200,
    );
    expectProblem(
      await client.post(at('revoke-cert'), { certificate: der, reason: 4 }),
      400,
      'alreadyRevoked',
    );
    expect([...world.ca.certificates.values()].at(-1)).toMatchObject({
      status: 'revoked',
      reasonCode: 4,
    });
  });

  it('by the key of the certificate, not by another — covers: T56', async () => {
    const { der, pem, key } = await issue(client, 'r2.example.com');
    expectProblem(
      await client.postAs(jwsSigner(), at('revoke-cert'), { certificate: der }),
      403,
      'unauthorized',
    );
    const holder = signerOf(key, new X509Certificate(pem).publicKey);
    expect(
      (await client.postAs(holder, at('revoke-cert'), { certificate: der, reason: 1 })).status,
    ).toBe(200);
  });

  it('by another account that controls all the names — covers: T56', async () => {
    const { der } = await issue(client, 'r3.example.com');
    const other = acmeTestClient(world);
    await other.newAccount();
    expectProblem(await other.post(at('revoke-cert'), { certificate: der }), 403, 'unauthorized');
    await other.readyOrder('r3.example.com');
    expectProblem(
      await other.post(at('revoke-cert'), { certificate: der, reason: 1 }),
      400,
      'badRevocationReason',
    );
    expect((await other.post(at('revoke-cert'), { certificate: der, reason: 5 })).status).toBe(200);
  });

  it('refuses reasons that a subscriber cannot give — covers: T59', async () => {
    const { der } = await issue(client, 'r4.example.com');
    for (const reason of [2, 6, 7, 8, 9, 10, 11, -1]) {
      expectProblem(
        await client.post(at('revoke-cert'), { certificate: der, reason }),
        400,
        'badRevocationReason',
      );
    }
    expectProblem(
      await client.post(at('revoke-cert'), { certificate: der, reason: 'x' }),
      400,
      'malformed',
    );
  });

  it('refuses what was not issued here', async () => {
    const issuer = world.ca.issuer.toString('base64url');
    expectProblem(await client.post(at('revoke-cert'), { certificate: issuer }), 404, 'malformed');
    expectProblem(await client.post(at('revoke-cert'), { certificate: 'AAAA' }), 400, 'malformed');
  });
});
