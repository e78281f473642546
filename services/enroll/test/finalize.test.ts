import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type AcmeTestClient, acmeTestClient, csrFor } from './acme-test-client.ts';
import { type AcmeWorld, startAcmeWorld } from './acme-world.ts';
import { expectProblem } from './expect-problem.ts';

let world: AcmeWorld;
let client: AcmeTestClient;

beforeAll(async () => {
  world = await startAcmeWorld({ finalizeWait: '1s' });
  client = acmeTestClient(world);
  await client.newAccount();
});

afterEach(() => {
  installFaultHook(undefined);
  world.ra.verdict = 'issue';
  world.ra.refusal = undefined;
  world.ra.beforeAnswer = async () => undefined;
});

afterAll(() => world.stop());

/** The certificates issued for a name. */
function issuedFor(name: string): number {
  return [...world.ca.certificates.values()].filter((certificate) =>
    certificate.names.includes(`dns:${name}`),
  ).length;
}

/** Asks until the order is in the state. The worker moves it, so the number of questions is bounded, not the time. */
async function pollUntil(url: string, status: string): Promise<void> {
  for (let asked = 0; asked < 200; asked++) {
    if ((await client.post(url, '')).json.status === status) return;
  }
  throw new Error(`the order did not become ${status}`);
}

describe('finalize', () => {
  it('64 times at once makes one certificate — covers: T1', async () => {
    const name = 't1.example.com';
    const order = await client.readyOrder(name);
    const { csr } = csrFor([name]);
    const replies = await Promise.all(
      Array.from({ length: 64 }, () => client.post(order.json.finalize, { csr })),
    );
    expect(new Set(replies.map((reply) => `${reply.status} ${reply.json.status}`))).toEqual(
      new Set(['200 valid']),
    );
    expect(new Set(replies.map((reply) => reply.json.certificate)).size).toBe(1);
    expect(issuedFor(name)).toBe(1);
    expect(
      new Set(
        world.ra.submissions
          .filter((s) => s.subjectAltName[0]?.value === name)
          .map((s) => s.requestId),
      ).size,
    ).toBe(1);
  });

  it('64 times at once with different keys makes one certificate; the others are told — covers: T1', async () => {
    const name = 't1b.example.com';
    const order = await client.readyOrder(name);
    const replies = await Promise.all(
      Array.from({ length: 64 }, () =>
        client.post(order.json.finalize, { csr: csrFor([name]).csr }),
      ),
    );
    const valid = replies.filter((reply) => reply.json.status === 'valid');
    const refused = replies.filter(
      (reply) => reply.json.type === 'urn:ietf:params:acme:error:orderNotReady',
    );
    expect([valid.length, refused.length]).toEqual([1, 63]);
    expect(issuedFor(name)).toBe(1);
  });

  it('again after it was valid gives the same certificate; with another request it is refused — covers: T2', async () => {
    const name = 't2.example.com';
    const order = await client.readyOrder(name);
    const { csr } = csrFor([name]);
    const first = await client.post(order.json.finalize, { csr });
    const second = await client.post(order.json.finalize, { csr });
    expect(second.json).toEqual(first.json);
    expect(issuedFor(name)).toBe(1);
    const other = await client.post(order.json.finalize, csrFor([name]));
    expect({ status: other.status, type: other.json.type }).toEqual({
      status: 403,
      type: 'urn:ietf:params:acme:error:orderNotReady',
    });
  });

  it('answers processing with Retry-After when it takes long, and goes on meanwhile', async () => {
    const name = 'slow.example.com';
    const order = await client.readyOrder(name);
    let go: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    world.ra.beforeAnswer = () => held;
    const processing = await client.post(order.json.finalize, csrFor([name]));
    expect(processing.json).toMatchObject({ status: 'processing' });
    expect(processing.json.certificate).toBeUndefined();
    expect(processing.headers['retry-after']).toBe('3');
    go();
    expect((await client.post(String(order.headers.location), '')).json.status).toBe('valid');
    // The answer may find the order in processing and the run over: it then asks the RA again, which is idempotent.
    expect(issuedFor(name)).toBe(1);
  });

  it('waits for people, then follows what they decide', async () => {
    for (const [verdict, status] of [
      ['issue', 'valid'],
      ['reject', 'invalid'],
    ] as const) {
      const name = `${verdict}.example.com`;
      const order = await client.readyOrder(name);
      world.ra.verdict = 'review';
      expect((await client.post(order.json.finalize, csrFor([name]))).json.status).toBe(
        'processing',
      );
      expect((await client.post(String(order.headers.location), '')).json.status).toBe(
        'processing',
      );
      world.ra.verdict = verdict;
      expect((await client.post(String(order.headers.location), '')).json.status).toBe(status);
    }
  });

  it.each([
    ['deny', 'rejectedIdentifier', 'a.example is not allowed'],
    ['profile-changed', 'serverInternal', 'GV-PROFILE-CHANGED'],
  ] as const)(
    'ends in invalid when the verdict is %s — covers: T14',
    async (verdict, type, detail) => {
      const name = `${verdict}.example.com`;
      const order = await client.readyOrder(name);
      world.ra.verdict = verdict;
      const { json } = await client.post(order.json.finalize, csrFor([name]));
      expect(json).toMatchObject({
        status: 'invalid',
        error: { type: `urn:ietf:params:acme:error:${type}` },
      });
      expect(json.error.detail).toContain(detail);
      expect(issuedFor(name)).toBe(0);
    },
  );

  it('stays in processing while the CA cannot sign, and succeeds afterwards', async () => {
    const name = 'later.example.com';
    const order = await client.readyOrder(name);
    const { csr } = csrFor([name]);
    world.ra.verdict = 'unavailable';
    expect((await client.post(order.json.finalize, { csr })).json.status).toBe('processing');
    world.ra.verdict = 'issue';
    expect((await client.post(order.json.finalize, { csr })).json.status).toBe('valid');
  });
});

