import type { z } from 'zod';
import type {
  certificateDocument,
  certificateItem,
  issuerItem,
  revokeReply,
  rotationReply,
} from './http-schemas.ts';

const SERIAL_NUMBER = '5f03a1c47e9b20d86f51c2d90a7be418';
const PEM = '-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n';

const ITEM: z.infer<typeof certificateItem> = {
  serialNumber: SERIAL_NUMBER,
  issuerId: 'issuing',
  commonName: 'api.localhost',
  names: ['api.localhost', '127.0.0.1'],
  profile: 'tls-server',
  status: 'valid',
  notBefore: '2026-11-21T10:00:00.000Z',
  notAfter: '2027-01-07T10:00:00.000Z',
  issuedAt: '2026-11-21T10:00:00.000Z',
  requestId: '0f8c2d1e-5c0b-4f0e-9a53-6a6b1f4ad0c7',
  requester: 'user:3f0c7a52-9f5e-4d6c-8f0b-2f4f0f7f1d11',
};

const DOCUMENT: z.infer<typeof certificateDocument> = { ...ITEM, certificate: PEM, chain: PEM };

const REVOKED: z.infer<typeof revokeReply> = {
  serialNumber: SERIAL_NUMBER,
  issuerId: 'issuing',
  status: 'revoked',
  revokedAt: '2026-11-22T09:30:00.000Z',
  reasonCode: 1,
  reason: 'keyCompromise',
};

const ISSUER: z.infer<typeof issuerItem> = {
  issuerId: 'issuing',
  line: 'issuing',
  generation: 1,
  state: 'current',
  subject: 'CN=GigVault Issuing CA',
  keyType: 'ec-p256',
  public: true,
  notBefore: '2026-11-21T09:00:00.000Z',
  notAfter: '2031-11-20T09:00:00.000Z',
  ocspUrl: 'http://localhost:8080/ocsp',
  crlBaseUrl: 'http://localhost:8080/crl/issuing',
  issuerUrl: 'http://localhost:8080/ca/issuing.crt',
  crlShards: 1,
  certificate: PEM,
  chain: PEM,
};

const ROTATION: z.infer<typeof rotationReply> = {
  issuerId: 'issuing-g2',
  line: 'issuing',
  generation: 2,
  state: 'prepared',
};

const REQUEST = '-----BEGIN CERTIFICATE REQUEST-----\nMIIB…\n-----END CERTIFICATE REQUEST-----\n';

/** Of each operation, as the API's document shows it. */
export const EXAMPLES = {
  listCertificates: {
    query: { status: 'valid', limit: 50 },
    replies: { 200: { items: [ITEM], nextCursor: 'MTc2Mzcx' } },
  },
  getCertificate: { params: { serialNumber: SERIAL_NUMBER }, replies: { 200: DOCUMENT } },
  revokeCertificate: {
    params: { serialNumber: SERIAL_NUMBER },
    body: { reason: 'keyCompromise' },
    replies: { 200: REVOKED },
  },
  rotateIssuer: {
    params: { line: 'issuing' },
    body: { generation: 2 },
    replies: {
      200: {
        ...{ ...ROTATION, state: 'requested', certificationRequest: REQUEST },
        rootCertificate: PEM,
      },
    },
  },
  acceptSuccessor: {
    params: { line: 'issuing' },
    body: { certificate: PEM },
    replies: { 200: ROTATION },
  },
  listIssuers: { replies: { 200: { items: [ISSUER] } } },
} as const;

const NO_LINE = { NOT_FOUND: "Issuer 'other' does not exist." };
const NOT_FOUND = { CERTIFICATE_NOT_FOUND: `There is no certificate ${SERIAL_NUMBER}.` };

/** Errors of each operation, beyond those that all have. */
export const ERRORS = {
  getCertificate: NOT_FOUND,
  rotateIssuer: { ...NO_LINE, KEY_UNAVAILABLE: 'The key backend does not answer.' },
  acceptSuccessor: {
    ...NO_LINE,
    KEY_NOT_FOUND: "Key 'ca-issuing-g2' does not exist.",
    CONFLICT: "'issuing-g2' has another certificate, and becomes current soon.",
  },
  revokeCertificate: {
    ...NOT_FOUND,
    ALREADY_REVOKED: `Certificate ${SERIAL_NUMBER} is revoked already.`,
    BAD_REVOCATION_REASON: "'nope' is not a reason of RFC 5280 §5.3.1.",
  },
} as const;
