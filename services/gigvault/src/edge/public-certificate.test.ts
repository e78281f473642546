import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import type { GetCertificateStatusRequest } from '@gigvault/proto/ca/v1/certificate';
import type { IssueInternalCertificateRequest } from '@gigvault/proto/ca/v1/issuance';
import { silentLog } from '@gigvault/telemetry/log';
import { eventually } from '@gigvault/testkit/eventually';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { FakeClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import {
  type PublicCertificate,
  publicCertificateRenewal,
  publicTls,
} from './public-certificate.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gigvault-public-'));
});
afterAll(() => rm(folder, { recursive: true }));

it('the public listener has another key and certificate within a minute of a revocation', async () => {
  const identities = createTestIdentities();
  const revoked = new Set<string>();
  const requests: IssueInternalCertificateRequest[] = [];
  const certificate = {
    files: { certificate: join(folder, 'edge.crt'), privateKey: join(folder, 'edge.key') },
    issuance: {
      async issueInternalCertificate(request: IssueInternalCertificateRequest) {
        requests.push(request);
        const { certificate: pem } = identities.identity('edge').current();
        return { certificate: new X509Certificate(pem).raw, chain: [] };
      },
    },
    certificates: {
      async getCertificateStatus({ issuerId, serialNumbers }: GetCertificateStatusRequest) {
        // Of any key of the CA: it may have a new one since.
        const isRevoked = issuerId === '' && serialNumbers.some((one) => revoked.has(one));
        return { statuses: [{ status: isRevoked ? 'revoked' : 'good' }] };
      },
    },
    clock: new FakeClock(Date.now()),
  } as unknown as PublicCertificate & { readonly clock: FakeClock };
  const { cert, key } = await publicTls(certificate);
  const copy = await readFile(certificate.files.certificate, 'utf8');
  await rm(certificate.files.certificate);
  expect(await publicTls(certificate)).toEqual({ cert, key });
  expect(await readFile(certificate.files.certificate, 'utf8')).toBe(copy);
  const used: SecureContextOptions[] = [];
  const use = (tls: SecureContextOptions) => void used.push(tls);
  const worker = publicCertificateRenewal({ ...certificate, log: silentLog, use });
  await worker.start();
  const { serialNumber } = new X509Certificate(String(cert));
  revoked.add(serialNumber.toLowerCase());
  await eventually(() => {
    certificate.clock.advance(60_000);
    expect(used).toHaveLength(1);
  });
  await worker.stop();
  expect(requests.map(({ profile }) => profile)).toEqual(['edge', 'edge']);
  const jwk = (pem: unknown) => createPrivateKey(String(pem)).export({ format: 'jwk' });
  expect(jwk(used[0]?.key)).not.toEqual(jwk(key));
});

it('what the public listener has from a start with the clock 100 days ahead is replaced by the next — covers: T15', async () => {
  const identities = createTestIdentities();
  const clock = new FakeClock(Date.now());
  const files = { certificate: join(folder, 'ahead.crt'), privateKey: join(folder, 'ahead.key') };
  const issuance = {
    async issueInternalCertificate() {
      const { certificate: pem } = identities.identity('edge').current();
      return { certificate: new X509Certificate(pem).raw, chain: [] };
    },
  };
  const certificate = { files, issuance, clock } as unknown as PublicCertificate;
  const first = await publicTls(certificate);
  expect(await publicTls(certificate)).toEqual(first);
  // As seen by the right clock, the first one's time is yet to come.
  clock.step(-100 * 86_400_000);
  expect((await publicTls(certificate)).key).not.toEqual(first.key);
});
