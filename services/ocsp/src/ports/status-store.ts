import type { CertificateState, StateChange } from './certificate-state.ts';

/** The states that this service knows. */
export interface StatusStore {
  /** Undefined: not known here. Errors: UNAVAILABLE. */
  find(issuerId: string, serialNumber: string): Promise<CertificateState | undefined>;
}

/** Writes states, within the transaction that also stores the event cursor. */
export interface StatusChanges {
  /** At most one change a certificate. Revoked is final: a later `good` changes nothing. */
  apply(changes: readonly StateChange[]): Promise<void>;
}
