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

/** What a key may do in a state, and where it may go from there. */
export interface StateRule {
  readonly signs: boolean;
  /** By the public keys of all its versions. */
  readonly verifies: boolean;
  readonly rotates: boolean;
  /** The states that may follow; `destroyed` comes by way of a destruction that is scheduled, and is due. */
  readonly next: readonly KeyState[];
  /** Its state while it waits for its destruction, which an undo turns back; none: it cannot be destroyed. */
  readonly waiting: KeyState | undefined;
}

/** One row a state (NIST SP 800-57 part 1 rev 5 §7.1 to §7.6). */
export const STATE_RULES: Readonly<Record<KeyState, StateRule>> = {
  'pre-active': {
    signs: false,
    verifies: false,
    rotates: false,
    next: ['active', 'compromised', 'destroyed'],
    waiting: 'pre-active',
  },
  active: {
    signs: true,
    verifies: true,
    rotates: true,
    next: ['suspended', 'deactivated', 'compromised', 'destroyed'],
    waiting: 'deactivated',
  },
  suspended: {
    signs: false,
    verifies: true,
    rotates: false,
    next: ['active', 'deactivated', 'compromised', 'destroyed'],
    waiting: 'deactivated',
  },
  deactivated: {
    signs: false,
    verifies: true,
    rotates: false,
    next: ['compromised', 'destroyed'],
    waiting: 'deactivated',
  },
  compromised: {
    signs: false,
    verifies: true,
    rotates: false,
    next: ['destroyed'],
    waiting: 'compromised',
  },
  destroyed: { signs: false, verifies: false, rotates: false, next: [], waiting: undefined },
};
