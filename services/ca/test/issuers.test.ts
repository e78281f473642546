import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { issueCertificate } from '../src/issuance/issue-certificate.ts';
import { createIssuer } from '../src/issuers/create-issuer.ts';
import { listIssuers, listProfiles } from '../src/issuers/list-issuers.ts';
import {
  type CaProcess,
  eventsAbout,
  newKey,
  request,
  startTestCa,
  type TestCa,
} from './test-ca.ts';

let ca: TestCa;
let process: CaProcess;

beforeAll(async () => {
  ca = await startTestCa({ crlShards: 4 });
  process = ca.process();
});
afterAll(() => ca.stop());

const create = (changes: object) => {
  const certificate = ca.caCertificate('Spare CA', ca.issuerKeys['ca-spare']);
  return createIssuer(
    process.deps.issuers,
    { ...ca.createIssuerRequest('spare', 'ca-spare', certificate), ...changes },
    'service:gigvault',
  );
};

describe('creating an issuer', () => {
  const cases: [string, () => object, string][] = [
    ['whose key keymgr does not have', () => ({ keyId: 'ca-none' }), 'KEY_NOT_FOUND'],
    ['whose key is another', () => ({ keyId: 'ca-issuing' }), 'INVALID_ARGUMENT'],
    ['without its root', () => ({ chain: [] }), 'INVALID_ARGUMENT'],
    [
      'under a foreign root',
      () => ({ chain: [ca.caCertificate('Test Root', newKey('P-384'))] }),
      'INVALID_ARGUMENT',
    ],
    [
      'that is no certificate',
      () => ({ certificate: Buffer.from('3000', 'hex') }),
      'INVALID_ARGUMENT',
    ],
    ['with an id that no URL can hold', () => ({ issuerId: 'A/../b' }), 'INVALID_ARGUMENT'],
    ['with status URLs that are none', () => ({ statusPublicUrl: 'ldap://x' }), 'INVALID_ARGUMENT'],
  ];
  it.each(cases)('%s is refused', async (_, changes, code) => {
    await expect(create(changes())).rejects.toMatchObject({ code });
  });

  it('that is not a CA is refused', async () => {
    const { certificate, chain } = await issueCertificate(process.deps.issuance, request(process));
    await expect(create({ certificate, chain })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('is idempotent on id and certificate, fixes the URLs, and leaves one event', async () => {
    const certificate = ca.caCertificate('Spare CA', ca.issuerKeys['ca-spare']);
    const first = await create({ certificate });
    expect(first).toMatchObject({
      ocspUrl: 'http://status.test:8080/ocsp',
      crlBaseUrl: 'http://status.test:8080/crl/spare',
      issuerUrl: 'http://status.test:8080/ca/spare.crt',
    });
    expect(await create({ certificate })).toEqual(first);
    const other = ca.caCertificate('Other CA', ca.issuerKeys['ca-spare']);
    await expect(create({ certificate: other })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(await eventsAbout(ca, ['spare'])).toMatchObject([
      { type: 'issuer.created', actor: 'service:gigvault' },
    ]);
    expect(
      (await listIssuers(process.deps.issuers.issuers)).map((issuer) => issuer.issuerId),
    ).toEqual(['issuing', 'services', 'spare']);
  });
});

describe('profiles', () => {
  it('are listed with the hash that orders pin', () => {
    const profiles = listProfiles(process.deps.profiles);
    expect(profiles.map((p) => p.name)).toEqual([
      'edge',
      'ocsp-signer',
      'service',
      'tls-client',
      'tls-server',
    ]);
    expect(profiles.every((p) => /^[0-9a-f]{64}$/.test(p.profileHash))).toBe(true);
    expect(profiles.filter((p) => p.public).map((p) => p.name)).toEqual([
      'tls-client',
      'tls-server',
    ]);
  });

  it('of enrolments cannot be pointed at the services CA', async () => {
    const rogue = ca.process({ profiles: { 'tls-client': { issuerId: 'services' } } });
    const order = request(rogue, { profile: 'tls-client', issuerId: 'services' });
    await expect(issueCertificate(rogue.deps.issuance, order)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('CRL shards', () => {
  it('are spread over the certificates, from 0', async () => {
    await Promise.all(
      Array.from({ length: 60 }, () => issueCertificate(process.deps.issuance, request(process))),
    );
    const { rows } = await ca.pool.query('SELECT DISTINCT crl_shard FROM certificate ORDER BY 1');
    expect(rows.map((row) => row.crl_shard)).toEqual([0, 1, 2, 3]);
  });
});
