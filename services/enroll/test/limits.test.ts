import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type AcmeTestClient, acmeTestClient, csrFor } from './acme-test-client.ts';
import { type AcmeWorld, startAcmeWorld } from './acme-world.ts';
import { expectProblem } from './expect-problem.ts';
import { jwsSigner, signJws } from './jws-signer.ts';

let world: AcmeWorld;
let client: AcmeTestClient;
const at = (path: string) => `${world.url}/acme/${path}`;

beforeAll(async () => {
  const limits = { newAccountsPerHour: 2, newOrdersPerHour: 3, changesPerHour: 2 };
  world = await startAcmeWorld({ limits });
  client = acmeTestClient(world);
  await client.newAccount();
});

afterAll(() => world.stop());

it('an address makes so many accounts in an hour; those that it has are found all the same', async () => {
  const second = acmeTestClient(world);
  const malformed = { contact: ['tel:1'] };
  for (let i = 0; i < 3; i++) {
    expectProblem(
      await second.postAs(second.signer, at('new-account'), malformed),
      400,
      'unsupportedContact',
    );
  }
  expect((await second.newAccount()).status).toBe(201);
  const refused = await acmeTestClient(world).newAccount();
  expectProblem(refused, 429, 'rateLimited');
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(1_700);
  const { signer } = second;
  expect((await second.postAs(signer, at('new-account'), {})).status).toBe(200);
});

it('an account makes so many orders in an hour', async () => {
  const order = () =>
    client.post(at('new-order'), { identifiers: [{ type: 'dns', value: 'o.example.com' }] });
  for (let i = 0; i < 3; i++) expect((await order()).status).toBe(201);
  const refused = await order();
  expectProblem(refused, 429, 'rateLimited');
  expect(refused.json.detail).toContain('3 orders within an hour');
  const wait = Number(refused.headers['retry-after']);
  expect(wait).toBeGreaterThan(3_500);
  expect(wait).toBeLessThanOrEqual(3_600);
});

it('an account changes so often in an hour: contacts, keys, refused certification requests', async () => {
  const [url] = (await client.post(`${client.kid}/orders`, '')).json.orders;
  const order = (await client.post(url, '')).json;
  const authorization = await client.post(order.authorizations[0], '');
  await client.post(authorization.json.challenges[0].url, {});
  const finalize = () => client.post(order.finalize, csrFor(['o.example.com']));
  world.ra.refusal = new GigvaultError('BAD_PUBLIC_KEY', 'no');
  expectProblem(await finalize(), 400, 'badPublicKey');
  expect((await client.post(client.kid, { contact: [] })).status).toBe(200);
  expectProblem(await finalize(), 429, 'rateLimited');
  expectProblem(await client.post(client.kid, { contact: [] }), 429, 'rateLimited');
  const change = at('key-change');
  const key = jwsSigner();
  const inner = signJws(
    key,
    { jwk: key.jwk, url: change },
    { account: client.kid, oldKey: client.signer.jwk },
  );
  expectProblem(await client.post(change, JSON.parse(inner.toString())), 429, 'rateLimited');
  world.ra.refusal = undefined;
  expect((await finalize()).json.status).toBe('valid');
  expect((await client.post(client.kid, { status: 'deactivated' })).status).toBe(200);
});
