/** Something that the audit log must tell of; written in the transaction of the change. Never holds a secret. */
export interface AuthEvent {
  /** As `user.created`. */
  readonly type:
    | 'apikey.created'
    | 'apikey.revoked'
    | 'apikey.used'
    | 'auth.failed'
    | 'certificate.used'
    | 'setup.created'
    | 'setup.redeemed'
    | 'token.issued'
    | 'user.created'
    | 'user.disabled';
  readonly actor: string;
  readonly subject: string;
  readonly data: object;
}
