import { generateKeyPairSync } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { CertificateService } from '@gigvault/proto/ca/v1/certificate';
import type { IssuanceService } from '@gigvault/proto/ca/v1/issuance';
import type { IssuerService } from '@gigvault/proto/ca/v1/issuer';
import type { Client } from '@gigvault/rpc/call';
import { type FakeEventLog, fakeEventLog } from '@gigvault/testkit/fake-event-log';
import { produced } from '@gigvault/testkit/produced';
import { selfSignedCa } from '@gigvault/testkit/self-signed-ca';
import type { Clock } from '@gigvault/time/clock';
import { assembleSigned, readCertificate } from '@gigvault/x509/certificate';
import { compileTemplate } from '@gigvault/x509/certificate-template';
import type { CertificateProfile } from '@gigvault/x509/profile';
import { readPublicKey } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import { signatureAlgorithm, signTbs } from '@gigvault/x509/signature';

const DAY = 86_400_000;
const P256 = signatureAlgorithm('ec-p256');

const BASE: CertificateProfile = {
  name: 'ocsp-signer',
  keyTypes: ['ec-p256'],
  keyUsage: ['digitalSignature'],
  extendedKeyUsage: ['OCSPSigning'],
  defaultValidity: 30 * DAY,
  maxValidity: 30 * DAY,
  backdate: 0,
  subject: 'fixed',
  nameTypes: [],
  wildcard: false,
  policyIdentifiers: [],
  crlDistributionPoint: false,
  authorityInfoAccess: [],
  ocspNoCheck: true,
};
const SIGNER = BASE;
const SERVER: CertificateProfile = {
  ...BASE,
  name: 'tls-server',
  extendedKeyUsage: ['serverAuth'],
  nameTypes: ['dns'],
  authorityInfoAccess: ['ocsp', 'caIssuers'],
  ocspNoCheck: false,
};

/** A `ca` with one public issuer, `issuing`, in memory. */
export interface FakeCa {
  /** DER. */
  readonly issuerCertificate: Buffer;
  readonly events: FakeEventLog;
  readonly certificate: Client<CertificateService>;
  readonly issuance: Client<IssuanceService>;
  readonly issuer: Client<IssuerService>;
  /** Serial numbers of each GetCertificateStatus call. */
  readonly asked: string[][];
  /** Certificates made for responders; retries of a request are not counted. */
  readonly responderCertificates: Buffer[];
  /** Of the issuer, as in ca/v1/issuer.proto. */
  state: string;
  /** Issuers that were confirmed. */
  readonly confirmed: string[];
  /** While true, RPCs fail (the event log has its own switch). */
  down: boolean;
  /** Held before each GetCertificateStatus answers. */
  gate: Promise<void>;
  /** Issues a certificate. @param announce false: the event does not come. */
  issue(announce?: boolean): { readonly serialNumber: string; readonly certificate: Buffer };
  revoke(serialNumber: string, reasonCode: number, announce?: boolean): void;
}

interface Status {
  status: 'good' | 'revoked';
  revokedAt: number;
  reasonCode: number;
  notAfter: number;
}