describe('a certification request that RA, policy or CA refuse', () => {
  it.each([
    ['BAD_CSR', 400, 'badCSR'],
    ['BAD_PUBLIC_KEY', 400, 'badPublicKey'],
    ['LINT_FAILED', 400, 'badCSR'],
    ['INVALID_ARGUMENT', 400, 'malformed'],
    ['REJECTED_IDENTIFIER', 400, 'rejectedIdentifier'],
    ['POLICY_DENIED', 403, 'rejectedIdentifier'],
    ['UNAUTHORIZED_IDENTIFIER', 403, 'unauthorized'],
  ] as const)(
    'with %s is refused at once, and the order waits for another',
    async (code, status, type) => {
      const name = `${code.toLowerCase().replaceAll('_', '-')}.example.com`;
      const order = await client.readyOrder(name);
      const url = String(order.headers.location);
      const before = world.ra.submissions.length;
      world.ra.refusal = new GigvaultError(code, 'That key is not taken.');
      const refused = await client.post(order.json.finalize, csrFor([name]));
      expectProblem(refused, status, type);
      expect(refused.json.detail).toContain('That key is not taken.');
      expect((await client.post(url, '')).json).toMatchObject({ status: 'ready' });
      expect((await client.post(url, '')).json.error).toBeUndefined();
      expect(world.ra.submissions).toHaveLength(before);
      world.ra.refusal = undefined;
      const accepted = await client.post(order.json.finalize, csrFor([name]));
      expect(accepted.json.status).toBe('valid');
      expect(issuedFor(name)).toBe(1);
    },
  );

  it('is in the event log, by its hash and why', async () => {
    const order = await client.readyOrder('logged.example.com');
    world.ra.refusal = new GigvaultError('BAD_PUBLIC_KEY', 'no P-521');
    await client.post(order.json.finalize, csrFor(['logged.example.com']));
    const { rows } = await world.pool.query<{ data: string }>(
      `SELECT convert_from(data, 'UTF8') AS data FROM outbox WHERE type = 'order.refused' AND subject = $1`,
      [String(order.headers.location).split('/').at(-1)],
    );
    expect(JSON.parse(rows[0]!.data)).toMatchObject({
      code: 'BAD_PUBLIC_KEY',
      message: 'no P-521',
      certificationRequestSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it.each(['before', 'after'] as const)(
    'leaves the order ready, also when the process dies %s that is written down — covers: T5',
    async (moment) => {
      const name = `refused-${moment}.example.com`;
      const order = await client.readyOrder(name);
      world.ra.refusal = new GigvaultError('BAD_PUBLIC_KEY', 'no');
      installFaultHook((at, when) => {
        if (at === 'enroll.refuse' && when === moment) throw new Error('the power went');
      });
      const failed = await client.post(order.json.finalize, csrFor([name]));
      expectProblem(failed, 500, 'serverInternal');
      installFaultHook(undefined);
      world.ra.refusal = undefined;
      const accepted = await client.post(order.json.finalize, csrFor([name]));
      expect(accepted.json.status).toBe('valid');
      expect(issuedFor(name)).toBe(1);
    },
  );

  it('while another is being issued does not touch the order — covers: T1', async () => {
    const name = 'race.example.com';
    const order = await client.readyOrder(name);
    const { csr } = csrFor([name]);
    expect((await client.post(order.json.finalize, { csr })).json.status).toBe('valid');
    world.ra.refusal = new GigvaultError('BAD_PUBLIC_KEY', 'no');
    expect((await client.post(order.json.finalize, { csr })).json.status).toBe('valid');
    expectProblem(await client.post(order.json.finalize, csrFor([name])), 403, 'orderNotReady');
    expect(issuedFor(name)).toBe(1);
  });

  it('is submitted all the same when they cannot be asked first', async () => {
    const name = 'unasked.example.com';
    const order = await client.readyOrder(name);
    world.ra.refusal = new GigvaultError('UNAVAILABLE', 'ra restarts');
    expect((await client.post(order.json.finalize, csrFor([name]))).json.status).toBe('valid');
  });
});

describe('a failure', () => {
  it.each([
    ['enroll.finalize', 'before', 1],
    ['enroll.finalize', 'after', 1],
    ['enroll.order-valid', 'before', 1],
    ['enroll.order-valid', 'after', 1],
  ] as const)(
    '%s %s costs nothing but a repeat: the same request, one certificate — covers: T5',
    async (step, moment, certificates) => {
      const name = `${step}-${moment}.example.com`;
      const order = await client.readyOrder(name);
      const { csr } = csrFor([name]);
      installFaultHook((at, when) => {
        if (at === step && when === moment) throw new Error('the power went');
      });
      const failed = await client.post(order.json.finalize, { csr });
      expect({ status: failed.status, type: failed.json.type }).toEqual({
        status: 500,
        type: 'urn:ietf:params:acme:error:serverInternal',
      });
      expect(failed.text).not.toContain('power');
      installFaultHook(undefined);
      expect((await client.post(order.json.finalize, { csr })).json.status).toBe('valid');
      expect(issuedFor(name)).toBe(certificates);
    },
  );

  it('after which nobody asks is repaired by the next start — covers: T5', async () => {
    const name = 'resumed.example.com';
    const order = await client.readyOrder(name);
    installFaultHook((at, when) => {
      if (at === 'enroll.finalize' && when === 'after') throw new Error('the power went');
    });
    await client.post(order.json.finalize, csrFor([name]));
    installFaultHook(undefined);
    expect(issuedFor(name)).toBe(0);
    await world.startWorkers();
    await pollUntil(String(order.headers.location), 'valid');
    expect(issuedFor(name)).toBe(1);
  });
});
