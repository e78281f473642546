import { generateKeyPairSync } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { systemClock } from '@gigvault/time/clock';
import { afterEach, describe, expect, it } from '@jest/globals';
import { checkRequest } from '../src/enrolment/check-request.ts';
import { readRequest } from '../src/enrolment/read-requests.ts';
import { submitRequest } from '../src/enrolment/submit-request.ts';
import { useEnrolmentWorld } from './enrolment-world.ts';
import { codeOf, csrFor, dns, eventsOf, judgement, submission, TLS_SERVER } from './fixtures.ts';

const DAY = 86_400_000;

const world = useEnrolmentWorld();

const { prove } = world;

describe('submitting', () => {
  it('issues at once what policy allows, and tells the log who asked for what and why it was allowed (covers: G18, G83)', async () => {
    const request = submission();
    const issued = await submitRequest(world.api, request);
    expect(issued).toMatchObject({
      status: 'issued',
      issuerId: 'issuing',
      commonName: 'a.localhost',
      approvalsNeeded: 0,
      errorCode: '',
    });
    expect(issued.serialNumber).toBe(world.api.ca.certificates.get(request.requestId));
    expect(issued.certificate.toString()).toBe('leaf');
    expect(issued.chain.map(String)).toEqual(['issuer', 'root']);
    expect(world.api.ca.calls).toEqual([
      {
        requestId: request.requestId,
        issuerId: 'issuing',
        profile: 'tls-server',
        profileHash: TLS_SERVER.profileHash,
        certificationRequest: request.certificationRequest,
        subjectAltName: [dns('a.localhost')],
        commonName: 'a.localhost',
        notBefore: 0,
        notAfter: 0,
        requester: 'user:1',
        tenantId: 'default',
        protocol: 'rest',
      },
    ]);
    expect(world.api.policy.seen[0]).toMatchObject({
      keyType: 'ec-p256',
      validity: 47 * DAY,
      roles: ['operator'],
    });
    const [submitted, approved] = await eventsOf(world.api.eventLog, request.requestId);
    expect(submitted).toMatchObject({
      type: 'enrolment.submitted',
      actor: 'user:1',
      data: { names: ['a.localhost'], decision: { policy: 'test' } },
    });
    expect(approved).toMatchObject({
      type: 'enrolment.approved',
      actor: 'service:policy',
      data: { policyHash: 'bb' },
    });
  });

  it('issues one certificate for 64 concurrent submissions of one request (covers: T1)', async () => {
    const request = submission();
    const results = await Promise.all(
      Array.from({ length: 64 }, () => submitRequest(world.api, request)),
    );
    expect(new Set(results.map(({ serialNumber }) => serialNumber)).size).toBe(1);
    expect(results.every(({ status }) => status === 'issued')).toBe(true);
    expect(world.api.ca.calls.length).toBe(1);
    expect(await world.eventTypes(request.requestId)).toEqual([
      'enrolment.submitted',
      'enrolment.approved',
    ]);
  });

  it('gives the same certificate to whoever repeats the call (covers: T2, T5)', async () => {
    const request = submission();
    const first = await submitRequest(world.api, request);
    const again = await submitRequest(world.api, request);
    expect(again.serialNumber).toBe(first.serialNumber);
    expect(world.api.ca.calls).toHaveLength(1);
  });

  it('does not lend a request id to another request', async () => {
    const request = submission();
    await submitRequest(world.api, request);
    expect(await codeOf(submitRequest(world.api, { ...request, requester: 'user:2' }))).toBe(
      'ALREADY_EXISTS',
    );
    expect(await codeOf(submitRequest(world.api, { ...request, profile: 'tls-client' }))).toBe(
      'ALREADY_EXISTS',
    );
    const other = csrFor([dns('b.localhost')]);
    expect(
      await codeOf(submitRequest(world.api, { ...request, certificationRequest: other })),
    ).toBe('ALREADY_EXISTS');
  });

  it('stores a denial with its rules, and asks the CA for nothing', async () => {
    world.api.policy.judgement = judgement('deny');
    const request = submission();
    const denied = await submitRequest(world.api, request);
    expect(denied).toMatchObject({ status: 'denied', decision: judgement('deny').decision });
    expect(world.api.ca.calls).toEqual([]);
    expect(await world.eventTypes(request.requestId)).toEqual([
      'enrolment.submitted',
      'enrolment.denied',
    ]);
  });

  it('stores nothing when the step before the commit fails', async () => {
    installFaultHook((step, moment) => {
      if (step === 'ra.request' && moment === 'before') throw new Error('power is gone');
    });
    const request = submission();
    await expect(submitRequest(world.api, request)).rejects.toThrow('power is gone');
    installFaultHook(undefined);
    expect(await codeOf(readRequest(world.api.requests, request.requestId))).toBe(
      'REQUEST_NOT_FOUND',
    );
    expect(await world.eventTypes(request.requestId)).toEqual([]);
    expect((await submitRequest(world.api, request)).status).toBe('issued');
  });

  it('pins the validity that was asked for', async () => {
    const notAfter = systemClock.now() + 10 * DAY;
    await submitRequest(world.api, submission({ notAfter }));
    expect(world.api.ca.calls[0]?.notAfter).toBe(notAfter);
    expect(Math.abs((world.api.policy.seen[0]?.validity ?? 0) - 10 * DAY)).toBeLessThan(10_000);
    expect(
      await codeOf(submitRequest(world.api, submission({ notAfter: systemClock.now() - 1 }))),
    ).toBe('INVALID_ARGUMENT');
  });
});

