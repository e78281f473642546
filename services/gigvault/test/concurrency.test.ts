import { newRequest } from '@gigvault/testkit/acme-client';
import { connect } from '@gigvault/testkit/check-pki';
import { MODES } from '@gigvault/testkit/pki-process';
import { fromPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { QUICK_CRL, startAcmeClient, usePki } from './use-pki.ts';

const MANY = 64;

describe.each(MODES)('one order finalized by many at the same time, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL);
  let acme: Awaited<ReturnType<typeof startAcmeClient>>;

  beforeAll(async () => {
    acme = await startAcmeClient(shared);
  });

  afterAll(() => acme?.responder.stop());

  it('64 finalizes with one request: one certificate, everybody gets the same order — covers: T1', async () => {
    const { client } = acme;
    const order = await client.prove(await client.newOrder(['many.localhost']));
    const { csr } = newRequest(['many.localhost']);
    const answers = await Promise.all(
      Array.from({ length: MANY }, () => client.post(order.finalize, { csr })),
    );
    for (const answer of answers) {
      expect([answer.status, answer.text]).toEqual([200, expect.anything()]);
      expect(answer.headers.location).toBe(order.url);
      expect(['processing', 'valid']).toContain(answer.json<{ status: string }>().status);
    }
    const settled = await client.settled(order);
    expect(settled.status).toBe('valid');
    expect(await certificatesFor('many.localhost')).toHaveLength(1);
  }, 60_000);

  it('64 finalizes with 64 requests: one certificate, the others orderNotReady — covers: T1', async () => {
    const { client } = acme;
    const order = await client.prove(await client.newOrder(['rival.localhost']));
    const requests = Array.from({ length: MANY }, () => newRequest(['rival.localhost']));
    const answers = await Promise.all(
      requests.map(({ csr }) => client.post(order.finalize, { csr })),
    );
    const winners = answers.filter((answer) => answer.status === 200);
    const losers = answers.filter((answer) => answer.status !== 200);
    expect(winners).toHaveLength(1);
    for (const loser of losers)
      expect([loser.status, loser.json<{ type: string }>().type]).toEqual([
        403,
        'urn:ietf:params:acme:error:orderNotReady',
      ]);
    expect((await client.settled(order)).status).toBe('valid');
    expect(await certificatesFor('rival.localhost')).toHaveLength(1);
  }, 60_000);

  it('a finalize that is sent again later names the same certificate — covers: T2, T5', async () => {
    const { client } = acme;
    const order = await client.prove(await client.newOrder(['again.localhost']));
    const { csr } = newRequest(['again.localhost']);
    await client.post(order.finalize, { csr });
    const { certificate } = await client.settled(order);
    const again = (await client.post(order.finalize, { csr })).json<{ certificate: string }>();
    expect(again.certificate).toBe(certificate);
    const [first, second] = [
      await client.post(String(certificate), ''),
      await client.post(again.certificate, ''),
    ];
    expect(second.text).toBe(first.text);
    const [leaf] = fromPem(first.text, 'CERTIFICATE');
    expect(await certificatesFor('again.localhost')).toEqual([leaf]);
  });

  /** What `ca` has for this name: one row a serial number. */
  async function certificatesFor(name: string): Promise<(Buffer | null)[]> {
    const database = await connect(shared.pki);
    try {
      const { rows } = await database.query<{ certificate: Buffer | null }>(
        'SELECT certificate FROM ca.certificate WHERE $1 = ANY (names)',
        [`dns:${name}`],
      );
      return rows.map((row) => row.certificate);
    } finally {
      await database.end();
    }
  }
});
