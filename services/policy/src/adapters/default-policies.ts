/**
 * The policies that hold when the configuration names none.
 *
 * - ACME: whatever the requester has proved control of; the RA checks the proof itself.
 * - REST by administrators and operators: local names at once, the rest after one person's approval.
 * - REST by anybody else: after one person's approval.
 */
export const DEFAULT_POLICIES = `
name: acme
protocols: [acme]
profiles: [tls-server]
names: { allow: ['*'] }
wildcards: deny
maxValidity: 90d
outcome: allow
---
name: operators
protocols: [rest]
profiles: [tls-server, tls-client]
roles: [admin, operator]
names:
  allow: [localhost, '*.localhost', 'ip:127.0.0.1', 'ip:::1']
  otherwise: review
wildcards: review
maxValidity: 90d
approvals: 1
outcome: allow
---
name: requesters
protocols: [rest]
profiles: [tls-server, tls-client]
names: { allow: ['*'] }
wildcards: review
maxValidity: 90d
approvals: 1
outcome: review
`;
