import { execFileSync, spawnSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { produced } from '@gigvault/testkit/produced';
import { readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import type { GeneralName } from '@gigvault/x509/general-name';
import { formatName } from '@gigvault/x509/name';
import { toPem } from '@gigvault/x509/pem';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { clock, leaf, newKey, plan, request } from '../../test/ceremony-fixture.ts';
import { parsePlan, planHash } from '../plan/plan.ts';
import { subordinateProblem } from './check-hierarchy.ts';
import { createRoot } from './create-root.ts';
import { issueRootCrl } from './issue-root-crl.ts';
import { protectRootKey, unlockRootKey } from './protect-root-key.ts';
import { newMemoryRootKey } from './root-key.ts';
import { type CeremonyResult, runCeremony } from './run-ceremony.ts';
import { signSubordinateCa } from './sign-subordinate-ca.ts';
import { verifyTranscript } from './transcript.ts';

const issuingKey = newKey();
const servicesKey = newKey();
let directory: string;
let result: CeremonyResult;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gigvault-ceremony-'));
  const issuingCsr = request('issuing', issuingKey);
  result = await runCeremony(
    plan,
    { issuingCsr, servicesCsr: request('services', servicesKey) },
    clock,
  );
  await write('root.crt', result.rootCertificate);
  await write('issuing.crt', result.issuingCertificate);
  await write('services.crt', result.servicesCertificate);
  await write('root.crl', result.rootCrl, 'X509 CRL');
  const { rootCertificate, issuingCertificate, servicesCertificate } = result;
  for (const der of [rootCertificate, issuingCertificate, servicesCertificate])
    produced('certificate', der);
  produced('crl', result.rootCrl);
});
afterAll(() => rm(directory, { recursive: true }));

async function write(name: string, der: Buffer, label = 'CERTIFICATE'): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, toPem(label, der));
  return path;
}

/** openssl verify, strict; empty output means that it is satisfied. */
function opensslProblem(certificate: string, ...more: string[]): string {
  const args = [
    'verify',
    '-x509_strict',
    '-purpose',
    'any',
    '-CAfile',
    'root.crt',
    ...more,
    certificate,
  ];
  const { status, stdout, stderr } = spawnSync('openssl', args, {
    cwd: directory,
    encoding: 'utf8',
  });
  return status === 0 ? '' : `${stdout}${stderr}`;
}

const text = (certificate: string) =>
  execFileSync('openssl', ['x509', '-in', certificate, '-noout', '-text'], {
    cwd: directory,
    encoding: 'utf8',
  });

describe('the hierarchy', () => {
  it('satisfies openssl, strictly, with the root CRL checked', () => {
    expect(opensslProblem('root.crt')).toBe('');
    for (const certificate of ['issuing.crt', 'services.crt']) {
      expect(opensslProblem(certificate)).toBe('');
      expect(opensslProblem(certificate, '-crl_check', '-CRLfile', 'root.crl')).toBe('');
    }
  });

  it('covers: G7, G9. has a P-384 root of 20 years and CAs of 5 years with path length 0', () => {
    const [root, issuing, services] = [
      result.rootCertificate,
      result.issuingCertificate,
      result.servicesCertificate,
    ].map(readCertificate);
    expect(root!.publicKey.keyType).toBe('ec-p384');
    expect(root!.pathLenConstraint).toBeUndefined();
    const years = (from: number, to: number) =>
      new Date(to).getUTCFullYear() - new Date(from).getUTCFullYear();
    expect(years(root!.notBefore, root!.notAfter + 1000)).toBe(20);
    for (const ca of [issuing!, services!]) {
      expect(years(ca.notBefore, ca.notAfter + 1000)).toBe(5);
      expect(ca.pathLenConstraint).toBe(0);
    }
    expect(text('issuing.crt')).toContain('URI:http://localhost:8080/crl/root/0.crl');
    expect(text('issuing.crt')).toContain('CA Issuers - URI:http://localhost:8080/ca/root.crt');
    expect(text('issuing.crt')).not.toContain('Name Constraints');
  });

  it('has a CRL of one year that lists nothing, and a next one that keeps what was revoked', async () => {
    const first = readCertList(result.rootCrl);
    expect([first.crlNumber, first.scope, [...first.entries()]]).toEqual([1n, 'caCerts', []]);
    expect(first.nextUpdate - first.thisUpdate).toBe(365 * 86_400_000);

    const root = await createRoot(plan, newMemoryRootKey(), clock);
    const revoked = { serialNumber: '01ab', revokedAt: first.thisUpdate, reasonCode: 2 };
    const second = await issueRootCrl(root, clock, {
      previous: await issueRootCrl(root, clock),
      revoked: [revoked],
    });
    const again = { ...revoked, reasonCode: 1 };
    const third = readCertList(
      await issueRootCrl(root, clock, { previous: second, revoked: [again] }),
    );
    expect([third.crlNumber, [...third.entries()]]).toEqual([3n, [revoked]]);
  });
});

