import type { Policy } from '../evaluation/policy-document.ts';

/** The policies in force. */
export interface PolicySource {
  /** In order of precedence. The list never changes in place: a reload swaps it whole. */
  current(): readonly Policy[];
}
