import { buildCaTbsCertificate } from '@gigvault/x509/ca-certificate';
import { type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import { describe, expect, it } from '@jest/globals';
import { clock, newKey, plan, request } from '../../test/ceremony-fixture.ts';
import { caSubject, type Plan, type SubordinateKind } from '../plan/plan.ts';
import { checkHierarchy, type Hierarchy } from './check-hierarchy.ts';
import { createRoot } from './create-root.ts';
import { issueRootCrl } from './issue-root-crl.ts';
import { type Root, rootUrls, signAsRoot } from './root.ts';
import { newMemoryRootKey } from './root-key.ts';
import { signCaKey, signSubordinateCa } from './sign-subordinate-ca.ts';

const DAY = 86_400_000;
const root = await createRoot(plan, newMemoryRootKey(), clock);
const good = await hierarchyOf(root);
const foreign = await hierarchyOf(await createRoot(plan, newMemoryRootKey(), clock));

async function hierarchyOf(by: Root): Promise<Hierarchy> {
  const sign = (kind: SubordinateKind) =>
    signSubordinateCa(by, kind, request(kind, newKey()), clock);
  const rootCrl = readCertList(await issueRootCrl(by, clock));
  const [issuing, services] = [await sign('issuing'), await sign('services')];
  return { root: by.certificate, issuing, services, rootCrl };
}

/** Signed by the right root, but not as rootca signs. */
async function unplanned(kind: SubordinateKind, more: object): Promise<ParsedCertificate> {
  const tbs = buildCaTbsCertificate({
    serialNumber: newSerialNumber(),
    issuer: root.certificate.subject,
    subject: caSubject(plan, kind),
    publicKey: publicKeyInfoOf(newKey()),
    issuerKeyIdentifier: root.certificate.publicKey.keyIdentifier,
    signingKeyType: 'ec-p384',
    notBefore: good.issuing.notBefore,
    notAfter: good.issuing.notAfter,
    pathLenConstraint: 0,
    ...rootUrls(plan),
    ...more,
  });
  return readCertificate(await signAsRoot(root.key, tbs));
}

const problems = (changes: Partial<Hierarchy>, now = clock.now(), by: Plan = plan) =>
  checkHierarchy(by, { ...good, ...changes }, now).map(({ part, problem }) => `${part} ${problem}`);

const revoked = { serialNumber: good.issuing.serialNumber, revokedAt: 0, reasonCode: 1 };

/** Hierarchies that are not this plan's, and what is said of them. */
const UNFIT: readonly (readonly [string, Partial<Hierarchy>, string])[] = [
  ['a foreign issuing CA', { issuing: foreign.issuing }, 'issuing is not signed by the root'],
  ['a foreign services CA', { services: foreign.services }, 'services is not signed'],
  ['a foreign CRL', { rootCrl: foreign.rootCrl }, 'rootCrl is not signed by the root'],
  ['swapped CAs', { issuing: good.services }, 'issuing is for "O=Test, CN=Test Services CA"'],
  ['a CA as root', { root: good.issuing }, 'root is for'],
  [
    'a revoked CA',
    { rootCrl: readCertList(await issueRootCrl(root, clock, { revoked: [revoked] })) },
    'issuing is revoked by the root CRL',
  ],
  [
    'any path length',
    { issuing: await unplanned('issuing', { pathLenConstraint: undefined }) },
    'issuing does not have path length 0',
  ],
  [
    'another status URL',
    { issuing: await unplanned('issuing', { crlUrl: 'http://elsewhere.example/root.crl' }) },
    'issuing says other things than the plan',
  ],
  [
    'a services CA without constraints',
    { services: await unplanned('services', {}) },
    'services says other things than the plan',
  ],
  [
    'a key of another type',
    { issuing: await otherKeyType() },
    'issuing has a key of type ec-p384, the plan says ec-p256',
  ],
  [
    'a life beyond the root’s',
    { issuing: await unplanned('issuing', { notAfter: root.certificate.notAfter + DAY }) },
    'issuing outlives the root',
  ],
];

describe('a hierarchy that was carried here', () => {
  it('is taken when it is this plan’s', () => {
    expect(problems({})).toEqual([]);
    expect(problems(foreign)).toEqual([]);
  });

  it.each(UNFIT)('is refused: %s', (_name, changes, problem) => {
    expect(problems(changes).join('\n')).toContain(problem);
  });

  it('is refused when it is old, or of another plan', () => {
    expect(problems({}, clock.now() + 366 * DAY)).toEqual(['rootCrl is overdue']);
    expect(problems({}, clock.now() + 6 * 366 * DAY)).toContain('issuing is not valid now');
    const other = { ...plan, trustDomain: 'other.example' };
    expect(problems({}, clock.now(), other).join()).toMatch(/^services says other things/);
  });
});

async function otherKeyType(): Promise<ParsedCertificate> {
  const issuing = { ...plan.issuing, keyType: 'ec-p384' as const };
  const { publicKey } = root.certificate;
  const asked = { kind: 'issuing', generation: 1, publicKey } as const;
  return signCaKey({ ...root, plan: { ...plan, issuing } }, asked, clock);
}
