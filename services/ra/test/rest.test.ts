import { type Principal, permissionsOf, type Role } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { RefusedOperation } from '@gigvault/http/admit';
import { runOperation } from '@gigvault/http/operation';
import type { HttpReply, HttpRequest, Operation } from '@gigvault/http/route';
import { systemClock } from '@gigvault/time/clock';
import { toPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { enrolmentRoutes } from '../src/api/http.ts';
import type { RequestReply } from '../src/api/http-schemas.ts';
import {
  codeOf,
  csrFor,
  dns,
  enrolmentApi,
  judgement,
  type RaDatabase,
  startRaDatabase,
  unavailable,
} from './fixtures.ts';

const PEM = toPem('CERTIFICATE REQUEST', csrFor([dns('a.localhost')], 'a.localhost'));
const DAY = 86_400_000;

let ra: RaDatabase;
let api: ReturnType<typeof enrolmentApi>;
let operations: Operation[];

beforeAll(async () => {
  ra = await startRaDatabase();
});
beforeEach(() => {
  api = enrolmentApi(ra.pool, systemClock);
  operations = enrolmentRoutes(api) as Operation[];
});
afterAll(() => ra.database.stop());

interface Call {
  readonly as?: string;
  readonly roles?: readonly Role[];
  readonly params?: Record<string, string>;
  readonly query?: Record<string, string>;
  readonly body?: object;
  readonly headers?: Record<string, string>;
}

/** What somebody asked for and may not. */
const forbidden: string[] = [];
const refused: RefusedOperation[] = [];

/** Runs an operation as the host does: authenticated, authorised, validated. */
function call(
  operationId: string,
  { as = 'user:1', roles = ['operator'], params = {}, query = {}, body = {}, headers = {} }: Call,
): Promise<HttpReply> {
  const found = operations.find((one) => one.operationId === operationId)!;
  const principal: Principal = {
    actor: as,
    name: as.replace('user:', 'name of '),
    roles,
    permissions: permissionsOf(roles),
    tenantId: 'default',
  };
  const request = {
    method: found.method,
    params,
    query,
    body: Buffer.from(JSON.stringify(body)),
    headers: { 'content-type': 'application/json', ...headers },
    signal: new AbortController().signal,
  } as unknown as HttpRequest;
  return runOperation(found, request, {
    authenticator: { authenticate: async () => principal },
    tellForbidden: async (_principal, { operation }) => void forbidden.push(operation),
    tellRefused: async (_principal, asked) => void refused.push(asked),
  });
}

const replyBody = (reply: HttpReply) => reply.body as RequestReply;

describe('POST /certificates', () => {
  it('answers 201 with certificate and chain in PEM', async () => {
    const reply = await call('createCertificate', {
      body: { certificationRequest: PEM, validity: '10d', reason: 'test' },
    });
    expect(reply.status).toBe(201);
    const body = replyBody(reply);
    expect(reply.headers?.['location']).toBe(`/service/api/v1/csrs/${body.requestId}`);
    expect(body).toMatchObject({
      status: 'issued',
      names: ['a.localhost'],
      issuerId: 'issuing',
      requester: 'user:1',
      protocol: 'rest',
    });
    expect(body.certificate).toBe(toPem('CERTIFICATE', Buffer.from('leaf')));
    expect(body.chain?.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(Math.abs((api.ca.calls[0]?.notAfter ?? 0) - systemClock.now() - 10 * DAY)).toBeLessThan(
      10_000,
    );
    for (const [status, schema] of Object.entries(operations[0]!.replies)) {
      if (Number(status) === reply.status)
        expect(schema.safeParse(JSON.parse(JSON.stringify(reply.body))).success).toBe(true);
    }
  });

  it('answers 202 when people have to approve, and 403 with the rules when policy denies', async () => {
    api.policy.judgement = judgement('review');
    const reply = await call('createCertificate', { body: { certificationRequest: PEM } });
    expect(reply.status).toBe(202);
    expect(replyBody(reply)).toMatchObject({ status: 'pending', approvalsNeeded: 1 });
    expect(replyBody(reply).certificate).toBeUndefined();
    api.policy.judgement = judgement('deny');
    const denied = call('createCertificate', { body: { certificationRequest: PEM } });
    await expect(denied).rejects.toMatchObject({
      code: 'POLICY_DENIED',
      message: 'policy "test" refused this certificate: dnsNames[0] "a.localhost": deny',
      problems: [{ pointer: '/certificationRequest', message: 'dnsNames[0] "a.localhost": deny' }],
      details: { policy: 'test', policy_hash: 'bb', request_id: expect.any(String) },
    });
  });

  it('makes one certificate for one Idempotency-Key of one principal', async () => {
    const submit = (as: string, key?: string) =>
      call('createCertificate', {
        as,
        body: { certificationRequest: PEM },
        headers: key === undefined ? {} : { 'idempotency-key': key },
      }).then(replyBody);
    const first = await submit('user:1', 'key');
    expect((await submit('user:1', 'key')).serialNumber).toBe(first.serialNumber);
    expect(first.requestId).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect((await submit('user:2', 'key')).serialNumber).not.toBe(first.serialNumber);
    expect((await submit('user:1')).serialNumber).not.toBe(first.serialNumber);
    expect(await codeOf(submit('user:1', ''))).toBe('INVALID_ARGUMENT');
  });

  it('passes on that the CA is away, and issues when the client comes again', async () => {
    api.ca.failWith = unavailable();
    const again = () =>
      call('createCertificate', {
        as: 'user:away',
        body: { certificationRequest: PEM },
        headers: { 'idempotency-key': 'k' },
      });
    expect(await codeOf(again())).toBe('UNAVAILABLE');
    api.ca.failWith = undefined;
    expect((await again()).status).toBe(201);
  });

  it('tells why a request failed for good', async () => {
    api.ca.failWith = new GigvaultError('LINT_FAILED', 'e_rule: broken');
    const failed = call('createCertificate', { body: { certificationRequest: PEM } });
    await expect(failed).rejects.toMatchObject({ code: 'LINT_FAILED', message: 'e_rule: broken' });
  });

  it.each([
    ['no body', {}, 'INVALID_ARGUMENT'],
    ['what is not PEM', { certificationRequest: 'hello' }, 'INVALID_ARGUMENT'],
    ['two requests', { certificationRequest: PEM + PEM }, 'INVALID_ARGUMENT'],
    ['an odd validity', { certificationRequest: PEM, validity: '47 days' }, 'INVALID_ARGUMENT'],
    [
      'roles in the body (covers: T63)',
      { certificationRequest: PEM, roles: ['admin'] },
      'INVALID_ARGUMENT',
    ],
    [
      'a requester in the body (covers: T63)',
      { certificationRequest: PEM, requester: 'user:9' },
      'INVALID_ARGUMENT',
    ],
  ])('refuses %s', async (_what, body, code) => {
    expect(await codeOf(call('createCertificate', { body }))).toBe(code);
    expect(api.ca.calls).toEqual([]);
  });

  it('tells policy the roles of the token', async () => {
    await call('submitCsr', { roles: ['requester'], body: { certificationRequest: PEM } });
    expect(api.policy.seen[0]?.roles).toEqual(['requester']);
  });

  it('is for those who may', async () => {
    expect(
      await codeOf(
        call('createCertificate', { roles: ['auditor'], body: { certificationRequest: PEM } }),
      ),
    ).toBe('FORBIDDEN');
    expect(
      await codeOf(call('approveCsr', { roles: ['requester'], params: { requestId: 'x' } })),
    ).toBe('FORBIDDEN');
  });
});

describe('/csrs', () => {
  async function pending(as = 'user:1', roles: readonly Role[] = ['requester']): Promise<string> {
    api.policy.judgement = judgement('review');
    return replyBody(await call('submitCsr', { as, roles, body: { certificationRequest: PEM } }))
      .requestId;
  }

  it('shows requesters their own requests, and others all of them', async () => {
    const requestId = await pending('user:own');
    const get = (as: string, roles: readonly Role[]) =>
      codeOf(call('getCsr', { as, roles, params: { requestId } }));
    expect(await get('user:own', ['requester'])).toMatchObject({
      status: 200,
      body: { requestId, reason: '' },
    });
    expect(await get('user:other', ['requester'])).toBe('REQUEST_NOT_FOUND');
    for (const role of ['operator', 'approver', 'auditor', 'admin'] as const)
      expect(await get('user:other', [role])).toMatchObject({ status: 200 });
    const list = async (as: string, roles: readonly Role[]) =>
      (
        (await call('listCsrs', { as, roles, query: { limit: '200', status: 'pending' } }))
          .body as { items: RequestReply[] }
      ).items;
    expect((await list('user:own', ['requester'])).map((item) => item.requestId)).toEqual([
      requestId,
    ]);
    expect(await list('user:other', ['requester'])).toEqual([]);
    expect((await list('user:other', ['approver'])).map((item) => item.requestId)).toContain(
      requestId,
    );
  });

  it('approve issues, reject ends, and nobody decides on their own', async () => {
    const decide = (verb: 'approve' | 'reject', requestId: string, as: string) =>
      codeOf(call(`${verb}Csr`, { as, params: { requestId }, body: { comment: 'looked at' } }));
    const first = await pending('user:1', ['operator']);
    expect(await decide('approve', first, 'user:1')).toBe('SELF_APPROVAL');
    expect(await decide('approve', first, 'user:2')).toMatchObject({
      status: 200,
      body: { status: 'issued', votes: [{ comment: 'looked at' }] },
    });
    expect(await decide('reject', first, 'user:3')).toBe('REQUEST_NOT_PENDING');
    const second = await pending();
    expect(await decide('reject', second, 'user:2')).toMatchObject({
      body: { status: 'rejected' },
    });
    expect(await decide('approve', 'nothing', 'user:2')).toBe('REQUEST_NOT_FOUND');
    expect(refused).toEqual([
      {
        operation: 'approveCsr',
        fields: { requestId: first },
        reason: 'Nobody decides on their own request; ask somebody else.',
      },
    ]);
  });

  it('names who asked and who voted, for people who may not list users', async () => {
    const requestId = await pending('user:1');
    const votedOn = await call('rejectCsr', { as: 'user:2', params: { requestId } });
    const names = {
      requester: 'user:1',
      requesterName: 'name of 1',
      votes: [{ actor: 'user:2', actorName: 'name of 2' }],
    };
    expect(votedOn.body).toMatchObject(names);
    const listed = await call('listCsrs', { as: 'user:2', query: { limit: '1' } });
    expect((listed.body as { items: RequestReply[] }).items).toMatchObject([names]);
  });

  it('leaves out the names of what was asked before they were kept', async () => {
    const requestId = await pending('user:1');
    await call('rejectCsr', { as: 'user:2', params: { requestId } });
    await ra.pool.query('UPDATE enrolment_request SET requester_name = NULL');
    await ra.pool.query('UPDATE vote SET actor_name = NULL');
    const body = replyBody(await call('getCsr', { params: { requestId } }));
    expect(body).not.toHaveProperty('requesterName');
    expect(body.votes[0]).not.toHaveProperty('actorName');
  });

  it('refuses unknown filters', async () => {
    expect(await codeOf(call('listCsrs', { query: { status: 'all' } }))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(call('listCsrs', { query: { limit: '0' } }))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(call('listCsrs', { query: { owner: 'x' } }))).toBe('INVALID_ARGUMENT');
  });
});
