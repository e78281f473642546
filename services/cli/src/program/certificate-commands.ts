import { LEAF_REASONS } from '@gigvault/x509/reason-code';
import type { CommandSpec } from './command-spec.ts';
import { ASK_REASON, COMMENT, DECIMAL, KEY_TYPE, LIMIT, PROFILE, TTL, WAIT } from './options.ts';

/** `gigvault cert …` and `gigvault csr …`. */
export const CERTIFICATE_COMMANDS: readonly CommandSpec[] = [
  {
    usage: 'cert create <cn>',
    summary: 'make a key here and get a certificate for it',
    options: [
      {
        flags: '--san <name>',
        description: 'another DNS name, or dns:…, ip:…, email:…, uri:…',
        repeat: true,
      },
      { flags: '--ip <address>', description: 'an IP address', repeat: true },
      PROFILE,
      TTL,
      KEY_TYPE,
      { flags: '--csr <file>', description: 'use this request; its key stays where it is' },
      { flags: '--out-dir <folder>', description: 'where the files go; default here' },
      { flags: '--force', description: 'replace files that exist' },
      ASK_REASON,
      WAIT,
    ],
    examples: [
      'gigvault cert create api.localhost',
      'gigvault cert create api.localhost --san www.localhost --ip 127.0.0.1',
      'gigvault cert create api.localhost --csr api.csr -o json',
    ],
    pem: true,
    load: async () => (await import('../commands/cert-create.ts')).certCreate,
  },
  {
    usage: 'cert list',
    summary: 'list certificates, newest first; expired ones by their end',
    options: [
      {
        flags: '--status <status>',
        description: 'only these',
        choices: ['valid', 'revoked', 'expired'],
      },
      { flags: '--cn <name>', description: 'only with this common name' },
      LIMIT,
    ],
    examples: ['gigvault cert list', 'gigvault cert list --status valid -o json'],
    load: async () => (await import('../commands/cert-list.ts')).certList,
  },
  {
    usage: 'cert get <serial>',
    summary: 'show one certificate',
    options: [
      { flags: '--pem', description: 'the same as -o pem: the certificate and its intermediates' },
      DECIMAL,
    ],
    pem: true,
    examples: ['gigvault cert get 5f:03:…:c2', 'gigvault cert get 5f03…c2 --pem > api.crt'],
    load: async () => (await import('../commands/cert-get.ts')).certGet,
  },
  {
    usage: 'cert verify <file>',
    summary: "verify a certificate file against the context's root",
    options: [
      {
        flags: '--name <name>',
        description: 'it must be for this DNS name or IP address',
        repeat: true,
      },
      { flags: '--offline', description: 'do not ask whether it is revoked' },
    ],
    examples: [
      'gigvault cert verify ./api.localhost.crt',
      'gigvault cert verify api.crt --name api.localhost',
    ],
    load: async () => (await import('../commands/cert-verify.ts')).certVerify,
  },
  {
    usage: 'cert revoke <serial>',
    summary: 'revoke a certificate, for ever',
    options: [
      {
        flags: '--reason <reason>',
        description: `${LEAF_REASONS.join(', ')}; default unspecified`,
      },
      DECIMAL,
    ],
    examples: [
      'gigvault cert revoke 5f:03:…:c2',
      'gigvault cert revoke ./api.crt --reason keyCompromise --yes',
    ],
    load: async () => (await import('../commands/cert-revoke.ts')).certRevoke,
  },
  {
    usage: 'csr submit <file>',
    summary: 'ask for a certificate with a request that you made',
    options: [PROFILE, TTL, ASK_REASON, WAIT],
    examples: ['gigvault csr submit api.csr --reason "new web shop"'],
    load: async () => (await import('../commands/csr-submit.ts')).csrSubmit,
  },
  {
    usage: 'csr list',
    summary: 'list requests, newest first',
    options: [
      {
        flags: '--status <status>',
        description: 'only these',
        choices: ['pending', 'approved', 'issued', 'rejected', 'denied', 'failed'],
      },
      LIMIT,
    ],
    examples: ['gigvault csr list --status pending'],
    load: async () => (await import('../commands/csr-list.ts')).csrList,
  },
  {
    usage: 'csr get <id>',
    summary: 'show one request, its decision and its votes',
    options: [
      { flags: '--pem', description: 'the same as -o pem: the certificate and its intermediates' },
    ],
    pem: true,
    examples: ['gigvault csr get 0f8c2d1e-… --pem > api.crt'],
    load: async () => (await import('../commands/csr-list.ts')).csrGet,
  },
  {
    usage: 'csr approve <id>',
    summary: 'approve a request of somebody else',
    options: [COMMENT],
    examples: ['gigvault csr approve 0f8c2d1e-… --comment "as agreed"'],
    load: async () => (await import('../commands/csr-decide.ts')).csrApprove,
  },
  {
    usage: 'csr reject <id>',
    summary: 'reject a request',
    options: [COMMENT],
    examples: ['gigvault csr reject 0f8c2d1e-… --comment "wrong name"'],
    load: async () => (await import('../commands/csr-decide.ts')).csrReject,
  },
];
