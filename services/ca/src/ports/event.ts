/** What a flow asks its store to write to the event log, in the transaction of the change. Events are the audit records. */
export interface CaEvent {
  readonly type:
    | 'certificate.intended'
    | 'certificate.issued'
    | 'certificate.abandoned'
    | 'certificate.revoked'
    | 'issuer.created'
    | 'issuer.rotation-begun'
    | 'issuer.confirmed'
    | 'issuer.switched'
    | 'issuer.retired';
  /** Who did it, as `user:<id>`, `acme:<accountId>`, `service:<name>`. */
  readonly actor: string;
  /** The serial number (hex), or the issuer's id. */
  readonly subject: string;
  readonly data: object;
}
