import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type {
  CertificateService,
  GetCertificateStatusRequest,
} from '@gigvault/proto/ca/v1/certificate';
import type {
  IssuanceService,
  IssueInternalCertificateRequest,
} from '@gigvault/proto/ca/v1/issuance';
import type { Client } from '@gigvault/rpc/call';
import { type MtlsMaterial, renewalTime } from '@gigvault/rpc/mtls-identity';
import { silentLog } from '@gigvault/telemetry/log';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { FakeClock } from '@gigvault/time/clock';
import { parseCertificationRequest } from '@gigvault/x509/certification-request';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type IdentityFiles, readIdentity, storeIdentity } from './identity-files.ts';
import { identityRenewal } from './identity-renewal.ts';

const DAY = 86_400_000;
const identities = createTestIdentities();
let folder: string;
let count = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gigvault-identity-'));
});

afterAll(() => rmSync(folder, { recursive: true }));

async function filesWith(material: MtlsMaterial): Promise<IdentityFiles> {
  const at = (name: string) => join(folder, `${count}-${name}`);
  count++;
  const files = { servicesCa: at('ca.crt'), certificate: at('ra.crt'), privateKey: at('ra.key') };
  writeFileSync(files.servicesCa, material.servicesCa);
  await storeIdentity(files, material);
  return files;
}

function belongTogether({ certificate, privateKey }: MtlsMaterial): boolean {
  createSecureContext({ cert: certificate, key: privateKey });
  return true;
}

describe('the files of an identity', () => {
  const first = identities.identity('ra').current();
  const second = identities.identity('ra').current();

  it('give back what was stored, the key for its owner only', async () => {
    const files = await filesWith(first);
    expect(readIdentity(files)).toEqual(first);
    expect(statSync(files.privateKey).mode & 0o777).toBe(0o600);
    expect(readFileSync(files.certificate, 'utf8')).toBe(first.certificate);
  });

  it('hold a key and its certificate whenever a replacement is cut off', async () => {
    const files = await filesWith(first);
    // What is on disk after the first of storeIdentity's two renames.
    const old = readFileSync(files.certificate);
    await storeIdentity(files, second);
    writeFileSync(files.certificate, old);
    expect(readIdentity(files)).toEqual(second);
    expect(belongTogether(readIdentity(files))).toBe(true);
  });

  it('may be two plain ones, as an operator brings them', async () => {
    const files = await filesWith(first);
    writeFileSync(files.privateKey, second.privateKey);
    writeFileSync(files.certificate, second.certificate);
    expect(readIdentity(files)).toEqual(second);
  });

  it('are named when they are not there', async () => {
    const files = { ...(await filesWith(first)), privateKey: join(folder, 'missing.key') };
    expect(() => readIdentity(files)).toThrow(
      `The identity file ${files.privateKey} cannot be read.`,
    );
  });
});

describe('the renewal of an identity (covers: G88)', () => {
  async function world(
    issue: (request: IssueInternalCertificateRequest) => Promise<Buffer>,
    early = 60_000,
  ) {
    const identity = identities.identity('ra');
    const files = await filesWith(identity.current());
    const due = renewalTime(identity.current().certificate);
    const clock = new FakeClock(due - early);
    const requests: IssueInternalCertificateRequest[] = [];
    const issuance = {
      async issueInternalCertificate(request: IssueInternalCertificateRequest) {
        requests.push(request);
        return { certificate: await issue(request), chain: [] };
      },
    } as unknown as Client<IssuanceService>;
    const revoked = new Set<string>();
    const certificates = {
      async getCertificateStatus({ issuerId, serialNumbers }: GetCertificateStatusRequest) {
        const isRevoked = serialNumbers.some((one) => revoked.has(`${issuerId}/${one}`));
        return { statuses: [{ status: isRevoked ? 'revoked' : 'good' }] };
      },
    } as unknown as Client<CertificateService>;
    const warnings: string[] = [];
    const log = {
      ...silentLog,
      child: () => ({ ...silentLog, warn: (_: object, msg: string) => void warnings.push(msg) }),
    };
    const worker = identityRenewal({ identity, files, issuance, certificates, clock, log });
    const tick = async (ms: number) => {
      clock.advance(ms);
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    };
    return { identity, files, requests, revoked, warnings, worker, tick };
  }
  const anyCertificate = async () =>
    new X509Certificate(identities.identity('ra', Date.now() + 9 * DAY).current().certificate).raw;

  it('asks at two thirds of the life, not before, for a fresh key under the peer’s name', async () => {
    const { identity, files, requests, worker, tick } = await world(anyCertificate);
    const before = identity.current();
    let replaced: MtlsMaterial | undefined;
    identity.onReplace((material) => {
      replaced = material;
    });
    await worker.start();
    await tick(0);
    await tick(59_999);
    expect(requests).toHaveLength(0);
    await tick(1);
    await worker.stop();
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({ profile: 'service', issuerId: 'services' });
    const request = parseCertificationRequest(requests[0]?.certificationRequest as Buffer);
    expect(request.subjectAltName).toEqual([
      { type: 'uri', value: 'spiffe://gigvault.test/service/ra' },
    ]);
    expect(replaced).toEqual(readIdentity(files));
    expect(replaced?.servicesCa).toBe(before.servicesCa);
    expect(replaced?.privateKey).not.toBe(before.privateKey);
  });

  it('replaces at once what is not valid yet — covers: T15', async () => {
    const { identity, requests, worker, tick } = await world(anyCertificate, 100 * DAY);
    const before = identity.current();
    await worker.start();
    await tick(0);
    await worker.stop();
    expect(requests).toHaveLength(1);
    expect(identity.current().privateKey).not.toBe(before.privateKey);
  });

  it('has another key within a minute of its revocation, and a warning', async () => {
    const { identity, files, requests, revoked, warnings, worker, tick } = await world(
      anyCertificate,
      10 * 60_000,
    );
    const before = identity.current();
    await worker.start();
    await tick(0);
    await tick(60_000);
    expect(requests).toHaveLength(0);
    const { serialNumber } = new X509Certificate(before.certificate);
    revoked.add(`services/${serialNumber.toLowerCase()}`);
    await tick(60_000);
    await tick(60_000);
    await worker.stop();
    expect(requests).toHaveLength(1);
    expect(identity.current().privateKey).not.toBe(before.privateKey);
    expect(readIdentity(files)).toEqual(identity.current());
    expect(warnings).toEqual(['service certificate was revoked; it has a new key now']);
  });

  it('tries again when the CA does not answer, and keeps what it has meanwhile', async () => {
    let down = true;
    const { identity, requests, worker, tick } = await world(async () => {
      if (down) throw new GigvaultError('UNAVAILABLE', 'ca cannot be reached.');
      return anyCertificate();
    });
    const before = identity.current();
    await worker.start();
    await tick(0);
    await tick(60_000);
    await tick(200);
    expect(requests.length).toBeGreaterThanOrEqual(2);
    expect(identity.current()).toEqual(before);
    down = false;
    await tick(60_000);
    await worker.stop();
    expect(identity.current()).not.toEqual(before);
  });
});
