import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type RunningService, runService } from '@gigvault/host/run-service';
import { RPC } from '@gigvault/rpc/contracts';
import { readPeerTable } from '@gigvault/rpc/peers';
import type { PeerName } from '@gigvault/rpc/service-name';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { caService } from '../src/ca.module.ts';
import { csr, request, startTestCa, type TestCa } from './test-ca.ts';

let ca: TestCa;
let service: RunningService;

beforeAll(async () => {
  ca = await startTestCa();
  const clients = new Map<unknown, unknown>([
    [RPC.keySigning, ca.keymgr.signing],
    [RPC.key, ca.keymgr.keys],
  ]);
  service = await runService(caService, caService.config.parse({}), {
    environment: 'development',
    trustDomain: 'gigvault.local',
    publicUrl: 'https://localhost:8443',
    peers: readPeerTable(
      readFileSync(new URL('../../../deploy/peers.yaml', import.meta.url), 'utf8'),
    ),
    clock: systemClock,
    clockGuard: createClockGuard(systemClock),
    metrics: createMetrics(),
    secrets: { resolve: () => Promise.reject(new Error('not used')) },
    dataDir: () => '/nonexistent',
    pool: () => ca.pool,
    log: () => silentLog,
    authenticator: () => ({ authenticate: () => Promise.reject(new Error('not used')) }),
    client: (_, contract) => clients.get(contract) as never,
  });
  await service.startWorkers();
});
afterAll(async () => {
  await service.stop();
  await ca.stop();
});

const call = (peer: PeerName, rpc: string, message: object) =>
  service.table.dispatch({
    peer,
    rpc: `gigvault.ca.v1.${rpc}`,
    request: message,
    signal: new AbortController().signal,
    requestId: randomUUID(),
    traceId: '',
  }) as Promise<Record<string, unknown>>;

describe('the service', () => {
  it('issues for ra, shows the certificate, and revokes for enroll', async () => {
    const issued = await call('ra', 'IssuanceService/IssueCertificate', request(ca.process()));
    const serialNumber = String(issued['serialNumber']);
    expect(
      await call('enroll', 'CertificateService/GetCertificate', { serialNumber, issuerId: '' }),
    ).toMatchObject({ status: 'valid' });
    const revocation = { serialNumber, issuerId: '', reasonCode: 1, actor: 'acme:1' };
    expect(await call('enroll', 'RevocationService/RevokeCertificate', revocation)).toMatchObject({
      reasonCode: 1,
    });
    expect(
      await call('ocsp', 'CertificateService/GetCertificateStatus', {
        issuerId: 'issuing',
        serialNumbers: [serialNumber],
      }),
    ).toMatchObject({
      statuses: [{ status: 'revoked' }],
    });
  });

  it('lists issuers and profiles', async () => {
    expect(await call('crl', 'IssuerService/ListIssuers', {})).toMatchObject({
      issuers: [{ issuerId: 'issuing' }, { issuerId: 'services' }],
    });
    expect((await call('ra', 'IssuerService/ListProfiles', {}))['profiles']).toHaveLength(5);
  });

  it('issues to nobody but ra, and an internal certificate for whoever calls (covers: T61)', async () => {
    await expect(
      call('enroll', 'IssuanceService/IssueCertificate', request(ca.process())),
    ).rejects.toMatchObject({ code: 'FORBIDDEN' });
    const internal = {
      requestId: randomUUID(),
      profile: 'service',
      issuerId: 'services',
      certificationRequest: csr([]),
      subjectAltName: [],
    };
    expect(
      await call('notify', 'IssuanceService/IssueInternalCertificate', internal),
    ).toMatchObject({ issuerId: 'services' });
  });

  it('is healthy once it has issuers', async () => {
    for (const check of service.healthChecks) await check.check();
  });

  it('gives its events to its consumers', async () => {
    const pull = { acknowledged: 0, limit: 1, waitMs: 0 };
    const dispatch = {
      peer: 'audit',
      rpc: 'gigvault.event.v1.EventLogService/Pull',
      request: pull,
    } as const;
    const answer = await service.table.dispatch({
      ...dispatch,
      signal: new AbortController().signal,
      requestId: '',
      traceId: '',
    });
    expect(answer).toMatchObject({
      events: [{ position: 1, type: 'issuer.created', producer: 'ca' }],
    });
  });
});
