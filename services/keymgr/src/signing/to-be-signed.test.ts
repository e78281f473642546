import { memoryKeyStore } from '@gigvault/keystore/memory-key-store';
import { LARGEST_TO_BE_SIGNED } from '@gigvault/rpc/message-size';
import type { PeerName } from '@gigvault/rpc/service-name';
import { SERVICE_NAMES } from '@gigvault/rpc/service-name';
import { silentLog } from '@gigvault/telemetry/log';
import { FakeClock } from '@gigvault/time/clock';
import { assembleSigned } from '@gigvault/x509/certificate';
import { encodeName } from '@gigvault/x509/name';
import { buildOcspRequest } from '@gigvault/x509/ocsp-client';
import { signatureAlgorithm } from '@gigvault/x509/signature';
import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  caTbs,
  checkpointTbs,
  crlTbs,
  ISSUER,
  jwsTbs,
  leafTbs,
  NOW,
  ocspTbs,
  requestTbs,
  timestampTbs,
} from '../../test/signing-fixture.ts';
import { memoryTables } from '../adapters/memory-tables.ts';
import { backendsOf } from '../backends/backends.ts';
import { createKey } from '../creation/create-key.ts';
import { PURPOSES, type Purpose } from '../keys/purposes.ts';
import { publicKeyOf, type StoredKey } from '../keys/stored-key.ts';
import { type SignDeps, sign } from './sign.ts';
import { singleFlight } from './single-flight.ts';
import { PURPOSE_RULES, whyRefused } from './to-be-signed.ts';

const PEERS: readonly PeerName[] = [...SERVICE_NAMES, 'gigvault', 'edge'];

/** A key that every caller may use for every purpose as far as its own row goes: what is left is the constant table. */
async function openKey(): Promise<{ deps: SignDeps; key: StoredKey; events: { type: string }[] }> {
  const backends = backendsOf([memoryKeyStore()], 'memory');
  const tables = memoryTables();
  const key = await createKey(
    { backends, keys: tables.keys, limits: tables.limits, clock: new FakeClock(NOW) },
    {
      keyId: 'k',
      keyType: 'ec-p256',
      usage: 'sign',
      purposes: PURPOSES,
      callers: PEERS,
      issuerName: encodeName(ISSUER),
      owner: 'test',
      tenantId: 'default',
      actor: 'test',
    },
  );
  const deps = { ...tables, backends, inFlight: singleFlight<Buffer>(), log: silentLog };
  return { deps, key, events: tables.events };
}

const SELF_SIGNED = assembleSigned(caTbs(), signatureAlgorithm('ec-p256'), Buffer.alloc(8));

const BYTES: Readonly<Record<string, (key: StoredKey) => Buffer>> = {
  'certificate of a server': () => leafTbs(),
  'certificate of a CA': () => caTbs(),
  CRL: () => crlTbs(),
  ResponseData: (key) => ocspTbs(publicKeyOf(key)),
  checkpoint: () => checkpointTbs(),
  'access token': () => jwsTbs(),
  'certificate of another issuer': () => leafTbs({ issuer: [{ type: 'CN', value: 'Other' }] }),
  'CRL of another issuer': () => crlTbs({ issuer: [{ type: 'CN', value: 'Other' }] }),
  'certificate with another algorithm': () => leafTbs({ signingKeyType: 'ec-p384' }),
  'CRL with another algorithm': () => crlTbs({ signingKeyType: 'ec-p384' }),
  'ResponseData of another responder': () => ocspTbs(),
  'certificate and a stray octet': () => Buffer.concat([leafTbs(), Buffer.of(0)]),
  'certificate of a server that may sign certificates': () =>
    leafTbs({ keyUsage: ['digitalSignature', 'keyCertSign'] }),
  'certificate of a server that may sign CRLs': () =>
    leafTbs({ keyUsage: ['digitalSignature', 'cRLSign'] }),
  CertificationRequestInfo: () => requestTbs(),
  TSTInfo: () => timestampTbs(),
  'OCSP request': () => buildOcspRequest(SELF_SIGNED, '01'),
  'a digest': () => Buffer.alloc(32, 9),
  nothing: () => Buffer.alloc(0),
};

/** The only cells of purpose × caller × bytes that are signed. */
const ALLOWED: readonly (readonly [Purpose, PeerName, string])[] = [
  ['certSign', 'ca', 'certificate of a server'],
  ['caCertSign', 'ca', 'certificate of a CA'],
  ['crlSign', 'crl', 'CRL'],
  ['ocspSign', 'ocsp', 'ResponseData'],
  ['auditSign', 'audit', 'checkpoint'],
  ['jwtSign', 'auth', 'access token'],
];