/** Starts with no certificate issued. */
export function fakeCa(clock: Clock): FakeCa {
  const key = selfSignedCa('Test Issuing CA', clock.now());
  const issuerCertificate = key.certificate;
  const events = fakeEventLog(clock);
  const statuses = new Map<string, Status>();
  const byRequest = new Map<string, Buffer>();

  function certify(profile: CertificateProfile, publicKey: Buffer, serialNumber: string): Buffer {
    const template = compileTemplate(profile, {
      certificate: issuerCertificate,
      keyType: 'ec-p256',
      ocspUrl: 'http://status.test/ocsp',
      issuerUrl: 'http://status.test/ca/issuing.crt',
      crlBaseUrl: 'http://status.test/crl/issuing',
    });
    const server = profile === SERVER;
    const tbs = template.build({
      serialNumber,
      notBefore: clock.now() - 60_000,
      notAfter: clock.now() - 60_000 + 30 * DAY,
      subject: server ? [] : [{ type: 'CN', value: 'OCSP' }],
      subjectAltName: server ? [{ type: 'dns', value: 'leaf.test' }] : [],
      publicKey: readPublicKey(publicKey),
      crlShard: 0,
    });
    return produced('certificate', assembleSigned(tbs, P256, signTbs(key.privateKey, tbs)));
  }

  const ca: FakeCa = {
    issuerCertificate,
    events,
    asked: [],
    state: 'current',
    confirmed: [],
    responderCertificates: [],
    down: false,
    gate: Promise.resolve(),
    certificate: {
      getCertificate: () => Promise.reject(new Error('not used')),
      listCertificates: () => Promise.reject(new Error('not used')),
      async getCertificateStatus({ serialNumbers }) {
        ca.asked.push(serialNumbers);
        await ca.gate;
        if (ca.down) throw new GigvaultError('UNAVAILABLE', 'ca is down');
        return {
          statuses: serialNumbers.map((serialNumber) => {
            const unknown = { status: 'unknown', revokedAt: 0, reasonCode: 0, notAfter: 0 };
            return { serialNumber, ...(statuses.get(serialNumber) ?? unknown) };
          }),
        };
      },
    },
    issuance: {
      issueCertificate: () => Promise.reject(new Error('not used')),
      checkIssuance: () => Promise.reject(new Error('not used')),
      async issueInternalCertificate({ requestId, profile, certificationRequest }) {
        if (ca.down) throw new GigvaultError('UNAVAILABLE', 'ca is down');
        if (profile !== 'ocsp-signer') throw new GigvaultError('UNKNOWN_PROFILE', profile);
        const serialNumber = newSerialNumber();
        let certificate = byRequest.get(requestId);
        if (!certificate) {
          certificate = certify(SIGNER, certificationRequest, serialNumber);
          byRequest.set(requestId, certificate);
          ca.responderCertificates.push(certificate);
          const { notAfter } = readCertificate(certificate);
          statuses.set(serialNumber, { status: 'good', revokedAt: 0, reasonCode: 0, notAfter });
        }
        return { serialNumber, issuerId: 'issuing', certificate, chain: [issuerCertificate] };
      },
    },
    issuer: {
      listProfiles: () => Promise.reject(new Error('not used')),
      createIssuer: () => Promise.reject(new Error('not used')),
      async listIssuers() {
        if (ca.down) throw new GigvaultError('UNAVAILABLE', 'ca is down');
        const common = { chain: [], crlShards: 1, ocspUrl: '', crlBaseUrl: '', issuerUrl: '' };
        const issuing = {
          issuerId: 'issuing',
          certificate: issuerCertificate,
          keyId: 'ca-issuing',
        };
        const place = { line: 'issuing', generation: 1, state: ca.state };
        return { issuers: [{ ...common, ...issuing, ...place, public: true }] };
      },
      async confirmIssuer({ issuerId }) {
        ca.confirmed.push(issuerId);
        return {};
      },
    },
    issue(announce = true) {
      const serialNumber = newSerialNumber();
      const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
      const spki = leaf.export({ type: 'spki', format: 'der' });
      const certificate = certify(SERVER, spki, serialNumber);
      const notAfter = clock.now() + 30 * DAY;
      statuses.set(serialNumber, { status: 'good', revokedAt: 0, reasonCode: 0, notAfter });
      const data = { issuerId: 'issuing', serialNumber, notAfter, crlShard: 0 };
      if (announce) events.append('certificate.issued', serialNumber, data);
      return { serialNumber, certificate };
    },
    revoke(serialNumber, reasonCode, announce = true) {
      const status = statuses.get(serialNumber)!;
      Object.assign(status, { status: 'revoked', revokedAt: clock.now(), reasonCode });
      const { revokedAt, notAfter } = status;
      const data = {
        issuerId: 'issuing',
        serialNumber,
        crlShard: 0,
        revokedAt,
        reasonCode,
        notAfter,
      };
      if (announce) events.append('certificate.revoked', serialNumber, data);
    },
  };
  return ca;
}
