/** NIST SP 800-57 part 1 rev 5 §7. */
export const KEY_STATES = [
  'pre-active',
  'active',
  'suspended',
  'deactivated',
  'compromised',
  'destroyed',
] as const;

/** One of KEY_STATES. */
export type KeyState = (typeof KEY_STATES)[number];

/** The states in which a key is made. */
export const FIRST_STATES = ['active', 'pre-active'] as const satisfies readonly KeyState[];

/** One of FIRST_STATES. */
export type FirstState = (typeof FIRST_STATES)[number];

/** What a key may do in a state, and where it may go from there. */
export interface StateRule {
  /** Applies protection, by its current version: signs, or encrypts. */
  readonly protects: boolean;
  /** Processes what was protected, by all its versions: verifies, or decrypts. Who relies on it accepts the risk. */
  readonly processes: boolean;
  readonly rotates: boolean;
  /** The states that may follow; `destroyed` comes by way of a destruction that is scheduled, and is due. */
  readonly next: readonly KeyState[];
  /** Its state while it waits for its destruction, which an undo turns back; none: it cannot be destroyed. */
  readonly waiting: KeyState | undefined;
}

/** One row a state (NIST SP 800-57 part 1 rev 5 §7.1 to §7.6). */
export const STATE_RULES: Readonly<Record<KeyState, StateRule>> = {
  'pre-active': {
    protects: false,
    processes: false,
    rotates: false,
    next: ['active', 'compromised', 'destroyed'],
    waiting: 'pre-active',
  },
  active: {
    protects: true,
    processes: true,
    rotates: true,
    next: ['suspended', 'deactivated', 'compromised', 'destroyed'],
    waiting: 'deactivated',
  },
  suspended: {
    protects: false,
    processes: true,
    rotates: false,
    next: ['active', 'deactivated', 'compromised', 'destroyed'],
    waiting: 'deactivated',
  },
  deactivated: {
    protects: false,
    processes: true,
    rotates: false,
    next: ['compromised', 'destroyed'],
    waiting: 'deactivated',
  },
  compromised: {
    protects: false,
    processes: true,
    rotates: false,
    next: ['destroyed'],
    waiting: 'compromised',
  },
  destroyed: { protects: false, processes: false, rotates: false, next: [], waiting: undefined },
};
