import { execFileSync } from 'node:child_process';
import { randomUUID, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import { assembleSigned, readCertificate } from '@gigvault/x509/certificate';
import { buildRequestInfo } from '@gigvault/x509/certification-request';
import { toPem } from '@gigvault/x509/pem';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { signatureAlgorithm, signTbs } from '@gigvault/x509/signature';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { checkIssuance } from '../src/issuance/check-issuance.ts';
import { issueCertificate } from '../src/issuance/issue-certificate.ts';
import { revokeCertificate } from '../src/revocation/revoke-certificate.ts';
import {
  type CaProcess,
  certificatesOf,
  check,
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
afterEach(() => check(ca));
afterAll(() => ca.stop());

const issue = (changes = {}) => issueCertificate(process.deps.issuance, request(process, changes));
const checkFirst = (changes = {}) =>
  checkIssuance(process.deps.issuance, request(process, changes));

describe('issuing', () => {
  it('gives a certificate that openssl verifies under -x509_strict, with its chain', async () => {
    const issued = await issue({ commonName: 'API.example.com' });
    expect(issued.chain).toHaveLength(2);
    expect(verifyWithOpenssl(issued.certificate, issued.chain)).toMatch(/leaf\.pem: OK/);
    const leaf = new X509Certificate(issued.certificate);
    expect(leaf.subject).toBe('CN=api.example.com');
    expect(leaf.subjectAltName).toBe('DNS:api.example.com');
    expect(leaf.infoAccess).toContain('http://status.test:8080/ocsp');
    expect(leaf.serialNumber.toLowerCase()).toBe(issued.serialNumber);
  });

  it('can be checked first, which keeps nothing', async () => {
    const order = { requestId: randomUUID() };
    await checkFirst(order);
    const { rows } = await ca.pool.query('SELECT FROM intent WHERE request_id = $1', [
      order.requestId,
    ]);
    expect(rows).toHaveLength(0);
    await issue(order);
  });

  it('writes intent before certificate into the event log, with what was decided', async () => {
    const issued = await issue();
    const events = await eventsAbout(ca, [issued.serialNumber]);
    expect(events.map((event) => event.type)).toEqual([
      'certificate.intended',
      'certificate.issued',
    ]);
    expect(events[0]).toMatchObject({
      actor: 'acme:1',
      data: { profile: 'tls-server', names: ['dns:api.example.com'] },
    });
    expect(events[1]?.data).toMatchObject({
      issuerId: 'issuing',
      serialNumber: issued.serialNumber,
      crlShard: 0,
    });
  });

  it('gives localhost and addresses names in the development profile', async () => {
    const subjectAltName = [
      { type: 'dns', value: 'www.localhost' },
      { type: 'dns', value: 'localhost' },
      { type: 'ip', value: '0:0::1' },
    ];
    const { certificate } = await issue({ subjectAltName, commonName: 'localhost' });
    expect(new X509Certificate(certificate).subjectAltName).toBe(
      'DNS:www.localhost, DNS:localhost, IP Address:0:0:0:0:0:0:0:1',
    );
  });

  it('counts what it issued and refused', async () => {
    await issue();
    await expect(issue({ profileHash: 'x' })).rejects.toMatchObject({ code: 'PROFILE_CHANGED' });
    const text = await process.metrics.exposition();
    expect(text).toMatch(
      /gigvault_certificates_issued_total\{ca="issuing",profile="tls-server",protocol="acme"\} \d/,
    );
    expect(text).toMatch(/gigvault_certificates_rejected_total\{reason="PROFILE_CHANGED"\} 1/);
    expect(text).toMatch(/gigvault_ca_not_after_timestamp_seconds\{ca="issuing"\} \d/);
  });

  it('counts a refusal once, at the check or at the issuance, and nothing for a check that passes', async () => {
    const refusals = async () =>
      Number(
        /rejected_total\{reason="REJECTED_IDENTIFIER"\} (\d+)/.exec(
          await process.metrics.exposition(),
        )?.[1] ?? 0,
      );
    const bad = { subjectAltName: [{ type: 'dns', value: 'not a name' }] };
    const before = await refusals();
    await expect(checkFirst(bad)).rejects.toMatchObject({ code: 'REJECTED_IDENTIFIER' });
    expect((await refusals()) - before).toBe(1);
    await expect(issue(bad)).rejects.toMatchObject({ code: 'REJECTED_IDENTIFIER' });
    expect((await refusals()) - before).toBe(2);
    await checkFirst();
    expect((await refusals()) - before).toBe(2);
  });

  it('signs what arrives together in few batches and transactions', async () => {
    const before = ca.keymgr.batches.length;
    await Promise.all(Array.from({ length: 50 }, () => issue()));
    expect(ca.keymgr.batches.length - before).toBeLessThan(25);
  });
});

describe('idempotence on the request id', () => {
  it('gives 64 concurrent calls one certificate and one serial number (covers: T1)', async () => {
    const order = request(process);
    const answers = await Promise.all(
      Array.from({ length: 64 }, () => issueCertificate(process.deps.issuance, order)),
    );
    expect(new Set(answers.map((a) => a.serialNumber)).size).toBe(1);
    const { rows } = await ca.pool.query(
      'SELECT count(*)::int AS n FROM intent WHERE request_id = $1',
      [order.requestId],
    );
    expect(rows[0].n).toBe(1);
    expect(await certificatesOf(ca, order.requestId)).toHaveLength(1);
  });

  it('gives 64 concurrent calls in four processes one certificate (covers: T1)', async () => {
    const processes = Array.from({ length: 4 }, () =>
      ca.process({ reconciliation: { grace: '2s' } }),
    );
    const order = request(process);
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, i) =>
        issueCertificate(processes[i % 4]!.deps.issuance, order),
      ),
    );
    expect(new Set(answers.map((a) => a.serialNumber)).size).toBe(1);
    expect(await certificatesOf(ca, order.requestId)).toHaveLength(1);
  });

  it('gives four impatient processes one valid certificate: the others are given up (covers: T1)', async () => {
    const processes = Array.from({ length: 4 }, () => ca.process());
    const order = request(process);
    const answers = await Promise.allSettled(
      processes.map(({ deps }) => issueCertificate(deps.issuance, order)),
    );
    const issued = answers.flatMap((a) => (a.status === 'fulfilled' ? [a.value.serialNumber] : []));
    expect(new Set(issued).size).toBeLessThanOrEqual(1);
    const { serialNumber } = await issueCertificate(process.deps.issuance, order);
    expect([...issued, serialNumber].every((s) => s === serialNumber)).toBe(true);
  });

  it('returns the certificate even when the order would be refused today (covers: T2, T5)', async () => {
    const order = request(process);
    const first = await issueCertificate(process.deps.issuance, order);
    const again = await issueCertificate(process.deps.issuance, {
      ...order,
      profileHash: 'changed since',
    });
    expect(again.certificate.equals(first.certificate)).toBe(true);
  });
});

