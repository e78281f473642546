import { connect } from 'node:tls';
import { eventually } from '@gigvault/testkit/eventually';
import { credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { protoPath } from 'grpc-health-check';
import {
  type Answer,
  type Fields,
  type GrpcKeystore,
  grpcKeystore,
  type KeystoreClient,
  OPERATIONS,
  type OperationName,
  type Outcome,
  restKeystore,
} from './keystore-clients.ts';
import type { RestClient } from './rest-client.ts';
import type { SharedPki } from './use-pki.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const DATA = base64('the same on every protocol');

/** What earlier steps of the same protocol were answered. */
type Earlier = (step: string) => Answer;

interface Step {
  readonly operation: OperationName;
  readonly name: string;
  /** What is asked; ids that begin with `$` are each protocol's own. */
  readonly ask: Fields | ((earlier: Earlier) => Fields);
  /** A code, or what the answer has among others. */
  readonly expected: string | Answer;
  readonly as?: 'nobody' | 'requester';
}

const made = { keyId: '$ec', keyType: 'ec-p256', curve: 'P-256', usage: 'sign', state: 'active' };

/** Each operation of X7, what it does and what it refuses. */
const STEPS: readonly Step[] = [
  step('Health', 'says ok', {}, { status: 'ok' }, 'nobody'),
  step('Version', 'says what runs', {}, { name: 'gigvault' }, 'nobody'),
  step('ListBackends', 'lists them', {}, {}),
  step('GetBackendInfo', 'shows one', { name: 'pkcs8' }, { default: true, healthy: true }),
  step('GetBackendInfo', 'knows no other', { name: 'hsm' }, 'NOT_FOUND'),
  step('GenerateKey', 'makes one', { keyId: '$ec', keyType: 'ecdsa', curve: 'P-256' }, made),
  step(
    'GenerateKey',
    'makes AES',
    { keyId: '$aes', keyType: 'aes', keySize: 256 },
    { usage: 'encrypt' },
  ),
  step(
    'GenerateKey',
    'makes ML-DSA',
    { keyId: '$pq', keyType: 'ml-dsa-44' },
    { keyType: 'ml-dsa-44' },
  ),
  step('GenerateKey', 'makes HMAC', { keyId: '$mac', keyType: 'hmac-sha256' }, { usage: 'sign' }),
  step('GenerateKey', 'makes one once', { keyId: '$ec', keyType: 'ec-p256' }, 'ALREADY_EXISTS'),
  step('GenerateKey', 'checks the id', { keyId: 'a_b', keyType: 'ec-p256' }, 'INVALID_KEY_ID'),
  step('GenerateKey', 'checks the type', { keyType: 'dsa' }, 'INVALID_KEY_TYPE'),
  step('GenerateKey', 'checks the size', { keyType: 'rsa', keySize: 1024 }, 'INVALID_KEY_SIZE'),
  step('GenerateKey', 'checks the curve', { keyType: 'ecdsa', curve: 'x' }, 'INVALID_CURVE'),
  step(
    'GenerateKey',
    'checks the hash',
    { keyType: 'hmac', hash: 'MD5' },
    'INVALID_HASH_ALGORITHM',
  ),
  step(
    'GenerateKey',
    'checks the usage',
    { keyType: 'ec-p256', usage: 'encrypt' },
    'INVALID_ARGUMENT',
  ),
  step(
    'GenerateKey',
    'makes one for later',
    { keyId: '$later', keyType: 'ec-p256', state: 'pre-active' },
    { state: 'pre-active' },
  ),
  step(
    'GenerateKey',
    'checks the state',
    { keyType: 'ec-p256', state: 'suspended' },
    'INVALID_ARGUMENT',
  ),
  step('GenerateKey', 'checks the backend', { keyType: 'ec-p256', backend: 'hsm' }, 'NOT_FOUND'),
  step(
    'GenerateKey',
    'keeps services’ ids',
    { keyId: 'ca-x', keyType: 'ec-p256' },
    'INVALID_ARGUMENT',
  ),
  step('GenerateKey', 'asks who it is', { keyType: 'ec-p256' }, 'UNAUTHENTICATED', 'nobody'),
  step('GenerateKey', 'asks for the permission', { keyType: 'ec-p256' }, 'FORBIDDEN', 'requester'),
  step('GetKey', 'shows it', { keyId: '$ec' }, made),
  step('GetKey', 'does not know others', { keyId: 'none' }, 'KEY_NOT_FOUND'),
  step('GetKey', 'checks the id', { keyId: 'a.b' }, 'INVALID_KEY_ID'),
  step('ListKeys', 'checks the backend', { backend: 'hsm' }, 'NOT_FOUND'),
  step('ListKeys', 'lists them', { limit: 200, state: 'active', backend: 'pkcs8' }, {}),
  step('ListKeys', 'lists those for later', { state: 'pre-active' }, {}),
  step('ListKeys', 'checks the limit', { limit: 201 }, 'INVALID_ARGUMENT'),
  step('ListKeys', 'checks the state', { state: 'gone' }, 'INVALID_ARGUMENT'),
  step('ListKeys', 'checks the cursor', { cursor: 'a/b' }, 'INVALID_KEY_ID'),
  step(
    'Sign',
    'signs',
    { keyId: '$ec', data: DATA },
    { version: 1, algorithm: 'ecdsa-with-SHA256' },
  ),
  step('Sign', 'signs with ML-DSA', { keyId: '$pq', data: DATA }, { algorithm: 'ML-DSA-44' }),
  step('Sign', 'makes a MAC', { keyId: '$mac', data: DATA }, { algorithm: 'hmacWithSHA256' }),
  step(
    'Sign',
    'checks the format',
    { keyId: '$ec', data: DATA, format: 'pem' },
    'INVALID_ARGUMENT',
  ),
  step(
    'Sign',
    'checks the hash',
    { keyId: '$ec', data: DATA, hash: 'SHA-1' },
    'INVALID_HASH_ALGORITHM',
  ),
  step('Sign', 'wants data', { keyId: '$ec', data: '' }, 'INVALID_ARGUMENT'),
  step('Sign', 'not with a key that encrypts', { keyId: '$aes', data: DATA }, 'KEY_USE_REFUSED'),
  step('Sign', 'asks who it is', { keyId: '$ec', data: DATA }, 'UNAUTHENTICATED', 'nobody'),
  step('Sign', 'not with a key for later', { keyId: '$later', data: DATA }, 'KEY_USE_REFUSED'),
  step(
    'Verify',
    'not with a key for later',
    { keyId: '$later', data: DATA, signature: DATA },
    'KEY_USE_REFUSED',
  ),
  step('RotateKey', 'not a key for later', { keyId: '$later' }, 'KEY_STATE_REFUSED'),
  step('DeleteKey', 'takes a key for later away', { keyId: '$later' }, { state: 'pre-active' }),
  step('Verify', 'verifies', signed('$ec', 'Sign signs'), { valid: true, version: 1 }),
  step('Verify', 'verifies ML-DSA', signed('$pq', 'Sign signs with ML-DSA'), { valid: true }),
  step('Verify', 'verifies a MAC', signed('$mac', 'Sign makes a MAC'), { valid: true }),
  step('Verify', 'says no', { keyId: '$ec', data: DATA, signature: DATA }, { valid: false }),
  step(
    'Verify',
    'knows no other version',
    { keyId: '$ec', data: DATA, signature: DATA, version: 7 },
    'KEY_NOT_FOUND',
  ),
  step(
    'Encrypt',
    'encrypts',
    { keyId: '$aes', plaintext: DATA, additionalData: DATA },
    { algorithm: 'AES-256-GCM', version: 1 },
  ),
  step('Encrypt', 'wants a plaintext', { keyId: '$aes', plaintext: '' }, 'INVALID_ARGUMENT'),
  step(
    'Encrypt',
    'not with a key that signs',
    { keyId: '$ec', plaintext: DATA },
    'KEY_USE_REFUSED',
  ),
  step('RotateKey', 'makes a version', { keyId: '$aes', version: 1 }, { version: 2 }),
  step('RotateKey', 'makes it once', { keyId: '$aes', version: 1 }, 'CONFLICT'),
  step('Decrypt', 'decrypts by the earlier version', encrypted(DATA), {
    plaintext: DATA,
    version: 1,
  }),
  step('Decrypt', 'wants the additional data', encrypted(''), 'DECRYPTION_FAILED'),
  step('Decrypt', 'wants a ciphertext', { keyId: '$aes', ciphertext: DATA }, 'DECRYPTION_FAILED'),
  step(
    'Decrypt',
    'asks for the permission',
    { keyId: '$aes', ciphertext: DATA },
    'FORBIDDEN',
    'requester',
  ),
  step('DeleteKey', 'takes it out of use', { keyId: '$ec' }, { state: 'deactivated' }),
  step('DeleteKey', 'does not know others', { keyId: 'none' }, 'KEY_NOT_FOUND'),
  step('Sign', 'not afterwards', { keyId: '$ec', data: DATA }, 'KEY_USE_REFUSED'),
  step('Verify', 'verifies afterwards', signed('$ec', 'Sign signs'), { valid: true }),
  step('RotateKey', 'not afterwards', { keyId: '$ec' }, 'KEY_STATE_REFUSED'),
];

function step(
  operation: OperationName,
  name: string,
  ask: Step['ask'],
  expected: Step['expected'],
  as?: Step['as'],
): Step {
  return { operation, name, ask, expected, ...(as === undefined ? {} : { as }) };
}

function signed(keyId: string, by: string): Step['ask'] {
  return (earlier) => ({ keyId, data: DATA, signature: String(earlier(by)['signature']) });
}

function encrypted(additionalData: string): Step['ask'] {
  return (earlier) => ({
    keyId: '$aes',
    ciphertext: String(earlier('Encrypt encrypts')['ciphertext']),
    additionalData,
  });
}

/** One protocol's way through the steps. */
class Walk {
  readonly #answers = new Map<string, Answer>();

  constructor(
    readonly protocol: string,
    private readonly client: KeystoreClient,
  ) {}

  async take({ operation, name, ask }: Step, authorization: string | undefined): Promise<Outcome> {
    const earlier: Earlier = (of) => this.#answers.get(of) ?? {};
    const fields = Object.entries(typeof ask === 'function' ? ask(earlier) : ask);
    const own = Object.fromEntries(fields.map(([field, value]) => [field, this.#own(value)]));
    const outcome = await this.client(operation, own, authorization);
    if ('done' in outcome) this.#answers.set(`${operation} ${name}`, outcome.done);
    return this.#comparable(outcome) as Outcome;
  }

  #own(value: string | number): string | number {
    return typeof value === 'string' ? value.replace('$', `${this.protocol}-`) : value;
  }

  /** Without what is another one each time. */
  #comparable(value: unknown, field = ''): unknown {
    if (typeof value === 'string') {
      if (/^(signature|ciphertext|publicKey(Pem)?)$/.test(field)) return `a ${field.slice(0, 9)}`;
      if (/At$/.test(field)) return new Date(value).toISOString() === value;
      return value.replace(`${this.protocol}-`, '$');
    }
    if (typeof value === 'number') return field === 'latencyMs' ? value >= 0 : value;
    if (Array.isArray(value)) return value.map((item) => this.#comparable(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        // What JSON leaves out, a message has as its default.
        .filter(([name, member]) => member !== false || name === 'valid' || name === 'default')
        .filter(([, member]) => !Array.isArray(member) || member.length > 0)
        .map(([name, member]) => [
          name === 'publicKeyPem' ? 'publicKey' : name,
          this.#comparable(member, name),
        ]),
    );
  }
}

/** Every operation on both protocols of one PKI, with the same answers and the same refusals; then what gRPC alone has. */
export function describeKeystoreMatrix(shared: SharedPki, rest: RestClient): void {
  describe('keys of people over REST and gRPC', () => {
    let grpc: GrpcKeystore;
    let walks: readonly Walk[] = [];
    const who: Record<string, string | undefined> = {};
    beforeAll(async () => {
      grpc = grpcKeystore(shared);
      walks = [new Walk('rest', restKeystore(rest)), new Walk('grpc', grpc.call)];
      who['operator'] = `Bearer ${rest.token}`;
      who['requester'] = (await rest.signedIn('mia', 'requester')).authorization;
    });
    afterAll(() => grpc?.close());

    it('has steps for every operation', () => {
      expect([...new Set(STEPS.map(({ operation }) => operation))].sort()).toEqual(
        [...OPERATIONS].sort(),
      );
    });

    // covers: K2, K6, K44, K45, K46, K47, K48, K49, K60, K61, K62, K65, K66, K67, K74, K76, K77, K78, K79, K80
    // covers: K83, K85, K86, K87, K88, K89, K90, K91, K92, K93, K94
    it.each(STEPS)('covers: X7. $operation $name', async (one) => {
      const outcomes: Outcome[] = [];
      for (const walk of walks) outcomes.push(await walk.take(one, who[one.as ?? 'operator']));
      const { expected } = one;
      for (const outcome of outcomes)
        expect(outcome).toMatchObject(
          typeof expected === 'string' ? { refused: expected } : { done: expected },
        );
      if (one.operation !== 'ListKeys') expect(outcomes[1]).toEqual(outcomes[0]);
      else expect(idsOf(outcomes[1])).toEqual(idsOf(outcomes[0]));
    });

    it('those without the permission are in the audit log, with operation and key — covers: T63', async () => {
      const expected = [
        { subject: '*', purpose: 'generateKey' },
        { subject: '*', purpose: 'GenerateKey' },
        { subject: 'rest-aes', purpose: 'decryptData' },
        { subject: 'grpc-aes', purpose: 'Decrypt' },
      ];
      const { userId } = (await rest.call('GET', '/users'))
        .json<{
          items: { userId: string; name: string }[];
        }>()
        .items.find(({ name }) => name === 'mia')!;
      await eventually(async () => {
        const refused = (await auditEvents(rest)).filter(
          ({ type, actor }) => type === 'key.refused' && actor === `user:${userId}`,
        );
        expect(refused.map(({ subject, data }) => ({ subject, purpose: data['purpose'] }))).toEqual(
          expected,
        );
        for (const { data } of refused)
          expect(data['reason']).toMatch(/^their roles lack keys:(generate|decrypt)$/);
      });
    });

    it('a token that is not ours is refused and in the audit log, over either — covers: K97, K181, T63', async () => {
      const forged = `Bearer ${rest.token.replace(/[^.]+$/, 'A'.repeat(86))}`;
      const countOf = async () =>
        (await auditEvents(rest))
          .filter(({ type, subject }) => type === 'auth.failed' && subject === 'access-token')
          .reduce((sum, { data }) => sum + Number(data['count']), 0);
      const before = await countOf();
      for (const client of [restKeystore(rest), grpc.call])
        expect(await client('ListKeys', {}, forged)).toEqual({ refused: 'UNAUTHENTICATED' });
      await eventually(async () => expect(await countOf()).toBe(before + 2));
    });

    describeGrpc(() => grpc, shared, rest);
  });
}

/** An event as an audit entry has it. */
export interface AuditEvent {
  readonly producer: string;
  readonly type: string;
  readonly actor: string;
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** All of them, as the REST API lists them. */
export async function auditEvents(rest: RestClient): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  for (let start: number | undefined = 0; start !== undefined; ) {
    const answer = await rest.call('GET', `/audit/entries?start=${start}&limit=100`);
    const page: { items: { event: AuditEvent }[]; nextStart?: number } = answer.json();
    events.push(...page.items.map(({ event }) => event));
    start = page.nextStart;
  }
  return events;
}

/** Each protocol lists the keys of both. */
function idsOf(outcome: Outcome | undefined): readonly string[] {
  if (outcome === undefined || 'refused' in outcome) return [JSON.stringify(outcome)];
  const items = outcome.done['items'] as readonly { keyId: string }[];
  return items.map(({ keyId }) => keyId.replace(/^(rest-|grpc-|\$)/, ''));
}

function describeGrpc(grpc: () => GrpcKeystore, shared: SharedPki, rest: RestClient): void {
  /** The error of a raw call. */
  const failureOf = (path: string, request: Buffer, deadline = 20_000) =>
    new Promise<ServiceError | null>((resolve) => {
      const same = (octets: Buffer) => octets;
      const until = { deadline: Date.now() + deadline };
      grpc().client.makeUnaryRequest(path, same, same, request, new Metadata(), until, resolve);
    });
  const path = (method: string) => `/keychain.v1.KeystoreService/${method}`;

  it('covers: K95. has its limits, and says so in statuses', async () => {
    const nothing = Buffer.alloc(0);
    const { UNIMPLEMENTED, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED } = status;
    const codes = [
      await failureOf(path('Wrap'), nothing),
      await failureOf('/gigvault.keymgr.v1.KeySigningService/Sign', nothing),
      await failureOf(path('Health'), Buffer.from('ffffffff', 'hex')),
      await failureOf(path('Sign'), Buffer.alloc(200_000)),
      await failureOf(path('Health'), nothing, -1),
    ].map((error) => error?.code);
    expect(codes).toEqual([
      UNIMPLEMENTED,
      UNIMPLEMENTED,
      INVALID_ARGUMENT,
      RESOURCE_EXHAUSTED,
      DEADLINE_EXCEEDED,
    ]);
  });

  it('covers: X1, K134. speaks TLS 1.3 alone, as who the root says it is', async () => {
    const stranger = grpcKeystore(shared, credentials.createSsl());
    await expect(stranger.call('Health', {}, undefined)).rejects.toMatchObject({
      code: status.UNAVAILABLE,
    });
    stranger.close();
    const port = shared.pki.ports.keyApi;
    const alert = await new Promise<string>((resolve) => {
      const socket = connect({
        host: 'localhost',
        port,
        maxVersion: 'TLSv1.2',
        rejectUnauthorized: false,
      });
      socket.once('error', ({ message }) => resolve(message));
      socket.once('secureConnect', () => resolve('connected'));
    });
    expect(alert).toContain('protocol version');
  });

  it('covers: K97. takes an API key in either metadata, as REST does in its headers', async () => {
    const { path: method, requestSerialize, responseDeserialize } = grpc().methods.ListBackends;
    const ask = (metadata: Metadata) =>
      new Promise<number>((resolve) => {
        grpc().client.makeUnaryRequest(
          method,
          requestSerialize,
          responseDeserialize,
          {},
          metadata,
          (error) => resolve(error?.code ?? status.OK),
        );
      });
    const metadata = (name: string, value: string) => {
      const made = new Metadata();
      made.set(name, value);
      return made;
    };
    const { apiKey } = rest;
    expect(await ask(metadata('x-api-key', apiKey))).toBe(status.OK);
    expect(await ask(metadata('authorization', `Bearer ${apiKey}`))).toBe(status.OK);
    const wrong = `${apiKey.slice(0, -1)}${apiKey.endsWith('A') ? 'B' : 'A'}`;
    expect(await ask(metadata('x-api-key', wrong))).toBe(status.UNAUTHENTICATED);
  });

  it('covers: T67. takes no message that is cut off in a field', async () => {
    const { path: method, responseDeserialize } = grpc().methods.GetKey;
    const metadata = new Metadata();
    metadata.set('x-api-key', rest.apiKey);
    // It says 64 octets.
    const cutOff = Buffer.from([0x0a, 64, ...Buffer.from('my-key')]);
    const answer = await new Promise<ServiceError | null>((resolve) => {
      grpc().client.makeUnaryRequest(
        method,
        (octets: Buffer) => octets,
        responseDeserialize,
        cutOff,
        metadata,
        (error) => resolve(error),
      );
    });
    expect(answer).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(answer?.details).toBe('The message is not of its type.');
  });

  it('covers: K84. answers health checks of the standard', async () => {
    const { Check } = loadSync(protoPath)[
      'grpc.health.v1.Health'
    ] as unknown as GrpcKeystore['methods'] & Record<'Check', GrpcKeystore['methods']['Health']>;
    const answer = await new Promise<object>((resolve, reject) => {
      grpc().client.makeUnaryRequest(
        Check.path,
        Check.requestSerialize,
        Check.responseDeserialize,
        { service: 'keychain.v1.KeystoreService' },
        (error, response) => (error ? reject(error) : resolve(response as object)),
      );
    });
    expect(answer).toMatchObject({ status: 1 });
  });
}