describe('checking', () => {
  it('asks policy and the CA, and keeps nothing', async () => {
    const request = submission();
    await checkRequest(world.api, request);
    expect(world.api.policy.seen).toHaveLength(1);
    expect(world.api.ca.calls).toEqual([]);
    expect(await world.eventTypes(request.requestId)).toEqual([]);
    await submitRequest(world.api, request);
    expect(world.api.ca.checked).toEqual(world.api.ca.calls);
  });

  it('passes what people will decide', async () => {
    world.api.policy.judgement = judgement('review');
    await checkRequest(world.api, submission());
    expect(world.api.ca.checked).toHaveLength(1);
  });

  it("refuses what policy denies, with the rules' reasons", async () => {
    world.api.policy.judgement = judgement('deny');
    await expect(checkRequest(world.api, submission())).rejects.toMatchObject({
      code: 'POLICY_DENIED',
      message: expect.stringContaining('a.localhost'),
    });
    expect(world.api.ca.checked).toEqual([]);
  });

  it('refuses what the CA would refuse (covers: T29)', async () => {
    const request = submission();
    world.api.ca.failWith = new GigvaultError('BAD_PUBLIC_KEY', 'This key was compromised.');
    expect(await codeOf(checkRequest(world.api, request))).toBe('BAD_PUBLIC_KEY');
    expect(await codeOf(readRequest(world.api.requests, request.requestId))).toBe(
      'REQUEST_NOT_FOUND',
    );
  });
});

describe('certification requests that are refused', () => {
  /** The code of the refusal, which a check gives as well. */
  const submit = async (change: Parameters<typeof submission>[0]) => {
    const request = submission(change);
    const code = await codeOf(submitRequest(world.api, request));
    expect(await codeOf(checkRequest(world.api, request))).toBe(code);
    return code;
  };
  afterEach(() => expect(world.api.ca.calls).toEqual([]));

  it('malformed or huge ones (covers: T22, T23)', async () => {
    expect(await submit({ certificationRequest: Buffer.from('3080', 'hex') })).toBe('BAD_CSR');
    expect(await submit({ certificationRequest: Buffer.alloc(1_000_000, 0x30) })).toBe('BAD_CSR');
    const names = Array.from({ length: 101 }, (_, index) => dns(`n${index}.localhost`));
    expect(await submit({ certificationRequest: csrFor(names) })).toBe('BAD_CSR');
  });

  it('ones without proof of possession (covers: T30)', async () => {
    const broken = Buffer.from(csrFor([dns('a.localhost')]));
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
    expect(await submit({ certificationRequest: broken })).toBe('BAD_CSR');
  });

  it('ones with bad names (covers: T24, T25, T26)', async () => {
    expect(await submit({ certificationRequest: csrFor([dns('bad_name.example')]) })).toBe(
      'REJECTED_IDENTIFIER',
    );
    expect(
      await submit({
        certificationRequest: csrFor([
          { type: 'uri', value: 'spiffe://gigvault.local/service/ca' },
        ]),
      }),
    ).toBe('REJECTED_IDENTIFIER');
    expect(
      await submit({ certificationRequest: csrFor([dns('a.localhost')], 'b.localhost') }),
    ).toBe('BAD_CSR');
    expect(await submit({ certificationRequest: csrFor([]) })).toBe('BAD_CSR');
  });

  it('ones with a key that the profile does not take (covers: T28)', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    expect(
      await submit({ certificationRequest: csrFor([dns('a.localhost')], undefined, privateKey) }),
    ).toBe('BAD_PUBLIC_KEY');
  });

  it('ones for profiles that are unknown, internal or have changed (covers: T14, L2)', async () => {
    expect(await submit({ profile: 'nothing' })).toBe('UNKNOWN_PROFILE');
    expect(await submit({ profile: 'service' })).toBe('UNKNOWN_PROFILE');
    expect(await submit({ profileHash: 'cc'.repeat(32) })).toBe('PROFILE_CHANGED');
  });

  it('ones without id or requester', async () => {
    expect(await submit({ requestId: 'x' })).toBe('INVALID_ARGUMENT');
    expect(await submit({ requester: '' })).toBe('INVALID_ARGUMENT');
  });
});

