import { randomUUID } from 'node:crypto';
import type { IssueCertificateRequest } from '@gigvault/proto/ca/v1/issuance';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import { parseCertificationRequest } from '@gigvault/x509/certification-request';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { issueCertificate } from '../src/issuance/issue-certificate.ts';
import { issueInternalCertificate } from '../src/issuance/issue-internal-certificate.ts';
import { listIssuers } from '../src/issuers/list-issuers.ts';
import { revokeCertificate } from '../src/revocation/revoke-certificate.ts';
import { acceptSuccessor } from '../src/rotation/accept-successor.ts';
import { beginRotation } from '../src/rotation/begin-rotation.ts';
import { confirmIssuer, moveIssuers } from '../src/rotation/move-issuers.ts';
import {
  type CaProcess,
  check,
  dieAt,
  freezeAt,
  newKey,
  request,
  startTestCa,
  type TestCa,
} from './test-ca.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const LINE = { line: 'issuing' };
const ALICE = 'user:alice';

let ca: TestCa;
let process: CaProcess;
beforeAll(async () => {
  ca = await startTestCa();
});
afterAll(() => ca.stop());
beforeEach(() => {
  process = ca.process();
});
/** Each test rotates a CA with one key. */
afterEach(async () => {
  installFaultHook(undefined);
  await check(ca);
  // As the owner: no service may do this.
  const owner = ca.database.ownerPool('ca');
  await owner.query(`DELETE FROM issuer WHERE generation > 1`);
  await owner.query(
    `UPDATE issuer SET state = 'current', superseded_at = NULL, successor_begun = false`,
  );
  await owner.query(`TRUNCATE certificate, intent, serial, outbox`);
  await owner.end();
});

/** The root's certificate for the key that keymgr has made. */
async function signedSuccessor(at = process, commonName?: string): Promise<Buffer> {
  const { certificationRequest, generation } = await beginRotation(at.deps.rotation, LINE, ALICE);
  const { publicKey } = parseCertificationRequest(certificationRequest as Buffer);
  return ca.caCertificate(commonName ?? `Test issuing CA G${generation}`, publicKey);
}

async function rotate(at = process): Promise<void> {
  const certificate = await signedSuccessor(at);
  const { issuerId } = await acceptSuccessor(at.deps.issuers, { ...LINE, certificate }, ALICE);
  for (const peer of ['ocsp', 'crl']) await confirmIssuer(at.move, issuerId, peer);
  await moveIssuers(at.move, new Map());
}

async function issuerOf(
  at: CaProcess,
  changes?: Partial<IssueCertificateRequest>,
): Promise<string> {
  return (await issueCertificate(at.deps.issuance, request(at, changes))).issuerId;
}

async function states(): Promise<Record<string, string>> {
  const { rows } = await ca.pool.query('SELECT issuer_id, state FROM issuer ORDER BY issuer_id');
  return Object.fromEntries(rows.map(({ issuer_id, state }) => [issuer_id, state]));
}

async function eventsOf(issuerId: string): Promise<string[]> {
  const { rows } = await ca.pool.query(
    'SELECT type, actor FROM outbox WHERE subject = $1 ORDER BY position',
    [issuerId],
  );
  return rows.map(({ type, actor }) => `${type} ${actor}`);
}

const BEFORE = { issuing: 'current', services: 'current' };
const PREPARED = { ...BEFORE, 'issuing-g2': 'prepared' };
const AFTER = { issuing: 'superseded', 'issuing-g2': 'current', services: 'current' };