describe('what is refused, with nothing signed and nothing written', () => {
  const cases: [string, () => object, string][] = [
    [
      'a profile that changed since the order (covers: T14, L2)',
      () => ({ profileHash: '0'.repeat(64) }),
      'PROFILE_CHANGED',
    ],
    ['an internal profile', () => ({ profile: 'service' }), 'UNKNOWN_PROFILE'],
    [
      'a request that is not DER (covers: T23)',
      () => ({ certificationRequest: Buffer.from('308000', 'hex') }),
      'BAD_CSR',
    ],
    [
      'a request of a megabyte (covers: T22)',
      () => ({ certificationRequest: Buffer.alloc(1_000_000, 0x30) }),
      'BAD_CSR',
    ],
    [
      'a request without proof of possession (covers: T30)',
      () => ({ certificationRequest: stolenKeyRequest() }),
      'BAD_CSR',
    ],
    [
      'a key type that the profile does not take',
      () => ({ certificationRequest: csr(['a.example.com'], newKey('P-521')) }),
      'BAD_PUBLIC_KEY',
    ],
    [
      '101 names (covers: T22)',
      () => ({
        subjectAltName: Array.from({ length: 101 }, (_, i) => ({
          type: 'dns',
          value: `n${i}.example.com`,
        })),
      }),
      'INVALID_ARGUMENT',
    ],
    [
      'a commonName that is not a name (covers: T26)',
      () => ({ commonName: 'other.example.com' }),
      'REJECTED_IDENTIFIER',
    ],
    [
      'a spiffe URI',
      () => ({
        profile: 'tls-client',
        subjectAltName: [{ type: 'uri', value: 'spiffe://gigvault.local/service/ca' }],
      }),
      'REJECTED_IDENTIFIER',
    ],
    ['an issuer that does not exist', () => ({ issuerId: 'nowhere' }), 'INVALID_ARGUMENT'],
    [
      'a validity beyond the profile',
      () => ({ notAfter: systemClock.now() + 91 * 86_400_000 }),
      'INVALID_ARGUMENT',
    ],
    [
      'the key of the CA itself (covers: T29)',
      () => ({ certificationRequest: csr(['a.example.com'], ca.issuerKeys['ca-issuing']) }),
      'BAD_PUBLIC_KEY',
    ],
    [
      'the key of another CA of the house (covers: T29)',
      () => ({ certificationRequest: csr(['a.example.com'], ca.rootKey) }),
      'BAD_PUBLIC_KEY',
    ],
    [
      'a request for CA:TRUE (covers: T27)',
      () => ({ certificationRequest: opensslRequest('basicConstraints=critical,CA:TRUE') }),
      'BAD_CSR',
    ],
    ['a request id that is not a UUID', () => ({ requestId: 'x' }), 'INVALID_ARGUMENT'],
    ['no name at all (covers: T26)', () => ({ subjectAltName: [] }), 'INVALID_ARGUMENT'],
  ];
  it.each(cases)('%s', async (_, changes, code) => {
    const signedBefore = ca.keymgr.signed.size;
    const requestId = randomUUID();
    const order = { requestId, ...changes() };
    await expect(checkFirst(order)).rejects.toMatchObject({ code });
    await expect(issue(order)).rejects.toMatchObject({ code });
    const { rows } = await ca.pool.query('SELECT FROM intent WHERE request_id = $1', [requestId]);
    expect(rows).toHaveLength(0);
    expect(ca.keymgr.signed.size).toBe(signedBefore);
  });

  it('a key whose certificate was revoked for keyCompromise (covers: T29)', async () => {
    const certificationRequest = csr(['a.example.com'], newKey());
    const first = await issue({ certificationRequest });
    await revokeCertificate(process.deps.revocation, {
      serialNumber: first.serialNumber,
      issuerId: '',
      reasonCode: 1,
      actor: 'user:1',
    });
    await expect(issue({ certificationRequest })).rejects.toMatchObject({ code: 'BAD_PUBLIC_KEY' });
    await expect(checkFirst({ certificationRequest })).rejects.toMatchObject({
      code: 'BAD_PUBLIC_KEY',
    });
  });

  it('a certificate that a lint finds wrong: one problem for each finding', async () => {
    const signedBefore = ca.keymgr.signed.size;
    const nameless = { profile: 'tls-client', commonName: 'alice', subjectAltName: [] };
    await expect(issue(nameless)).rejects.toMatchObject({
      code: 'LINT_FAILED',
      problems: expect.arrayContaining([
        expect.objectContaining({ pointer: '/subject-alt-name-is-present' }),
      ]),
    });
    expect(ca.keymgr.signed.size).toBe(signedBefore);
  });
});