describe('the services CA', () => {
  const names: readonly (readonly [GeneralName, boolean])[] = [
    [{ type: 'uri', value: 'spiffe://gigvault.local/service/ca' }, true],
    [{ type: 'uri', value: 'spiffe://evil.example/service/ca' }, false],
    [{ type: 'uri', value: 'spiffe://sub.gigvault.local/service/ca' }, false],
    [{ type: 'uri', value: 'spiffe://gigvault.local.evil.example/service/ca' }, false],
    [{ type: 'dns', value: 'localhost' }, false],
    [{ type: 'dns', value: 'gigvault.local' }, false],
    [{ type: 'ip', value: '127.0.0.1' }, false],
    [{ type: 'ip', value: '::1' }, false],
  ];
  it.each(names)('may certify %j: %s', async (name, allowed) => {
    const path = await write(
      `${crypto.randomUUID()}.crt`,
      leaf(result.servicesCertificate, servicesKey, [name]),
    );
    const problem = opensslProblem(path, '-untrusted', 'services.crt');
    if (allowed) expect(problem).toBe('');
    else expect(problem).toMatch(/permitted subtree violation|excluded subtree violation/);
  });

  it('says so in a critical extension', () => {
    expect(text('services.crt')).toMatch(
      /Name Constraints: critical\s+Permitted:\s+URI:gigvault\.local/,
    );
  });
});

describe('requests', () => {
  it('with another subject or key type than the plan are refused', async () => {
    const root = await createRoot(plan, newMemoryRootKey(), clock);
    const swapped = request('services', newKey());
    await expect(signSubordinateCa(root, 'issuing', swapped, clock)).rejects.toThrow(
      'the plan says',
    );
    const other = { ...plan, issuing: { ...plan.issuing, keyType: 'ec-p384' as const } };
    const own = request('issuing', newKey());
    await expect(
      signSubordinateCa({ ...root, plan: other }, 'issuing', own, clock),
    ).rejects.toThrow('the plan says ec-p384');
  });

  it('of the issuing CA’s next key get the next name; the services CA has one key — covers: G24', async () => {
    const root = await createRoot(plan, newMemoryRootKey(), clock);
    const sign = (kind: 'issuing' | 'services', generation: number) =>
      signSubordinateCa(root, kind, request(kind, newKey(), generation), clock);
    const next = await sign('issuing', 2);
    expect(formatName(next.subject)).toBe('O=Test, CN=Test Issuing CA G2');
    expect(
      subordinateProblem(plan, 'issuing', next, root.certificate, clock.now()),
    ).toBeUndefined();
    await expect(sign('services', 2)).rejects.toThrow('the plan says');
  });

  it('that would outlive the root are refused', async () => {
    const short = { ...plan, root: { ...plan.root, validityYears: 3 } };
    const root = await createRoot(short, newMemoryRootKey(), clock);
    const tooLong = signSubordinateCa(root, 'issuing', request('issuing', newKey()), clock);
    await expect(tooLong).rejects.toThrow('valid until');
  });

  it('that do not prove possession are refused', async () => {
    const root = await createRoot(plan, newMemoryRootKey(), clock);
    const der = request('issuing', newKey());
    der[der.length - 1]! ^= 1;
    await expect(signSubordinateCa(root, 'issuing', der, clock)).rejects.toThrow();
  });
});

