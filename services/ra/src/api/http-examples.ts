import type { RequestReply } from './http-schemas.ts';

const REQUEST_ID = '0f8c2d1e-5c0b-4f0e-9a53-6a6b1f4ad0c7';
const CSR = '-----BEGIN CERTIFICATE REQUEST-----\nMIHk…\n-----END CERTIFICATE REQUEST-----\n';
const PEM = '-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n';
const REQUESTER = 'user:3f0c7a52-9f5e-4d6c-8f0b-2f4f0f7f1d11';
const APPROVER = 'user:8b1f52c0-7a8e-4d37-9d5e-0c6b9a3c2f22';
const POLICY_HASH = '9f2c41d07be83a56c1f09d4e7ab2358860fd1c9e4b7a2d35e8f60c1b9a7d4e23';

const COMMON = {
  requestId: REQUEST_ID,
  protocol: 'rest',
  requester: REQUESTER,
  requesterName: 'grace',
  profile: 'tls-server',
  reason: 'new web shop',
  createdAt: '2026-11-21T10:00:00.000Z',
  certificationRequest: CSR,
};

const ISSUED: RequestReply = {
  ...COMMON,
  status: 'issued',
  commonName: 'api.localhost',
  names: ['api.localhost'],
  decision: {
    outcome: 'allow',
    policy: 'default',
    policyHash: POLICY_HASH,
    rules: [
      { rule: 'names.allowed', outcome: 'allow', message: 'dnsNames[0] "api.localhost": allowed' },
    ],
  },
  approvalsNeeded: 0,
  votes: [],
  serialNumber: '5f03a1c47e9b20d86f51c2d90a7be418',
  issuerId: 'issuing',
  certificate: PEM,
  chain: PEM,
};

const PENDING: RequestReply = {
  ...COMMON,
  status: 'pending',
  commonName: 'shop.example.com',
  names: ['shop.example.com'],
  decision: {
    outcome: 'review',
    policy: 'default',
    policyHash: POLICY_HASH,
    rules: [
      {
        rule: 'names.review',
        outcome: 'review',
        message: 'dnsNames[0] "shop.example.com": ask a person',
      },
    ],
  },
  approvalsNeeded: 1,
  votes: [],
};

const vote = (approve: boolean, comment: string) => ({
  actor: APPROVER,
  actorName: 'ada',
  approve,
  comment,
  at: '2026-11-21T11:30:00.000Z',
});

const SUBMISSION = {
  body: {
    certificationRequest: CSR,
    profile: 'tls-server',
    validity: '47d',
    reason: 'new web shop',
  },
  replies: { 201: ISSUED, 202: PENDING },
};

const APPROVED: RequestReply = {
  ...ISSUED,
  commonName: 'shop.example.com',
  names: ['shop.example.com'],
  decision: PENDING.decision,
  approvalsNeeded: 1,
  votes: [vote(true, 'the shop is ours')],
};

/** Of each operation, as the API's document shows it. */
export const EXAMPLES = {
  submit: SUBMISSION,
  listCsrs: {
    query: { limit: 50 },
    replies: { 200: { items: [PENDING, APPROVED], nextCursor: 'MTc2Mzcx' } },
  },
  getCsr: { params: { requestId: REQUEST_ID }, replies: { 200: APPROVED } },
  approve: {
    params: { requestId: REQUEST_ID },
    body: { comment: 'the shop is ours' },
    replies: { 200: APPROVED },
  },
  reject: {
    params: { requestId: REQUEST_ID },
    body: { comment: 'not our name' },
    replies: { 200: { ...PENDING, status: 'rejected', votes: [vote(false, 'not our name')] } },
  },
};

const NOT_FOUND = { REQUEST_NOT_FOUND: `There is no enrolment request "${REQUEST_ID}".` };

/** Errors of each operation, beyond those that all have. */
export const ERRORS = {
  submit: {
    ALREADY_EXISTS: 'This Idempotency-Key was used for another request.',
    BAD_CSR: 'The certification request has no subjectAltName; a common name alone is not enough.',
    BAD_PUBLIC_KEY: 'Profile "tls-server" accepts ec-p256, ec-p384, not rsa-1024.',
    LINT_FAILED: 'The certificate would break a rule.',
    POLICY_DENIED:
      'policy "default" refused this certificate: dnsNames[0] "*.example.com": wildcards are not allowed',
    REJECTED_IDENTIFIER: 'That is not a DNS name.',
    REQUEST_NOT_PENDING: 'The request was rejected.',
    UNKNOWN_PROFILE: 'There is no profile "web" to enrol for.',
  },
  getCsr: NOT_FOUND,
  decide: {
    ...NOT_FOUND,
    ALREADY_EXISTS: 'You have voted on this request before.',
    REQUEST_NOT_PENDING: 'The request is issued, not pending.',
    SELF_APPROVAL: 'Nobody decides on their own request; ask somebody else.',
  },
} as const;