describe('what a request asks for beside its key', () => {
  it('is never copied: its extensions are left out (covers: T27)', async () => {
    const certificationRequest = opensslRequest(
      'extendedKeyUsage=codeSigning',
      'nameConstraints=permitted;DNS:example.com',
    );
    const issued = await issue({ certificationRequest });
    const leaf = readCertificate(issued.certificate);
    expect(leaf.isCa).toBe(false);
    expect(leaf.extensions.has('2.5.29.30')).toBe(false);
    expect(new X509Certificate(issued.certificate).keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });
});

describe('serial numbers', () => {
  it('are positive, of 20 octets or fewer, minimal, and all different (covers: T31)', async () => {
    const issued = await Promise.all(Array.from({ length: 40 }, () => issue()));
    const serials = issued.map((i) => i.serialNumber);
    expect(new Set(serials).size).toBe(40);
    for (const serial of serials) {
      const value = BigInt(`0x${serial}`);
      expect(value > 0n && value < 1n << 159n).toBe(true);
      expect(serial).toMatch(/^(?!00)([0-9a-f]{2}){1,20}$/);
    }
  });

  it('cannot be taken twice: the second intent is told so and nothing of it stays (covers: T31)', async () => {
    const { intents } = process.deps.issuance;
    const issued = await issue();
    const state = await ca.pool.query(
      'SELECT request_id FROM certificate WHERE serial_number = $1',
      [issued.serialNumber],
    );
    const taken = await intents.findByRequest(state.rows[0].request_id);
    const intent = { ...taken!.intent, intentId: randomUUID(), requestId: randomUUID() };
    const event = { type: 'certificate.intended', actor: 'a', subject: 'none', data: {} } as const;
    const [twin, neighbour] = await Promise.all([intents.open(intent, event), issue()]);
    expect(twin).toBe('serial-taken');
    expect(neighbour.serialNumber).not.toBe(issued.serialNumber);
    expect(await intents.findByRequest(intent.requestId)).toBeUndefined();
    expect(await eventsAbout(ca, ['none'])).toHaveLength(0);
  });
});

describe('the audit gate', () => {
  it('stops issuance while audit lags, lets revocation go on, and opens again (covers: T6)', async () => {
    const issued = await issue();
    const clock = new FakeClock(systemClock.now());
    const strict = ca.process({ auditLag: { events: 1, age: '1h' } }, clock);
    const order = request(strict);
    await expect(issueCertificate(strict.deps.issuance, order)).rejects.toMatchObject({
      code: 'AUDIT_LAGGING',
    });
    await revokeCertificate(strict.deps.revocation, {
      serialNumber: issued.serialNumber,
      issuerId: '',
      reasonCode: 4,
      actor: 'user:1',
    });
    const { rows } = await ca.pool.query('SELECT position::int AS head FROM outbox_head');
    await ca.eventLog.pull(
      'audit',
      { acknowledged: rows[0].head, limit: 1, waitMs: 0 },
      new AbortController().signal,
    );
    clock.advance(1_001);
    expect(
      (await issueCertificate(strict.deps.issuance, order)).certificate.length,
    ).toBeGreaterThan(300);
  });
});

/** A request for somebody else's public key, signed by another key. */
function stolenKeyRequest(): Buffer {
  const info = buildRequestInfo([], publicKeyInfoOf(newKey()), [
    { type: 'dns', value: 'a.example.com' },
  ]);
  return assembleSigned(info, signatureAlgorithm('ec-p256'), signTbs(newKey(), info));
}

function inDirectory<T>(run: (path: (name: string) => string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'gigvault-ca-'));
  try {
    return run((name) => join(directory, name));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function opensslRequest(...extensions: string[]): Buffer {
  return inDirectory((path) => {
    execFileSync(
      'openssl',
      [
        ...[
          'req',
          '-new',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:P-256',
          '-nodes',
          '-subj',
          '/CN=a.example.com',
        ],
        ...['-keyout', path('key'), '-outform', 'DER', '-out', path('csr')],
        ...extensions.flatMap((extension) => ['-addext', extension]),
      ],
      { stdio: 'pipe' },
    );
    return execFileSync('cat', [path('csr')]);
  });
}

function verifyWithOpenssl(certificate: Buffer, [issuer, root]: readonly Buffer[]): string {
  return inDirectory((path) => {
    writeFileSync(path('leaf.pem'), toPem('CERTIFICATE', certificate));
    writeFileSync(path('issuer.pem'), toPem('CERTIFICATE', issuer!));
    writeFileSync(path('root.pem'), toPem('CERTIFICATE', root!));
    const args = [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-CAfile',
      path('root.pem'),
      '-untrusted',
      path('issuer.pem'),
      path('leaf.pem'),
    ];
    return execFileSync('openssl', args, { encoding: 'utf8' });
  });
}