describe('requests of the protocol acme', () => {
  const acme = (change: Parameters<typeof submission>[0]) =>
    submission({ protocol: 'acme', requester: 'acme:1', roles: [], ...change });
  const two = () => csrFor([dns('A.localhost'), dns('b.localhost')]);

  it('are issued when every name is proved, whatever the order and case of names (covers: T32)', async () => {
    const authorizationIds = [
      await prove('acme:1', 'a.localhost'),
      await prove('acme:1', 'b.localhost'),
    ];
    const subjectAltName = [dns('b.localhost'), dns('a.localhost')];
    const issued = await submitRequest(
      world.api,
      acme({ certificationRequest: two(), authorizationIds, subjectAltName }),
    );
    expect(issued.status).toBe('issued');
    expect(world.api.ca.calls[0]?.subjectAltName).toEqual(subjectAltName);
  });

  it.each([
    ['a missing name', async () => [await prove('acme:1', 'a.localhost')]],
    [
      'the same name twice',
      async () => [await prove('acme:1', 'a.localhost'), await prove('acme:1', 'a.localhost')],
    ],
    [
      'evidence about another name',
      async () => [
        await prove('acme:1', 'a.localhost'),
        await prove('acme:1', 'b.localhost', 'a.localhost'),
      ],
    ],
    [
      'an expired authorization',
      async () => [
        await prove('acme:1', 'a.localhost'),
        await prove('acme:1', 'b.localhost', 'b.localhost', 1),
      ],
    ],
    [
      "somebody else's authorization",
      async () => [await prove('acme:1', 'a.localhost'), await prove('acme:2', 'b.localhost')],
    ],
    ['no authorization', async () => []],
    ['ids that are none', async () => ['x', "'--"]],
  ])('are refused with %s, each name on its own', async (_what, authorizations) => {
    const request = acme({ certificationRequest: two(), authorizationIds: await authorizations() });
    expect(await codeOf(submitRequest(world.api, request))).toBe('UNAUTHORIZED_IDENTIFIER');
    expect(world.api.ca.calls).toEqual([]);
    expect(world.api.policy.seen).toEqual([]);
  });

  it('are refused with an authorization that has no evidence', async () => {
    const id = await prove('acme:1', 'a.localhost');
    await world.pool.query('DELETE FROM validation_evidence WHERE authorization_id = $1', [id]);
    const request = acme({
      certificationRequest: csrFor([dns('a.localhost')]),
      authorizationIds: [id],
    });
    expect(await codeOf(submitRequest(world.api, request))).toBe('UNAUTHORIZED_IDENTIFIER');
  });

  it('are refused when the names are not those of the order', async () => {
    const authorizationIds = [
      await prove('acme:1', 'a.localhost'),
      await prove('acme:1', 'b.localhost'),
    ];
    const submit = (names: string[], order: string[]) =>
      codeOf(
        submitRequest(
          world.api,
          acme({
            certificationRequest: csrFor(names.map(dns)),
            authorizationIds,
            subjectAltName: order.map(dns),
          }),
        ),
      );
    expect(await submit(['a.localhost'], ['a.localhost', 'b.localhost'])).toBe('BAD_CSR');
    expect(await submit(['a.localhost', 'b.localhost'], ['a.localhost'])).toBe('BAD_CSR');
  });
});
