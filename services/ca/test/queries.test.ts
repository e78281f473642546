import type { HttpRoute, Operation, ProtocolRoute } from '@gigvault/http/route';
import { readCertificate } from '@gigvault/x509/certificate';
import { fromPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { caOperations, issuerFileRoutes } from '../src/api/http.ts';
import { listCertificates } from '../src/certificates/list-certificates.ts';
import { issueCertificate } from '../src/issuance/issue-certificate.ts';
import { type CaProcess, request, startTestCa, type TestCa } from './test-ca.ts';

let ca: TestCa;
let process: CaProcess;
const serials: string[] = [];

beforeAll(async () => {
  ca = await startTestCa();
  process = ca.process();
  for (let i = 0; i < 25; i += 1) {
    const name = { type: 'dns', value: `n${i % 5}.example.com` };
    const order = request(process, {
      subjectAltName: [name],
      commonName: name.value,
      requester: `acme:${i % 2}`,
    });
    serials.unshift((await issueCertificate(process.deps.issuance, order)).serialNumber);
  }
});
afterAll(() => ca.stop());

/** @param limits of the first page, the second and so on; the last one holds for the rest */
async function pages(filter: object, ...limits: readonly number[]): Promise<string[][]> {
  const found: string[][] = [];
  let cursor = '';
  do {
    const page = await listCertificates(process.deps.certificates, {
      limit: limits[found.length] ?? limits.at(-1)!,
      cursor,
      status: '',
      commonName: '',
      requester: '',
      ...filter,
    });
    found.push(page.items.map((item) => item.serialNumber));
    cursor = page.nextCursor;
  } while (cursor !== '');
  return found;
}

describe('listing', () => {
  it('pages newest first, without gap or repeat, and ends', async () => {
    const all = await pages({}, 10);
    expect(all.map((page) => page.length)).toEqual([10, 10, 5]);
    const { rows } = await ca.pool.query(
      'SELECT serial_number FROM certificate ORDER BY issued_at DESC, serial_number DESC, issuer_id DESC',
    );
    expect(all.flat()).toEqual(rows.map((row) => row.serial_number));
    expect(new Set(all.flat())).toEqual(new Set(serials));
  });

  it('gives the same list, whatever the pages, with certificates of one moment on both sides of a cursor', async () => {
    const moments = 'UPDATE certificate SET issued_at = issued_at - issued_at % 50';
    await ca.database.ownerPool('ca').query(moments);
    const whole = (await pages({}, 500)).flat();
    expect(new Set(whole)).toEqual(new Set(serials));
    const limits = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(limits, async (some) => {
        const found = await pages({}, ...some);
        expect(found.flat()).toEqual(whole);
        found.slice(0, -1).forEach((page, n) => {
          expect(page).toHaveLength(some[n] ?? some.at(-1)!);
        });
      }),
      { numRuns: 30 },
    );
  });

  it('answers or refuses any cursor, and throws INVALID_ARGUMENT only', async () => {
    const written = fc
      .tuple(fc.bigInt({ min: 0n, max: 10n ** 16n }), fc.string(), fc.string({ maxLength: 70 }))
      .map((parts) => parts.join('/'));
    const ours = fc
      .tuple(
        fc.maxSafeNat(),
        fc.stringMatching(/^[0-9a-f]{1,40}$/),
        fc.constantFrom('issuing', 'none'),
      )
      .map((parts) => parts.join('/'));
    const cursor = fc.oneof(
      fc.string({ minLength: 1, unit: 'binary' }),
      fc.oneof(written, ours).map((text) => Buffer.from(text).toString('base64url')),
    );
    await fc.assert(
      fc.asyncProperty(cursor, async (text) => {
        try {
          const { items } = await listCertificates(process.deps.certificates, {
            ...{ limit: 5, cursor: text, status: '', commonName: '', requester: '' },
          });
          for (const { serialNumber } of items) expect(serials).toContain(serialNumber);
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
        }
      }),
      { numRuns: 200 },
    );
  });

  it('filters', async () => {
    expect((await pages({ commonName: 'n1.example.com' }, 2)).flat()).toHaveLength(5);
    expect((await pages({ requester: 'acme:1' }, 5)).flat()).toHaveLength(12);
    expect((await pages({ status: 'valid' }, 50)).flat()).toHaveLength(25);
    expect((await pages({ status: 'expired' }, 50)).flat()).toHaveLength(0);
  });

  it('pages what has expired last first, without gap or repeat', async () => {
    // Twelve, three at a time with the same end.
    const expire = `UPDATE certificate SET not_after = not_after - 400 * 86400000::bigint - array_position($1, serial_number) / 3`;
    await ca.pool.query(`${expire} WHERE serial_number = ANY($1)`, [serials.slice(-12)]);
    const all = await pages({ status: 'expired' }, 5);
    const { rows } = await ca.pool.query(
      'SELECT serial_number FROM certificate ORDER BY not_after, serial_number, issuer_id LIMIT 12',
    );
    expect(all.map((page) => page.length)).toEqual([5, 5, 2]);
    expect(all.flat()).toEqual(rows.map((row) => row.serial_number).reverse());
    expect((await pages({ status: 'valid' }, 50)).flat()).toHaveLength(13);
  });

  it.each([{ cursor: 'AAAA' }, { status: 'good' }, { limit: 501 }])('refuses %o', async (bad) => {
    await expect(
      pages(bad, 10).then(async () =>
        listCertificates(process.deps.certificates, {
          limit: 0,
          cursor: '',
          status: '',
          commonName: '',
          requester: '',
          ...bad,
        }),
      ),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('no query scans a table that grows', () => {
  const queries = [
    `SELECT * FROM certificate WHERE serial_number = '01' AND ('x'::text IS NULL OR issuer_id = 'x')`,
    `SELECT * FROM certificate WHERE serial_number = ANY('{01,02}') AND issuer_id = 'x'`,
    `SELECT * FROM certificate ORDER BY issued_at DESC, serial_number DESC, issuer_id DESC LIMIT 5`,
    `SELECT * FROM certificate WHERE common_name = 'a' AND (issued_at, serial_number, issuer_id) < (1, 'a', 'b')
     ORDER BY issued_at DESC, serial_number DESC, issuer_id DESC LIMIT 5`,
    `SELECT * FROM certificate WHERE requester = 'a' ORDER BY issued_at DESC, serial_number DESC, issuer_id DESC LIMIT 5`,
    `SELECT * FROM certificate WHERE status = 'revoked' ORDER BY issued_at DESC, serial_number DESC, issuer_id DESC LIMIT 5`,
    `SELECT * FROM certificate WHERE spki_sha256 = 'a' AND status = 'valid' LIMIT 5 FOR UPDATE SKIP LOCKED`,
    `SELECT * FROM blocked_key WHERE NOT swept ORDER BY created_at LIMIT 5`,
    `SELECT * FROM intent WHERE request_id = '00000000-0000-4000-8000-000000000000' AND status IN ('open', 'issued')`,
    `SELECT * FROM intent WHERE status = 'open' AND created_at <= 1 ORDER BY created_at LIMIT 5`,
  ];
  it.each(queries)('%s', async (sql) => {
    const client = await ca.pool.connect();
    try {
      await client.query('SET enable_seqscan = off');
      const { rows } = await client.query(`EXPLAIN ${sql}`);
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      expect(plan).not.toMatch(/Seq Scan|Sort/);
    } finally {
      await client.query('RESET enable_seqscan');
      client.release();
    }
  });
});

describe('the REST operations', () => {
  const OPERATOR = { actor: 'user:1', permissions: new Set(['certificates:read-all']) };
  const call = async (operationId: string, request: object) => {
    const isIt = (route: HttpRoute): route is Operation =>
      route.kind === 'operation' && route.operationId === operationId;
    const found = caOperations(process.deps).find(isIt);
    const reply = await found!.handle({ principal: OPERATOR, ...request } as never);
    found!.replies[reply.status]!.parse(reply.body);
    return reply.body as Record<string, unknown>;
  };

  it('lists certificates', async () => {
    const body = await call('listCertificates', { query: { limit: 2, cursor: '' } });
    expect(body).toMatchObject({
      items: [{ status: 'valid' }, {}],
      nextCursor: expect.any(String),
    });
  });

  it('shows one with PEM and chain', async () => {
    const colons = serials[0]!.match(/../g)!.join(':');
    const body = await call('getCertificate', {
      params: { serialNumber: colons },
      query: { issuerId: '' },
    });
    const [der] = fromPem(String(body['certificate']));
    expect(readCertificate(der!).serialNumber).toBe(serials[0]);
    expect(fromPem(String(body['chain']))).toHaveLength(2);
  });

  it('shows requesters what they asked for, and nothing else — covers: T63', async () => {
    const as = { principal: { actor: 'acme:1', permissions: new Set() } };
    const list = (query: object) =>
      call('listCertificates', { ...as, query: { limit: 50, cursor: '', ...query } });
    const { items } = (await list({})) as { items: { serialNumber: string; requester: string }[] };
    expect(items).toHaveLength(12);
    expect(new Set(items.map((item) => item.requester))).toEqual(new Set(['acme:1']));
    expect(await list({ requester: 'acme:0' })).toEqual({ items: [] });
    expect(await list({ requester: 'acme:1' })).toEqual(await list({}));
    const get = (serialNumber: string) =>
      call('getCertificate', { ...as, params: { serialNumber }, query: { issuerId: '' } });
    const own = items[0]!.serialNumber;
    expect(await get(own)).toMatchObject({ serialNumber: own });
    const others = serials.find((serial) => !items.some((item) => item.serialNumber === serial))!;
    await expect(get(others)).rejects.toMatchObject({
      code: 'CERTIFICATE_NOT_FOUND',
      message: `There is no certificate ${others}.`,
    });
  });

  it('names names as people write them', async () => {
    const body = await call('listCertificates', { query: { limit: 1, cursor: '' } });
    expect(body['items']).toMatchObject([
      { names: [expect.stringMatching(/^n\d+\.example\.com$/)] },
    ]);
  });

  it('revokes by name or number of the reason, and refuses contradictions and holds', async () => {
    const revoke = (serialNumber: string, body: object) =>
      call('revokeCertificate', {
        params: { serialNumber },
        query: { issuerId: '' },
        body,
      });
    await expect(revoke(serials[1]!, { reason: 'certificateHold' })).rejects.toMatchObject({
      code: 'BAD_REVOCATION_REASON',
    });
    await expect(
      revoke(serials[1]!, { reason: 'superseded', reasonCode: 1 }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await revoke(serials[1]!, { reason: 'superseded' })).toMatchObject({
      status: 'revoked',
      reasonCode: 4,
      reason: 'superseded',
    });
    expect(await revoke(serials[2]!, {})).toMatchObject({ reasonCode: 0 });
  });

  it('lists issuers', async () => {
    const body = await call('listIssuers', {});
    expect(body).toMatchObject({
      items: [
        { issuerId: 'issuing', subject: 'CN=Test issuing CA' },
        { issuerId: 'services', public: false },
      ],
    });
  });
});

describe('issuer files', () => {
  const get = (file: string) => {
    const [route] = issuerFileRoutes(process.deps) as ProtocolRoute[];
    return route!.handle({ params: { file } } as never);
  };

  it('serves DER and PEM', async () => {
    const der = await get('issuing.crt');
    expect(der.headers?.['content-type']).toBe('application/pkix-cert');
    expect(readCertificate(der.body as Buffer).isCa).toBe(true);
    const pem = await get('issuing.pem');
    expect(fromPem(String(pem.body))[0]?.equals(der.body as Buffer)).toBe(true);
  });

  it.each(['none.crt', '..%2fetc', 'issuing.der'])('does not find %s', async (file) => {
    await expect(get(file)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
