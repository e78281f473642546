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
import { signCaKey, signSubordinateCa } from './sign-subordinate-ca.ts';

const DAY = 86_400_000;
const root = createRoot(plan, clock);
const good = hierarchyOf(root);
const foreign = hierarchyOf(createRoot(plan, clock));

function hierarchyOf(by: Root): Hierarchy {
  const sign = (kind: SubordinateKind) =>
    signSubordinateCa(by, kind, request(kind, newKey()), clock);
  const rootCrl = readCertList(issueRootCrl(by, clock));
  return { root: by.certificate, issuing: sign('issuing'), services: sign('services'), rootCrl };
}

/** Signed by the right root, but not as rootca signs. */
function unplanned(kind: SubordinateKind, more: object): ParsedCertificate {
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
  return readCertificate(signAsRoot(root.privateKey, root.certificate.publicKey, tbs));
}

const problems = (changes: Partial<Hierarchy>, now = clock.now(), by: Plan = plan) =>
  checkHierarchy(by, { ...good, ...changes }, now).map(({ part, problem }) => `${part} ${problem}`);

describe('a hierarchy that was carried here', () => {
  it('is taken when it is this plan’s', () => {
    expect(problems({})).toEqual([]);
    expect(problems(foreign)).toEqual([]);
  });

  const revoked = { serialNumber: good.issuing.serialNumber, revokedAt: 0, reasonCode: 1 };
  it.each<readonly [string, Partial<Hierarchy>, string]>([
    ['a foreign issuing CA', { issuing: foreign.issuing }, 'issuing is not signed by the root'],
    ['a foreign services CA', { services: foreign.services }, 'services is not signed'],
    ['a foreign CRL', { rootCrl: foreign.rootCrl }, 'rootCrl is not signed by the root'],
    ['swapped CAs', { issuing: good.services }, 'issuing is for "O=Test, CN=Test Services CA"'],
    ['a CA as root', { root: good.issuing }, 'root is for'],
    [
      'a revoked CA',
      { rootCrl: readCertList(issueRootCrl(root, clock, { revoked: [revoked] })) },
      'issuing is revoked by the root CRL',
    ],
    [
      'any path length',
      { issuing: unplanned('issuing', { pathLenConstraint: undefined }) },
      'issuing does not have path length 0',
    ],
    [
      'another status URL',
      { issuing: unplanned('issuing', { crlUrl: 'http://elsewhere.example/root.crl' }) },
      'issuing says other things than the plan',
    ],
    [
      'a services CA without constraints',
      { services: unplanned('services', {}) },
      'services says other things than the plan',
    ],
    [
      'a key of another type',
      { issuing: otherKeyType() },
      'issuing has a key of type ec-p384, the plan says ec-p256',
    ],
    [
      'a life beyond the root’s',
      { issuing: unplanned('issuing', { notAfter: root.certificate.notAfter + DAY }) },
      'issuing outlives the root',
    ],
  ])('is refused: %s', (_name, changes, problem) => {
    expect(problems(changes).join('\n')).toContain(problem);
  });

  it('is refused when it is old, or of another plan', () => {
    expect(problems({}, clock.now() + 366 * DAY)).toEqual(['rootCrl is overdue']);
    expect(problems({}, clock.now() + 6 * 366 * DAY)).toContain('issuing is not valid now');
    const other = { ...plan, trustDomain: 'other.example' };
    expect(problems({}, clock.now(), other).join()).toMatch(/^services says other things/);
  });
});

function otherKeyType(): ParsedCertificate {
  const issuing = { ...plan.issuing, keyType: 'ec-p384' as const };
  const key = root.certificate.publicKey;
  return signCaKey({ ...root, plan: { ...plan, issuing } }, 'issuing', key, clock);
}
