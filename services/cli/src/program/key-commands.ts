import type { CommandSpec, OptionSpec } from './command-spec.ts';
import { KEY_TYPES, LIMIT } from './options.ts';

const FORMAT: OptionSpec = {
  flags: '--format <format>',
  description: 'of ECDSA signatures; default der',
  choices: ['der', 'p1363'],
};

const REASON: OptionSpec = {
  flags: '--reason <text>',
  description: 'why; stands in the audit log',
};

/** Of keys in the key manager. */
const MANAGED_KEY_TYPES = [
  ...KEY_TYPES,
  'rsa-4096',
  'ec-p521',
  'ed25519',
  'ml-dsa-44',
  'ml-dsa-65',
  'ml-dsa-87',
  'aes-128',
  'aes-192',
  'aes-256',
  'hmac-sha256',
  'hmac-sha384',
  'hmac-sha512',
];

const GENERATE: readonly OptionSpec[] = [
  {
    flags: '--type, --key-type <type>',
    description: 'default ec-p256',
    choices: MANAGED_KEY_TYPES,
  },
  {
    flags: '--usage <usage>',
    description: 'RSA alone has a choice; default sign',
    choices: ['sign', 'encrypt'],
  },
  { flags: '--backend <name>', description: 'where it is made; default the one of new keys' },
  { flags: '--pre-active', description: 'not to be used before "key enable"' },
];

const ADDITIONAL_DATA: OptionSpec = {
  flags: '--additional-data <file>',
  description: 'what whoever decrypts must have too',
};

