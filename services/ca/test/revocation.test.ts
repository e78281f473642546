import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getCertificate } from '../src/certificates/get-certificate.ts';
import { getCertificateStatus } from '../src/certificates/get-certificate-status.ts';
import { issueCertificate } from '../src/issuance/issue-certificate.ts';
import { revokeCertificate } from '../src/revocation/revoke-certificate.ts';
import { revokeCompromised } from '../src/revocation/revoke-compromised.ts';
import {
  type CaProcess,
  csr,
  eventsAbout,
  newKey,
  request,
  startTestCa,
  type TestCa,
} from './test-ca.ts';

let ca: TestCa;
let process: CaProcess;

beforeAll(async () => {
  ca = await startTestCa();
  process = ca.process();
});
afterAll(() => ca.stop());

const issue = () => issueCertificate(process.deps.issuance, request(process));
const revoke = (serialNumber: string, reasonCode: number, deps = process.deps) =>
  revokeCertificate(deps.revocation, { serialNumber, issuerId: '', reasonCode, actor: 'user:7' });

describe('revoking', () => {
  it('is durable with its event, and shows in every answer', async () => {
    const { serialNumber } = await issue();
    const revoked = await revoke(serialNumber, 4);
    expect(revoked).toMatchObject({ serialNumber, issuerId: 'issuing', reasonCode: 4 });
    const statuses = await getCertificateStatus(process.deps.certificates, {
      issuerId: 'issuing',
      serialNumbers: [serialNumber, '01'],
    });
    expect(statuses).toMatchObject([
      { status: 'revoked', reasonCode: 4, revokedAt: revoked.revokedAt },
      { serialNumber: '01', status: 'unknown' },
    ]);
    expect(
      await getCertificate(process.deps.certificates, { serialNumber, issuerId: '' }),
    ).toMatchObject({ status: 'revoked' });
    const event = (await eventsAbout(ca, [serialNumber])).at(-1);
    expect(event).toMatchObject({
      type: 'certificate.revoked',
      actor: 'user:7',
      data: { issuerId: 'issuing', crlShard: 0, reasonCode: 4 },
    });
    expect(event?.data['notAfter']).toBeGreaterThan(0);
    expect(await process.metrics.exposition()).toMatch(
      /certificates_revoked_total\{ca="issuing",reason="superseded"\} 1/,
    );
  });

  it('goes on while the clock is wrong, with the time that it should be — covers: T15', async () => {
    const clock = new FakeClock(systemClock.now());
    const { deps } = ca.process({}, clock);
    const { serialNumber } = await issueCertificate(deps.issuance, request(process));
    clock.step(5 * 3_600_000);
    await expect(issueCertificate(deps.issuance, request(process))).rejects.toThrow(
      'The clock was set',
    );
    const { revokedAt } = await revoke(serialNumber, 4, deps);
    expect(revokedAt).toBe(clock.now() - 5 * 3_600_000);
  });

  it('takes serial numbers as people write them', async () => {
    const { serialNumber } = await issue();
    const colons = serialNumber.toUpperCase().match(/../g)?.join(':') ?? '';
    expect(await revoke(colons, 0)).toMatchObject({ serialNumber });
  });

  it('twice is ALREADY_REVOKED, with one event (covers: T56)', async () => {
    const { serialNumber } = await issue();
    await revoke(serialNumber, 1);
    for (const reason of [1, 4, 0]) {
      await expect(revoke(serialNumber, reason)).rejects.toMatchObject({ code: 'ALREADY_REVOKED' });
    }
    const events = await eventsAbout(ca, [serialNumber]);
    expect(events.filter((event) => event.type === 'certificate.revoked')).toHaveLength(1);
  });

  it('twenty times at once succeeds once (covers: T56)', async () => {
    const { serialNumber } = await issue();
    const answers = await Promise.allSettled(
      Array.from({ length: 20 }, () => revoke(serialNumber, 4)),
    );
    expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(1);
  });

  it('may raise the reason to keyCompromise once; the first time of revocation stays (covers: T56)', async () => {
    const { serialNumber } = await issue();
    const first = await revoke(serialNumber, 4);
    const later = ca.process({}, new FakeClock(first.revokedAt + 60_000));
    expect(await revoke(serialNumber, 1, later.deps)).toMatchObject({
      reasonCode: 1,
      revokedAt: first.revokedAt,
    });
    await expect(revoke(serialNumber, 1)).rejects.toMatchObject({ code: 'ALREADY_REVOKED' });
    await expect(revoke(serialNumber, 4)).rejects.toMatchObject({ code: 'ALREADY_REVOKED' });
  });

  it.each([2, 6, 7, 8, 10, 11, 1.5, -1])('refuses reason %d (covers: T59)', async (reasonCode) => {
    const { serialNumber } = await issue();
    await expect(revoke(serialNumber, reasonCode)).rejects.toMatchObject({
      code: 'BAD_REVOCATION_REASON',
    });
  });

  it('an unknown serial number is CERTIFICATE_NOT_FOUND, with or without its issuer', async () => {
    await expect(revoke('0badcafe', 0)).rejects.toMatchObject({ code: 'CERTIFICATE_NOT_FOUND' });
    const { serialNumber } = await issue();
    const wrong = { serialNumber, issuerId: 'services', reasonCode: 0, actor: 'user:7' };
    await expect(revokeCertificate(process.deps.revocation, wrong)).rejects.toMatchObject({
      code: 'CERTIFICATE_NOT_FOUND',
    });
  });

  it('works on expired certificates', async () => {
    const { serialNumber } = await issue();
    const later = ca.process({}, new FakeClock(systemClock.now() + 100 * 86_400_000));
    expect(
      await getCertificate(later.deps.certificates, { serialNumber, issuerId: '' }),
    ).toMatchObject({ status: 'expired' });
    expect(await revoke(serialNumber, 1, later.deps)).toMatchObject({ reasonCode: 1 });
  });
});

