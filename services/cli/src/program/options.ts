import type { OptionSpec } from './command-spec.ts';

/** Key types of `cert create`; the first is the default. */
export const KEY_TYPES = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072'] as const;

/** `--key-type`. */
export const KEY_TYPE: OptionSpec = {
  flags: '--key-type <type>',
  description: 'kind of key; default ec-p256',
  choices: KEY_TYPES,
};

/** `--profile`. */
export const PROFILE: OptionSpec = {
  flags: '--profile <name>',
  description: 'certificate profile; default tls-server',
};

/** `--limit`. */
export const LIMIT: OptionSpec = {
  flags: '--limit <n>',
  description: 'show at most n; default 100',
};

/** `--decimal`. */
export const DECIMAL: OptionSpec = {
  flags: '--decimal',
  description: 'the serial number is decimal',
};

/** `--wait`. */
export const WAIT: OptionSpec = {
  flags: '--wait [time]',
  description: 'wait for the approval; default 10m',
};

/** `--ttl`. */
export const TTL: OptionSpec = {
  flags: '--ttl <time>',
  description: 'how long it is valid, as 47d or 12h',
};

/** `--reason` of a request. */
export const ASK_REASON: OptionSpec = {
  flags: '--reason <text>',
  description: 'why you ask; approvers see it',
};

/** `--comment`, or `--reason` as where one asks and revokes. */
export const COMMENT: OptionSpec = {
  flags: '--reason, --comment <text>',
  description: 'why; stands in the audit log',
};