describe('the root key', () => {
  it('is encrypted under the passphrase, which may be typed in other ways', () => {
    const { encryptedRootKey, passphrase } = result;
    expect(encryptedRootKey).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    expect(passphrase).toMatch(/^([0-9A-HJKMNP-TV-Z]{5}-){5}[0-9A-HJKMNP-TV-Z]{5}$/);
    expect(unlockRootKey(encryptedRootKey, passphrase).asymmetricKeyType).toBe('ec');
    const typed = ` ${passphrase.toLowerCase().replaceAll('-', ' ').replaceAll('0', 'o').replaceAll('1', 'l')}\n`;
    expect(unlockRootKey(encryptedRootKey, typed).asymmetricKeyType).toBe('ec');
  });

  it('does not open with another passphrase, and the error does not tell it', () => {
    const wrong = '00000-00000-00000-00000-00000-00000';
    expect(() => unlockRootKey(result.encryptedRootKey, wrong)).toThrow(
      'cannot be decrypted with this passphrase',
    );
    expect(() => unlockRootKey(result.encryptedRootKey, '')).toThrow(
      'six groups'.replace('six', '6'),
    );
    expect(() => protectRootKey(newKey(), 'correct horse')).toThrow('6 groups');
  });

  it('opens with openssl too', () => {
    const out = execFileSync('openssl', ['pkey', '-passin', `pass:${result.passphrase}`], {
      input: result.encryptedRootKey,
      encoding: 'utf8',
    });
    expect(createPrivateKey(out).asymmetricKeyDetails?.namedCurve).toBe('secp384r1');
  });
});

describe('the transcript', () => {
  it('tells what was done to what, under the plan’s hash', () => {
    const record = verifyTranscript(result.transcript, result.rootCertificate);
    expect(record.planSha256).toBe(planHash(plan));
    expect(record.steps.map(({ step }) => step)).toEqual([
      'read the plan',
      'made the root key',
      'signed the root certificate',
      'signed the issuing CA',
      'signed the services CA',
      'issued the root CRL',
      'encrypted the root key',
    ]);
    expect(result.transcript).not.toContain(result.passphrase);
  });

  it('that was changed anywhere does not verify', () => {
    const changes: ((text: string) => string)[] = [
      (t) => t.replace('signed the issuing CA', 'signed a issuing CA'),
      (t) => t.replace(/"sha256": "(.)/, (_, c) => `"sha256": "${c === '0' ? '1' : '0'}`),
      (t) => t.replace('"0.1.0"', '"0.1.1"'),
      (t) => t.replace('"signature": "', '"signature": "AAAA'),
      (t) => t.replace('"record": {', '"record": { "extra": 1,'),
      (t) => t.slice(0, -10),
    ];
    for (const change of changes) {
      const changed = change(result.transcript);
      expect(changed).not.toBe(result.transcript);
      expect(() => verifyTranscript(changed, result.rootCertificate)).toThrow(/transcript/);
    }
  });

  it('of one root does not verify under another', async () => {
    const other = await createRoot(plan, newMemoryRootKey(), clock);
    expect(() => verifyTranscript(result.transcript, other.certificate.der)).toThrow(
      'another root',
    );
  });
});

describe('a plan', () => {
  const yaml = (plan: object) => JSON.stringify(plan);
  it('is read from YAML; layout does not change its hash', () => {
    expect(planHash(parsePlan(yaml(plan)))).toBe(planHash(plan));
  });

  it('with unknown, missing or wild values is refused, with every problem told', () => {
    const { issuing, ...rest } = plan;
    const bad: object[] = [
      rest,
      { ...plan, extra: 1 },
      { ...plan, trustDomain: 'GigVault.local' },
      { ...plan, statusUrl: 'http://localhost:8080/' },
      { ...plan, issuing: { ...issuing, validityYears: 50 } },
      { ...plan, issuing: { ...issuing, keyType: 'rsa-1024' } },
    ];
    for (const plan of bad) expect(() => parsePlan(yaml(plan))).toThrow('The plan is wrong');
    expect(() => parsePlan('a: [')).toThrow('not YAML');
  });
});
