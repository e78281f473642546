/** What a rule makes of a request. `review`: people decide. */
export type Outcome = 'allow' | 'review' | 'deny';

/** Patterns of which a value must match one (`allow`) and none (`deny`). Syntax: match-name.ts. */
export interface Patterns {
  /** Absent: anything that is not denied. */
  readonly allow?: readonly string[];
  readonly deny: readonly string[];
  /** What becomes of a value that matches no `allow` pattern. */
  readonly otherwise: 'review' | 'deny';
}

/**
 * One policy. `protocols`, `profiles` and `roles` choose the requests it speaks about; absent means every one.
 * The first policy of the list that speaks about a request decides it.
 */
export interface PolicyDocument {
  readonly name: string;
  /** As `acme`, `rest`. */
  readonly protocols?: readonly string[];
  readonly profiles?: readonly string[];
  /** The requester has at least one of them. */
  readonly roles?: readonly string[];
  /** Of the subject's common name; a request without one passes. */
  readonly subjects: Patterns;
  /** Of every subject alternative name. */
  readonly names: Patterns;
  /** What becomes of `*.example.org`. */
  readonly wildcards: Outcome;
  /** As `ec-p256`; absent: what the profile accepts. */
  readonly keyTypes?: readonly string[];
  /** Milliseconds; absent: what the profile accepts. */
  readonly maxValidity?: number;
  /** The only key usages and extended key usages that a certificate may have (RFC 5280 §4.2.1.3, §4.2.1.12); absent: the profile's. */
  readonly keyUsages?: readonly string[];
  /** People that must approve a request that needs review, 1 or more. */
  readonly approvals: number;
  /** What becomes of a request that breaks no rule. */
  readonly outcome: Outcome;
}

/** A policy in force: the document and the SHA-256 (hex) of its canonical JSON. */
export interface Policy {
  readonly document: PolicyDocument;
  readonly hash: string;
}
