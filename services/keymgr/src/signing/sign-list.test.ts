import type { KeyStore } from '@gigvault/keystore/key-store';
import { memoryKeyStore } from '@gigvault/keystore/memory-key-store';
import { LARGEST_LIST, LARGEST_LIST_PART, MAX_MESSAGE } from '@gigvault/rpc/message-size';
import { silentLog } from '@gigvault/telemetry/log';
import { FakeClock } from '@gigvault/time/clock';
import { encodeCrlEntry, frameTbsCertList } from '@gigvault/x509/crl';
import { encodeName } from '@gigvault/x509/name';
import { signatureAlgorithm, verifySignature } from '@gigvault/x509/signature';
import { describe, expect, it } from '@jest/globals';
import { DAY, ISSUER, NOW } from '../../test/signing-fixture.ts';
import { memoryTables } from '../adapters/memory-tables.ts';
import { backendsOf } from '../backends/backends.ts';
import { createCaKey } from '../ca-keys/create-ca-key.ts';
import { publicKeyOf } from '../keys/stored-key.ts';
import { closeSigning } from './close-signing.ts';
import { sign } from './sign.ts';
import { LIST_LIMITS, type SignListDeps, signListPart } from './sign-list.ts';
import { singleFlight } from './single-flight.ts';

const ENTRY = encodeCrlEntry({ serialNumber: '7f'.repeat(16), revokedAt: NOW, reasonCode: 1 });
const CHUNK = Buffer.concat(Array.from({ length: 1_000 }, () => ENTRY));

async function setUp() {
  const backends = backendsOf([memoryKeyStore()], 'memory');
  const tables = memoryTables();
  const clock = new FakeClock(NOW);
  const key = await createCaKey(
    { backends, keys: tables.keys, limits: tables.limits, clock },
    { keyId: 'ca-issuing', keyType: 'ec-p256', subject: ISSUER },
  );
  const deps: SignListDeps = {
    ...tables,
    backends,
    clock,
    inFlight: singleFlight(),
    openLists: new Map(),
    log: silentLog,
  };
  return { deps, key, clock, events: tables.events };
}

/** Head, three chunks of a thousand entries, tail. */
function listParts(issuer: typeof ISSUER = ISSUER): Buffer[] {
  const { head, tail } = frameTbsCertList(
    {
      issuerName: encodeName(issuer),
      issuerKeyIdentifier: Buffer.alloc(20, 1),
      signingKeyType: 'ec-p256',
      crlNumber: 1n,
      thisUpdate: NOW,
      nextUpdate: NOW + DAY,
      distributionPointUrl: 'http://localhost:8080/crl/issuing/0.crl',
    },
    3 * CHUNK.length,
  );
  return [head, CHUNK, CHUNK, CHUNK, tail];
}

/** The answers to all parts, in order. */
async function send(
  deps: SignListDeps,
  parts: readonly Buffer[],
  intentId: string = crypto.randomUUID(),
  caller: 'crl' | 'ca' = 'crl',
): Promise<Buffer[]> {
  const { length } = Buffer.concat(parts);
  const answers: Buffer[] = [];
  let offset = 0;
  for (const part of parts) {
    const request = { keyId: 'ca-issuing', intentId, length, offset, part };
    answers.push(await signListPart(deps, request, caller));
    offset += part.length;
  }
  return answers;
}

const last = async (answers: Promise<Buffer[]>) => (await answers).at(-1)!;