describe('what is signed for whom', () => {
  const cells = PURPOSES.flatMap((purpose) =>
    PEERS.flatMap((caller) => Object.keys(BYTES).map((kind) => [purpose, caller, kind] as const)),
  );
  const isAllowed = (cell: readonly string[]) =>
    ALLOWED.some((allowed) => allowed.join() === cell.join());
  let open: Awaited<ReturnType<typeof openKey>>;
  beforeAll(async () => {
    open = await openKey();
  });

  const ask = (purpose: string, caller: PeerName, kind: string) => {
    const tbs = (BYTES[kind] as (key: StoredKey) => Buffer)(open.key);
    return sign(open.deps, { keyId: 'k', purpose, intentId: crypto.randomUUID(), tbs }, caller);
  };

  it.each(cells.filter(isAllowed))('%s for %s of a %s: yes', async (...cell) => {
    expect(await ask(...cell)).toBeInstanceOf(Buffer);
  });

  it.each(cells.filter((cell) => !isAllowed(cell)))(
    '%s for %s of a %s: no, and told',
    async (purpose, caller, kind) => {
      await expect(ask(purpose, caller, kind)).rejects.toMatchObject({ code: 'KEY_USE_REFUSED' });
      expect(open.events.at(-1)).toMatchObject({ type: 'key.refused', actor: `service:${caller}` });
    },
  );

  it('has a cell for all that is signed', () => {
    expect(cells.filter(isAllowed)).toHaveLength(ALLOWED.length);
  });

  it('nothing for purposes and callers that are not on the key, in other states, or without a name', async () => {
    const { key } = await openKey();
    const tbs = leafTbs();
    const cases: Partial<StoredKey>[] = [
      { purposes: ['crlSign'] },
      { callers: ['crl'] },
      { state: 'deactivated' },
      { state: 'pre-active' },
      { issuerName: null },
    ];
    for (const difference of cases) {
      const { deps, events } = await openKey();
      const find = async () => ({ ...key, ...difference });
      const request = { keyId: 'k', purpose: 'certSign', intentId: crypto.randomUUID(), tbs };
      await expect(sign({ ...deps, keys: { find } }, request, 'ca')).rejects.toMatchObject({
        code: 'KEY_USE_REFUSED',
      });
      expect(events.at(-1)).toMatchObject({
        type: 'key.refused',
        subject: 'k',
        actor: 'service:ca',
      });
    }
  });

  it('nothing for a purpose that does not exist, even one that every object has', async () => {
    const { deps } = await openKey();
    for (const purpose of ['', 'toString', '__proto__', 'tsaSign', 'certsign']) {
      const request = { keyId: 'k', purpose, intentId: crypto.randomUUID(), tbs: leafTbs() };
      await expect(sign(deps, request, 'ca')).rejects.toMatchObject({ code: 'KEY_USE_REFUSED' });
    }
  });
});

describe('a JWS signing input', () => {
  const refused: readonly object[] = [
    { alg: 'none', typ: 'JWT' },
    { alg: 'HS256', typ: 'JWT' },
    { alg: 'ES384', typ: 'at+jwt' },
    { alg: 'ES256' },
    { alg: 'ES256', typ: 'dpop+jwt' },
    { alg: 'ES256', typ: 'JWT', crit: ['b64'], b64: false },
  ];
  it.each(refused)('with header %j is refused', async (header) => {
    const { key } = await openKey();
    expect(whyRefused('jwtSign', jwsTbs(header), key)).toEqual(expect.any(String));
  });

  it('must be two canonical base64url parts that hold objects', async () => {
    const { key } = await openKey();
    const good = jwsTbs().toString();
    expect(whyRefused('jwtSign', Buffer.from(good), key)).toBeUndefined();
    for (const text of [
      `${good}.x`,
      `${good}=`,
      good.replace('.', ''),
      `.${good}`,
      'W10.W10',
      `${good} `,
    ]) {
      expect(whyRefused('jwtSign', Buffer.from(text), key)).toEqual(expect.any(String));
    }
  });
});

describe('a checkpoint', () => {
  const root = Buffer.alloc(32, 7).toString('base64');
  const bad: readonly string[] = [
    `\n1\n${root}\n`,
    `o\n01\n${root}\n`,
    `o\n-1\n${root}\n`,
    `o\n1\n${root}`,
    `o\n1\n${root.slice(4)}\n`,
    `o\n1\n${root}\n\n`,
    `o\n1\n${root}\n\n— o abc\n`,
    `o\n1\n`,
  ];
  it.each(bad)('%j is refused', async (text) => {
    const { key } = await openKey();
    expect(whyRefused('auditSign', Buffer.from(text), key)).toEqual(expect.any(String));
  });

  it('may have extension lines', async () => {
    const { key } = await openKey();
    expect(whyRefused('auditSign', Buffer.from(`o\n0\n${root}\ntime 1\n`), key)).toBeUndefined();
  });
});

it('takes CRLs as large as a message can carry, and no larger', () => {
  expect(PURPOSE_RULES.crlSign.maxOctets).toBe(LARGEST_TO_BE_SIGNED);
});