/** `gigvault key …`, `gigvault backends …`. */
export const KEY_COMMANDS: readonly CommandSpec[] = [
  {
    usage: 'key generate <name>',
    summary: 'generate a key that stays in the key manager',
    options: GENERATE,
    examples: [
      'gigvault key generate signing-2027',
      'gigvault key generate box --key-type rsa-3072 --usage encrypt -o json',
      'gigvault key generate signing-2028 --pre-active',
    ],
    pem: true,
    load: async () => (await import('../commands/key.ts')).keyGenerate,
  },
  {
    usage: 'key create <name>',
    summary: 'the same as "key generate"',
    options: GENERATE,
    examples: [
      'gigvault key create box --type aes-256',
      'gigvault key create mac --type hmac-sha256',
    ],
    pem: true,
    load: async () => (await import('../commands/key.ts')).keyGenerate,
  },
  {
    usage: 'key list',
    summary: 'list keys',
    options: [
      LIMIT,
      {
        flags: '--state <state>',
        description: 'only these',
        choices: ['pre-active', 'active', 'suspended', 'deactivated', 'compromised', 'destroyed'],
      },
      { flags: '--backend <name>', description: 'only what is there' },
    ],
    examples: ['gigvault key list', 'gigvault key list --state active --backend hsm'],
    load: async () => (await import('../commands/key.ts')).keyList,
  },
  {
    usage: 'key get <name>',
    summary: 'show a key and its versions',
    examples: ['gigvault key get signing-2027', 'gigvault key get signing-2027 -o pem'],
    pem: true,
    load: async () => (await import('../commands/key.ts')).keyGet,
  },
  {
    usage: 'key sign <name> <file>',
    summary: 'sign a file with the current version; prints base64',
    options: [FORMAT],
    examples: [
      'gigvault key sign signing-2027 release.txt > release.sig',
      'gigvault key sign signing-2027 release.txt --format p1363 -o json',
    ],
    load: async () => (await import('../commands/key-use.ts')).keySign,
  },
  {
    usage: 'key verify <name> <file>',
    summary: 'verify a signature with every version of a key',
    options: [
      {
        flags: '--signature <file>',
        description: 'as "key sign" prints it, or its octets',
        required: true,
      },
      FORMAT,
      { flags: '--key-version <n>', description: 'only with this version' },
    ],
    examples: ['gigvault key verify signing-2027 release.txt --signature release.sig'],
    load: async () => (await import('../commands/key-use.ts')).keyVerify,
  },
  {
    usage: 'key encrypt <name> <file>',
    summary: 'encrypt a file with the current version; prints base64',
    options: [ADDITIONAL_DATA],
    examples: ['gigvault key encrypt box secret.txt > secret.enc'],
    load: async () => (await import('../commands/key-encryption.ts')).keyEncrypt,
  },
  {
    usage: 'key decrypt <name> <file>',
    summary: 'decrypt what "key encrypt" made, by the version that did',
    options: [
      ADDITIONAL_DATA,
      { flags: '--out <file>', description: 'write the plaintext there, 0600' },
      { flags: '--force', description: 'replace that file' },
    ],
    examples: [
      'gigvault key decrypt box secret.enc --out secret.txt',
      'gigvault key decrypt box secret.enc -o json',
    ],
    load: async () => (await import('../commands/key-encryption.ts')).keyDecrypt,
  },
  {
    usage: 'key rotate <name>',
    summary: 'make a new version, which signs or encrypts; the old ones verify, or decrypt',
    options: [
      {
        flags: '--key-version <n>',
        description: 'only if this is the current one, so that a repetition makes no further',
      },
    ],
    examples: [
      'gigvault key rotate signing-2027',
      'gigvault key rotate signing-2027 --key-version 1',
    ],
    pem: true,
    load: async () => (await import('../commands/key-life.ts')).keyRotate,
  },
  {
    usage: 'key disable <name>',
    summary: 'take a key out of use',
    options: [
      {
        flags: '--as <state>',
        description: 'default suspended; the others are for ever',
        choices: ['suspended', 'deactivated', 'compromised'],
      },
      REASON,
    ],
    examples: [
      'gigvault key disable signing-2027 --reason "lost laptop"',
      'gigvault key disable signing-2027 --as compromised --yes',
    ],
    load: async () => (await import('../commands/key-life.ts')).keyDisable,
  },
  {
    usage: 'key enable <name>',
    summary: 'take a pre-active or suspended key into use',
    options: [REASON],
    examples: ['gigvault key enable signing-2027'],
    load: async () => (await import('../commands/key-life.ts')).keyEnable,
  },
  {
    usage: 'key destroy <name>',
    summary: 'take a key out of use and destroy it after a wait',
    examples: ['gigvault key destroy signing-2026 --yes'],
    load: async () => (await import('../commands/key-life.ts')).keyDestroy,
  },
  {
    usage: 'key delete <name>',
    summary: 'the same as key destroy',
    examples: ['gigvault key delete signing-2026 --yes'],
    load: async () => (await import('../commands/key-life.ts')).keyDestroy,
  },
  {
    usage: 'key destruction <name>',
    summary: 'show what the destruction of a key waits for',
    examples: ['gigvault key destruction signing-2026'],
    load: async () => (await import('../commands/key-destruction.ts')).keyDestruction,
  },
  {
    usage: 'key approve <name>',
    summary: 'approve the destruction that somebody else asked for',
    examples: ['gigvault key approve signing-2026 --yes'],
    load: async () => (await import('../commands/key-destruction.ts')).keyApprove,
  },
  {
    usage: 'key restore <name>',
    summary: 'undo the destruction of a key that waits for it',
    examples: ['gigvault key restore signing-2026'],
    load: async () => (await import('../commands/key-life.ts')).keyRestore,
  },
  {
    usage: 'key grants <name>',
    summary: 'list who may use a key besides its owner',
    examples: ['gigvault key grants signing-2027'],
    load: async () => (await import('../commands/key-grants.ts')).keyGrants,
  },
  {
    usage: 'key grant <name> <user>',
    summary: 'let somebody use a key, for these uses and no others',
    options: [
      {
        flags: '--use <use>',
        description: 'may be repeated',
        repeat: true,
        required: true,
        choices: ['sign', 'verify', 'encrypt', 'decrypt', 'rotate'],
      },
    ],
    examples: ['gigvault key grant signing-2027 ada --use sign --use verify'],
    load: async () => (await import('../commands/key-grants.ts')).keyGrant,
  },
  {
    usage: 'key ungrant <name> <user>',
    summary: 'take back whatever somebody was granted',
    examples: ['gigvault key ungrant signing-2027 ada'],
    load: async () => (await import('../commands/key-grants.ts')).keyUngrant,
  },
  {
    usage: 'backends list',
    summary: 'list where keys live, with health',
    examples: ['gigvault backends list'],
    load: async () => (await import('../commands/backends.ts')).backendsList,
  },
  {
    usage: 'backends info <name>',
    summary: 'show what a key backend can do, and how it is',
    examples: ['gigvault backends info pkcs8'],
    load: async () => (await import('../commands/backends.ts')).backendsInfo,
  },
  {
    usage: 'backends test <name>',
    summary: 'make a throw-away key there, use it, check, remove it',
    options: [
      {
        flags: '--key-type <type>',
        description: 'default ec-p256',
        choices: MANAGED_KEY_TYPES,
      },
    ],
    examples: ['gigvault backends test hsm', 'gigvault backends test hsm --key-type rsa-2048'],
    load: async () => (await import('../commands/backends.ts')).backendsTest,
  },
  {
    usage: 'backends master-key <name>',
    summary: 'show which master key a backend has, and how far its rotation is',
    examples: ['gigvault backends master-key pkcs8'],
    load: async () => (await import('../commands/master-key.ts')).masterKeyShow,
  },
  {
    usage: 'backends rotate-master-key <name>',
    summary: 'make a new master key and put all keys of a backend under it, while they are used',
    examples: ['gigvault backends rotate-master-key pkcs8 --yes'],
    load: async () => (await import('../commands/master-key.ts')).masterKeyRotate,
  },
];
