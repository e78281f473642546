import type { CommandSpec } from './command-spec.ts';
import { LIMIT } from './options.ts';

/** `gigvault setup`, `whoami`, `user …`, `apikey …`, `context …`. */
export const ACCESS_COMMANDS: readonly CommandSpec[] = [
  {
    usage: 'setup <token>',
    summary: 'redeem a one-use setup token and sign in on this machine',
    options: [
      { flags: '--name <name>', description: "the first administrator's name; default admin" },
    ],
    examples: [
      'gigvault setup gv_setup_7Q… --name ada',
      'gigvault setup gv_setup_7Q… --server https://pki.example --ca-file root.crt',
    ],
    load: async () => (await import('../commands/setup.ts')).setup,
  },
  {
    usage: 'whoami',
    summary: 'show who you are and what you may do',
    examples: ['gigvault whoami', 'gigvault whoami -o json'],
    load: async () => (await import('../commands/whoami.ts')).whoami,
  },
  {
    usage: 'user create <name>',
    summary: 'create a user and print the one-use setup token',
    options: [
      {
        flags: '--role <role>',
        description: 'admin, operator, approver, requester, key-user, auditor',
        repeat: true,
        required: true,
      },
      { flags: '--display-name <text>', description: 'the name to show' },
    ],
    examples: [
      'gigvault user create grace --role requester',
      'gigvault user create ada --role approver --role auditor',
    ],
    load: async () => (await import('../commands/user.ts')).userCreate,
  },
  {
    usage: 'user list',
    summary: 'list users',
    options: [LIMIT],
    examples: ['gigvault user list'],
    load: async () => (await import('../commands/user.ts')).userList,
  },
  {
    usage: 'user invite <name>',
    summary: 'make a new setup token for a user who lost the first',
    examples: ['gigvault user invite grace'],
    load: async () => (await import('../commands/user.ts')).userInvite,
  },
  {
    usage: 'user disable <name>',
    summary: 'disable a user and revoke the API keys',
    examples: ['gigvault user disable grace --yes'],
    load: async () => (await import('../commands/user.ts')).userDisable,
  },
  {
    usage: 'apikey create <label>',
    summary: 'create an API key of your own; it is shown once',
    options: [
      { flags: '--expires-in <time>', description: 'as 90d; without it, it lives until revoked' },
    ],
    examples: ['gigvault apikey create pipeline --expires-in 90d'],
    load: async () => (await import('../commands/apikey.ts')).apikeyCreate,
  },
  {
    usage: 'apikey list',
    summary: 'list your API keys',
    examples: ['gigvault apikey list'],
    load: async () => (await import('../commands/apikey.ts')).apikeyList,
  },
  {
    usage: 'apikey revoke <id>',
    summary: 'revoke an API key: it stops to work at once',
    examples: ['gigvault apikey revoke 0123456789abcdef --yes'],
    load: async () => (await import('../commands/apikey.ts')).apikeyRevoke,
  },
  {
    usage: 'context list',
    summary: 'list the servers that this machine knows',
    examples: ['gigvault context list'],
    load: async () => (await import('../commands/context.ts')).contextList,
  },
  {
    usage: 'context use <name>',
    summary: 'choose the context of the commands that follow',
    examples: ['gigvault context use local'],
    load: async () => (await import('../commands/context.ts')).contextUse,
  },
  {
    usage: 'context rename <name> <new-name>',
    summary: 'give a context another name',
    examples: ['gigvault context rename admin@localhost ada'],
    load: async () => (await import('../commands/context-change.ts')).contextRename,
  },
  {
    usage: 'context remove <name>',
    summary: 'forget a context and its API key on this machine',
    examples: ['gigvault context remove ada@local --yes'],
    load: async () => (await import('../commands/context-change.ts')).contextRemove,
  },
  {
    usage: 'context show [name]',
    summary: 'show a context, without its credential',
    examples: ['gigvault context show'],
    load: async () => (await import('../commands/context.ts')).contextShow,
  },
];
