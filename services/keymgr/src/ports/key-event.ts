/** An event to append to the log; becomes an audit record. */
export interface KeyEvent {
  readonly type: 'key.generated' | 'key.used' | 'key.refused' | 'signing.closed';
  readonly actor: string;
  /** The key's id; the intent's id for `signing.closed`. */
  readonly subject: string;
  readonly data: object;
}