describe('a compromised key (covers: T29)', () => {
  const sweep = () => revokeCompromised(process.sweep);
  const statusOf = async (serialNumber: string) =>
    (await getCertificate(process.deps.certificates, { serialNumber, issuerId: '' })).status;

  it('takes its other certificates along, each with its event; of other keys none', async () => {
    const key = newKey();
    const serials: string[] = [];
    for (let i = 0; i < 3; i += 1) {
      const order = request(process, { certificationRequest: csr(['api.example.com'], key) });
      serials.push((await issueCertificate(process.deps.issuance, order)).serialNumber);
    }
    const other = await issue();
    await revoke(serials[1]!, 4);
    expect(await sweep()).toBe(0);
    await revoke(serials[0]!, 1);
    expect(await Promise.all([sweep(), sweep()]).then(([a, b]) => a + b)).toBe(1);
    expect(await Promise.all(serials.map(statusOf))).toEqual(['revoked', 'revoked', 'revoked']);
    expect(await statusOf(other.serialNumber)).toBe('valid');
    const event = (await eventsAbout(ca, [serials[2]!])).at(-1);
    expect(event).toMatchObject({
      type: 'certificate.revoked',
      actor: 'service:ca',
      data: { reasonCode: 1, names: ['dns:api.example.com'], requester: 'acme:1' },
    });
    expect(await sweep()).toBe(0);
  });

  it('takes along what was being issued when the report came', async () => {
    const key = newKey();
    const order = () => request(process, { certificationRequest: csr(['api.example.com'], key) });
    const first = await issueCertificate(process.deps.issuance, order());
    const { promise: signing, resolve: reached } = Promise.withResolvers<void>();
    const { promise: reported, resolve: go } = Promise.withResolvers<void>();
    installFaultHook((name, when) => {
      if (name !== 'ca.certificate' || when !== 'before') return undefined;
      reached();
      return reported;
    });
    const late = issueCertificate(process.deps.issuance, order());
    await signing;
    await revoke(first.serialNumber, 1);
    expect(await sweep()).toBe(0);
    installFaultHook(undefined);
    go();
    const { serialNumber } = await late;
    expect(await sweep()).toBe(1);
    expect(await statusOf(serialNumber)).toBe('revoked');
  });

  it('is watched for a quarter of an hour, and then left alone', async () => {
    const later = ca.process({}, new FakeClock(systemClock.now() + 200 * 86_400_000));
    await revokeCompromised(later.sweep);
    expect(await later.sweep.compromised.list(10)).toEqual([]);
  });
});
