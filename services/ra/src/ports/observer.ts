/** Times what people decide. */
export interface ApprovalObserver {
  /** @param waited milliseconds from the submission of a request to the vote that approved or rejected it. */
  decided(waited: number): void;
}
