/** A serial number. */
export const SERIAL = `5f03${'ab'.repeat(17)}c2`;
/** An enrolment request, without its status. */
export const REQUEST = {
  requestId: '0f8c2d1e-0000-4000-8000-000000000001',
  requester: 'user:u1',
  profile: 'tls-server',
  commonName: 'api.localhost',
  names: ['api.localhost'],
  createdAt: '2026-11-21T11:00:00.000Z',
  reason: '',
  decision: { outcome: 'allow', policy: 'default', rules: [] },
  approvalsNeeded: 0,
  votes: [],
};
/** A certificate in a list. */
export const LISTED = {
  serialNumber: SERIAL,
  issuerId: 'issuing',
  commonName: 'api.localhost',
  names: ['dns:api.localhost'],
  profile: 'tls-server',
  status: 'valid',
  notBefore: '2026-11-21T12:00:00.000Z',
  notAfter: '2027-01-07T12:00:00.000Z',
  issuedAt: '2026-11-21T12:00:00.000Z',
  requestId: REQUEST.requestId,
  requester: 'user:u1',
};
