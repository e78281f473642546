/** An event to append to the log; becomes an audit record. */
export interface KeyEvent {
  readonly type:
    | 'key.generated'
    | 'key.used'
    | 'key.refused'
    | 'key.rotated'
    | 'key.grants-changed'
    | 'key.activated'
    | 'key.suspended'
    | 'key.deactivated'
    | 'key.compromised'
    | 'key.destruction-scheduled'
    | 'key.destruction-approved'
    | 'key.destruction-undone'
    | 'key.destruction-begun'
    | 'key.destroyed'
    | 'signing.closed'
    | 'backend.test-begun'
    | 'backend.tested'
    | 'master-key.rotation-begun'
    | 'master-key.rotated';
  readonly actor: string;
  /** The key's id; the intent's id for `signing.closed`; the backend for `backend.…` and `master-key.…`. */
  readonly subject: string;
  readonly data: object;
}