describe('a list in parts', () => {
  it('is signed with its last part, recorded, and what Sign gives for the whole', async () => {
    const { deps, key, events } = await setUp();
    const parts = listParts();
    const tbs = Buffer.concat(parts);
    const intentId = crypto.randomUUID();
    const answers = await send(deps, parts, intentId);
    expect(answers.slice(0, -1).every(({ length }) => length === 0)).toBe(true);
    const signature = answers.at(-1)!;
    const algorithm = signatureAlgorithm('ec-p256');
    expect(verifySignature(publicKeyOf(key).keyObject, algorithm, tbs, signature)).toBe(true);
    expect(events.map(({ type }) => type)).toEqual(['key.generated', 'key.used']);
    const whole = { keyId: 'ca-issuing', purpose: 'crlSign', intentId, tbs };
    expect((await sign(deps, whole, 'crl')).equals(signature)).toBe(true);
    expect((await last(send(deps, parts, intentId))).equals(signature)).toBe(true);
    expect(deps.openLists.size).toBe(0);
  });

  it('is refused, and nothing signed, when it is not a list of this CA or not for this caller', async () => {
    const { deps, events } = await setUp();
    const [head, ...rest] = listParts() as [Buffer, ...Buffer[]];
    const broken = Buffer.from(CHUNK);
    broken[3] = 0x80;
    for (const [parts, caller] of [
      [listParts([{ type: 'CN', value: 'Another' }]), 'crl'],
      [[head, broken, ...rest.slice(1)], 'crl'],
      [[Buffer.alloc(40, 0x30), ...rest], 'crl'],
      [[head, ...rest.slice(1), Buffer.alloc(CHUNK.length)], 'crl'],
      [[head, ...rest], 'ca'],
    ] as const) {
      await expect(send(deps, parts, undefined, caller)).rejects.toMatchObject({
        code: 'KEY_USE_REFUSED',
      });
    }
    expect(events.map(({ type }) => type)).toEqual([
      'key.generated',
      ...Array.from({ length: 5 }, () => 'key.refused'),
    ]);
    expect(deps.openLists.size).toBe(0);
  });

  it('begins again after a restart of this process, or when parts come out of order', async () => {
    const { deps } = await setUp();
    const parts = listParts();
    const intentId = crypto.randomUUID();
    const { length } = Buffer.concat(parts);
    const one = (offset: number, part: Buffer) =>
      signListPart(deps, { keyId: 'ca-issuing', intentId, length, offset, part }, 'crl');
    await one(0, parts[0]!);
    await expect(one(1, parts[1]!)).rejects.toMatchObject({ code: 'CONFLICT' });
    await one(parts[0]!.length, parts[1]!);
    deps.openLists.clear();
    const offset = parts[0]!.length + CHUNK.length;
    await expect(one(offset, parts[2]!)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect((await last(send(deps, parts, intentId))).length).toBeGreaterThan(60);
  });

  it('and its parts may be as long as their senders make them', () => {
    expect(LIST_LIMITS).toEqual({ list: LARGEST_LIST, part: LARGEST_LIST_PART });
    expect(LARGEST_LIST_PART).toBeLessThan(MAX_MESSAGE);
  });

  it('is not signed under an intent that was closed meanwhile', async () => {
    const { deps } = await setUp();
    const intentId = crypto.randomUUID();
    await closeSigning(deps, intentId, 'crl');
    await expect(send(deps, listParts(), intentId)).rejects.toMatchObject({
      code: 'SIGNING_CLOSED',
    });
  });

  it('covers: T13. keeps back a signature that does not verify, and records nothing', async () => {
    const { deps, events } = await setUp();
    const sound = deps.backends.forNewKeys;
    const faulty: KeyStore = {
      ...sound,
      async startSignature(handle, options) {
        const signing = await sound.startSignature(handle, options);
        signing.update(Buffer.of(1));
        return signing;
      },
    };
    await expect(
      send({ ...deps, backends: backendsOf([faulty], 'memory') }, listParts()),
    ).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    });
    expect(events.map(({ type }) => type)).toEqual(['key.generated']);
  });

  it('is forgotten when its parts stop coming, and never more than sixteen are open', async () => {
    const { deps, clock } = await setUp();
    const parts = listParts();
    const { length } = Buffer.concat(parts);
    const begin = () => {
      clock.advance(1);
      const intentId = crypto.randomUUID();
      const request = { keyId: 'ca-issuing', intentId, length, offset: 0, part: parts[0]! };
      return signListPart(deps, request, 'crl');
    };
    for (let i = 0; i < 20; i++) await begin();
    expect(deps.openLists.size).toBe(16);
    clock.advance(60_001);
    await begin();
    expect(deps.openLists.size).toBe(1);
  });
});
