import type { CommandSpec } from './command-spec.ts';
import { LIMIT } from './options.ts';

/** `gigvault up`, `init`, `status`. */
export const START_COMMANDS: readonly CommandSpec[] = [
  {
    usage: 'up',
    summary: 'start GigVault on this machine',
    examples: ['gigvault up', 'gigvault up --https-port 9443', 'gigvault up --help'],
    load: async () => (await import('../commands/other-programs.ts')).up,
  },
  {
    usage: 'init',
    summary: 'write the plan of a PKI, or hold its key ceremony on an offline machine',
    examples: [
      'gigvault init --ceremony --rehearse --plan plan.yaml --out rehearsal/',
      'gigvault init --ceremony --plan plan.yaml --out root/',
      'gigvault init --help',
    ],
    load: async () => (await import('../commands/other-programs.ts')).rootca,
  },
  {
    usage: 'status',
    summary: 'show the server, who you are there, and the root',
    examples: ['gigvault status', 'gigvault status -o json'],
    load: async () => (await import('../commands/status.ts')).status,
  },
];

/** `gigvault audit …`, `rootca`, `ceremony verify`, `version`. */
export const PLATFORM_COMMANDS: readonly CommandSpec[] = [
  {
    usage: 'audit list',
    summary: 'list what happened, in order: the newest entries of the audit log',
    options: [
      { flags: '--start <index>', description: 'from this entry on, instead of the newest' },
      LIMIT,
    ],
    examples: [
      'gigvault audit list',
      'gigvault audit list --start 0 --limit 1000',
      'gigvault audit list -o json',
    ],
    load: async () => (await import('../commands/audit-list.ts')).auditList,
  },
  {
    usage: 'audit verify',
    summary: 'recompute the audit log and check what is signed',
    options: [
      { flags: '--export <file>', description: 'keep what was verified, for later and elsewhere' },
      {
        flags: '--from <file>',
        description: 'verify an exported file; needs no server and no context',
      },
      { flags: '--public-key <file>', description: "the audit log's key: PEM, base64 or -o json" },
      {
        flags: '--checkpoint <file>',
        description: 'what was signed earlier must be in the log: a note, or -o json',
      },
      { flags: '--force', description: 'replace an export that exists' },
    ],
    examples: [
      'gigvault audit verify',
      'gigvault audit verify --export audit.ndjson',
      'gigvault audit verify -o json > seen.json',
      'gigvault audit verify --from audit.ndjson --checkpoint seen.json',
    ],
    load: async () => (await import('../commands/audit-verify.ts')).auditVerify,
  },
  {
    usage: 'rootca',
    summary: 'make and use a root on a machine without a network',
    examples: [
      'gigvault rootca create --plan plan.yaml --out root/',
      'gigvault rootca verify --dir root/',
      'gigvault rootca --help',
    ],
    load: async () => (await import('../commands/other-programs.ts')).rootca,
  },
  {
    usage: 'ceremony',
    summary: 'check what a key ceremony has left',
    examples: ['gigvault ceremony verify bundle/', 'gigvault ceremony verify --help'],
    load: async () => (await import('../commands/other-programs.ts')).rootca,
  },
  {
    usage: 'version',
    summary: 'show the version of this command',
    examples: ['gigvault version'],
    load: async () => (await import('../commands/version.ts')).version,
  },
];