describe('a rotation', () => {
  it('moves issuance once OCSP and CRLs are ready, and leaves what was issued as it is — covers: G24', async () => {
    const order = request(process);
    const old = await issueCertificate(process.deps.issuance, order);
    const begun = await Promise.all(
      [1, 2, 3].map(() => beginRotation(process.deps.rotation, LINE, ALICE)),
    );
    for (const { rootCertificate } of begun) expect(rootCertificate).toEqual(ca.root);
    const certificate = await signedSuccessor();
    expect(await states()).toEqual(BEFORE);
    const accepted = await acceptSuccessor(process.deps.issuers, { ...LINE, certificate }, ALICE);
    expect(accepted).toMatchObject({ issuerId: 'issuing-g2', generation: 2, state: 'prepared' });
    // Again, as by a command that was cut off: the same.
    expect(await acceptSuccessor(process.deps.issuers, { ...LINE, certificate }, ALICE)).toEqual(
      accepted,
    );
    expect(await beginRotation(process.deps.rotation, LINE, ALICE)).toEqual(accepted);
    for (const peer of ['crl', 'crl', 'ocsp']) {
      await moveIssuers(process.move, new Map());
      expect(await states()).toEqual(PREPARED);
      expect(await issuerOf(process)).toBe('issuing');
      await confirmIssuer(process.move, 'issuing-g2', peer);
    }
    await moveIssuers(process.move, new Map());
    expect(await states()).toEqual(AFTER);
    const issued = await issueCertificate(process.deps.issuance, request(process));
    expect(issued).toMatchObject({ issuerId: 'issuing-g2', chain: [certificate, ca.root] });
    const { issuer } = readCertificate(issued.certificate);
    expect(issuer).toEqual(readCertificate(certificate).subject);
    expect(await issueCertificate(process.deps.issuance, order)).toEqual(old);
    const revocation = { ...old, actor: ALICE, reasonCode: 4 };
    expect(await revokeCertificate(process.deps.revocation, revocation)).toMatchObject({
      issuerId: 'issuing',
    });
    expect(await eventsOf('issuing-g2')).toEqual([
      `issuer.rotation-begun ${ALICE}`,
      `issuer.created ${ALICE}`,
      'issuer.confirmed service:crl',
      'issuer.confirmed service:ocsp',
      'issuer.switched service:ca',
    ]);
    expect(await listIssuers(process.deps.issuers.issuers)).toMatchObject([
      { issuerId: 'issuing', line: 'issuing', generation: 1, state: 'superseded' },
      {
        ...{ issuerId: 'issuing-g2', line: 'issuing', generation: 2, state: 'current' },
        ...{ keyId: 'ca-issuing-g2', crlBaseUrl: 'http://status.test:8080/crl/issuing-g2' },
        issuerUrl: 'http://status.test:8080/ca/issuing-g2.crt',
      },
      { issuerId: 'services', state: 'current' },
    ]);
    // The responder of the old key gets its certificates from the old key.
    const own = { requestId: randomUUID(), profile: 'ocsp-signer', issuerId: 'issuing' };
    const certificationRequest = (await ca.keymgr.keys.getKey({ keyId: 'ocsp-issuing' }))
      .subjectPublicKeyInfo;
    expect(
      await issueInternalCertificate(
        process.deps.issuance,
        { ...own, certificationRequest },
        'ocsp',
      ),
    ).toMatchObject({ issuerId: 'issuing' });
  });

  it('follows another; a number that was reached is not begun again', async () => {
    await rotate();
    expect(await beginRotation(process.deps.rotation, { ...LINE, wanted: 2 }, ALICE)).toMatchObject(
      {
        state: 'current',
      },
    );
    await rotate();
    expect(await states()).toMatchObject({
      ...{ issuing: 'superseded', 'issuing-g2': 'superseded' },
      'issuing-g3': 'current',
    });
    expect(await issuerOf(process)).toBe('issuing-g3');
    const far = beginRotation(process.deps.rotation, { ...LINE, wanted: 5 }, ALICE);
    await expect(far).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('refuses the certificate that the next one succeeds, at every rotation', async () => {
    const accept = (certificate: Buffer) =>
      acceptSuccessor(process.deps.issuers, { ...LINE, certificate }, ALICE);
    const of = async (id: string) =>
      (await process.deps.issuers.issuers.get(id)).record.certificate;
    const first = await of('issuing');
    await expect(accept(first)).rejects.toThrow(
      "the present one, of 'issuing', not its successor's",
    );
    await rotate();
    await expect(accept(first)).rejects.toThrow(
      "the earlier one, of 'issuing', not its successor's",
    );
    const second = await of('issuing-g2');
    expect(await accept(second)).toMatchObject({ issuerId: 'issuing-g2', state: 'current' });
    await beginRotation(process.deps.rotation, LINE, ALICE);
    await expect(accept(second)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: "The certificate is the present one, of 'issuing-g2', not its successor's.",
    });
  });

  it('is known to every process within a second', async () => {
    const clock = new FakeClock(systemClock.now());
    const other = ca.process({}, clock);
    expect(await issuerOf(other)).toBe('issuing');
    await rotate();
    expect(await issuerOf(process)).toBe('issuing-g2');
    clock.advance(1_000);
    expect(await issuerOf(other)).toBe('issuing-g2');
  });

  it('switches once, whoever does it', async () => {
    const certificate = await signedSuccessor();
    await acceptSuccessor(process.deps.issuers, { ...LINE, certificate }, ALICE);
    const others = Array.from({ length: 8 }, () => ca.process());
    await Promise.all(
      others.map(async (one, i) => {
        await confirmIssuer(one.move, 'issuing-g2', i % 2 === 0 ? 'crl' : 'ocsp');
        await moveIssuers(one.move, new Map());
      }),
    );
    await moveIssuers(process.move, new Map());
    expect(await states()).toEqual(AFTER);
    expect(await eventsOf('issuing-g2')).toHaveLength(5);
  });

  it.each<[string, () => Promise<Buffer>, RegExp]>([
    [
      'of another name',
      () => signedSuccessor(process, 'Test issuing CA'),
      /name is "CN=Test issuing CA G2"/,
    ],
    ['that is none', async () => Buffer.from('3000', 'hex'), /not a certificate/],
    [
      'of a server',
      async () => (await issueCertificate(process.deps.issuance, request(process))).certificate,
      /name is/,
    ],
  ])('refuses a certificate %s', async (_, make, why) => {
    const certificate = await make();
    await expect(
      acceptSuccessor(process.deps.issuers, { ...LINE, certificate }, ALICE),
    ).rejects.toThrow(why);
    expect(await states()).toEqual(BEFORE);
  });

  it('refuses a key that was not made here, another root, a second certificate, and the services CA', async () => {
    const certificate = await signedSuccessor();
    const accept = (der: Buffer) =>
      acceptSuccessor(process.deps.issuers, { ...LINE, certificate: der }, ALICE);
    const foreign = ca.caCertificate('Test issuing CA G2', newKey());
    await expect(accept(foreign)).rejects.toThrow('is not the key of the certificate');
    const { publicKey } = readCertificate(certificate);
    const theirs = ca.caCertificate('Test issuing CA G2', publicKey, newKey('P-384'));
    await expect(accept(theirs)).rejects.toThrow('says other things');
    await accept(certificate);
    await expect(accept(foreign)).rejects.toMatchObject({ code: 'CONFLICT' });
    for (const [line, code] of [
      ['services', 'INVALID_ARGUMENT'],
      ['other', 'NOT_FOUND'],
      ['issuing-g2', 'NOT_FOUND'],
    ] as const)
      await expect(beginRotation(process.deps.rotation, { line }, ALICE)).rejects.toMatchObject({
        code,
      });
  });
});

describe('a process that dies', () => {
  const steps = ['ca.rotation', 'ca.issuer', 'ca.issuer-confirmed', 'ca.issuer-switched'].flatMap(
    (step) => [[step, 'before'] as const, [step, 'after'] as const],
  );

  it.each(steps)(
    'at %s:%s leaves one current key, and the next one goes on',
    async (step, moment) => {
      const dead = ca.process();
      await freezeAt(step, moment, () => rotate(dead));
      const now = await states();
      expect(Object.values(now).filter((state) => state === 'current')).toHaveLength(2);
      expect([BEFORE, PREPARED, AFTER]).toContainEqual(now);
      const current = now['issuing'] === 'current' ? 'issuing' : 'issuing-g2';
      expect(await issuerOf(process)).toBe(current);
      // What the command line does again.
      const { state } = await beginRotation(process.deps.rotation, { ...LINE, wanted: 2 }, ALICE);
      if (state === 'requested') await rotate();
      for (const peer of ['ocsp', 'crl']) await confirmIssuer(process.move, 'issuing-g2', peer);
      await moveIssuers(process.move, new Map());
      expect(await states()).toEqual(AFTER);
      const told = await eventsOf('issuing-g2');
      expect(told).toEqual([...new Set(told)]);
      expect(told).toHaveLength(5);
    },
  );

  it.each([
    ['ca.intent', 'after', 'issuing-g2'],
    ['keymgr.signature', 'after', 'issuing'],
    ['ca.certificate', 'before', 'issuing'],
  ] as const)(
    'at %s:%s of an order, across the switch: one certificate, of %s — covers: T3, T4',
    async (step, moment, issuerId) => {
      const order = request(process);
      await dieAt(ca.process(), order, step, moment);
      await rotate();
      const issued = await issueCertificate(process.deps.issuance, order);
      expect(issued.issuerId).toBe(issuerId);
      expect(await issueCertificate(ca.process().deps.issuance, order)).toEqual(issued);
    },
  );
});

describe('an issuer that was superseded', () => {
  it('retires when all that it issued has ended, and not before: not by a clock that was set, nor for its responder — covers: T15', async () => {
    const { serialNumber, certificate } = await issueCertificate(
      process.deps.issuance,
      request(process),
    );
    await issueInternalCertificate(
      process.deps.issuance,
      {
        ...{ requestId: randomUUID(), profile: 'ocsp-signer', issuerId: 'issuing' },
        certificationRequest: (await ca.keymgr.keys.getKey({ keyId: 'ocsp-issuing' }))
          .subjectPublicKeyInfo,
      },
      'ocsp',
    );
    await rotate();
    const revocation = { issuerId: 'issuing', serialNumber, actor: ALICE, reasonCode: 4 };
    await revokeCertificate(process.deps.revocation, revocation);
    const { notAfter } = readCertificate(certificate);
    const clock = new FakeClock(systemClock.now());
    const later = ca.process({}, clock);
    const ends = new Map<string, number>();
    const round = async () => {
      await moveIssuers(later.move, ends);
      return (await states())['issuing'];
    };
    expect(await round()).toBe('superseded');
    expect(ends.get('issuing')).toBe(notAfter);
    clock.step(365 * DAY);
    await expect(round()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    clock.step(-365 * DAY);
    clock.advance(notAfter - clock.now() + HOUR);
    expect(await round()).toBe('superseded');
    clock.advance(1);
    expect(await round()).toBe('retired');
    expect(await eventsOf('issuing')).toEqual(['issuer.retired service:ca']);
    expect(await round()).toBe('retired');
  });

  it.each(['before', 'after'] as const)(
    'retires once, though the process died %s it',
    async (moment) => {
      await rotate();
      const clock = new FakeClock(systemClock.now());
      const [dead, next] = [ca.process({}, clock), ca.process({}, clock)];
      clock.advance(HOUR + 60_000);
      await freezeAt('ca.issuer-retired', moment, () => moveIssuers(dead.move, new Map()));
      expect((await states())['issuing']).toBe(moment === 'before' ? 'superseded' : 'retired');
      await moveIssuers(next.move, new Map());
      expect((await states())['issuing']).toBe('retired');
      expect(await eventsOf('issuing')).toEqual(['issuer.retired service:ca']);
    },
  );

  it('does not while one of its certificates is being signed, nor within an hour of the switch', async () => {
    const clock = new FakeClock(systemClock.now());
    const order = request(process);
    await dieAt(ca.process(), order, 'ca.intent', 'after');
    await rotate();
    const later = ca.process({}, clock);
    const round = async () => {
      await moveIssuers(later.move, new Map());
      return (await states())['issuing'];
    };
    clock.advance(HOUR + 60_000);
    expect(await round()).toBe('superseded');
    // It is settled by who asks again: tombstoned, which counts as revoked.
    await issueCertificate(process.deps.issuance, order);
    expect(await round()).toBe('superseded');
    clock.advance(48 * DAY);
    expect(await round()).toBe('retired');
  });
});
