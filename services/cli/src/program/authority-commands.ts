import type { CommandSpec } from './command-spec.ts';

/** `gigvault ca …`. */
export const AUTHORITY_COMMANDS: readonly CommandSpec[] = [
  {
    usage: 'ca list',
    summary: 'list the issuing CAs by their keys',
    examples: ['gigvault ca list', 'gigvault ca list -o json'],
    load: async () => (await import('../commands/ca-list.ts')).caList,
  },
  {
    usage: 'ca rotate [ca]',
    summary: 'give an issuing CA a new key',
    options: [
      { flags: '--root <folder>', description: 'the root; default: the one that up made here' },
      {
        flags: '--passphrase-file <file>',
        description: "holds the passphrase of the root's key; asked for otherwise",
      },
      { flags: '--hsm <uri>', description: "the root's token, when its URI has changed" },
      { flags: '--csr <file>', description: 'write the request for a root on another machine' },
      { flags: '--certificate <file>', description: 'hand in what that root has signed' },
      {
        flags: '--generation <n>',
        description: 'the key that shall come of it: repeated, no further one is made',
      },
    ],
    examples: [
      'gigvault ca rotate',
      'gigvault ca rotate --csr issuing-g2.csr',
      'gigvault ca rotate --certificate issuing-g2.crt',
      'gigvault ca rotate --generation 2 --passphrase-file /dev/shm/p --yes',
    ],
    load: async () => (await import('../commands/ca-rotate.ts')).caRotate,
  },
];
