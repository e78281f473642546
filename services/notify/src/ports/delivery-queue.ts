/** A notification on its way to one webhook. */
export interface Delivery {
  /** UUID; the same at each attempt, so that the receiver knows a repetition. */
  readonly deliveryId: string;
  /** JSON, as it is signed and sent. */
  readonly body: string;
  /** This one, from 1. */
  readonly attempt: number;
}

/** What waits for one webhook. */
export interface DeliveryQueue {
  /** Takes what has its turn, so that nobody else does within the lease. @param limit 1 to 100 @param lease milliseconds */
  claim(limit: number, lease: number): Promise<readonly Delivery[]>;
  /** It has arrived, or nobody wants it. */
  forget(deliveryId: string): Promise<void>;
  /**
   * Does nothing when somebody else has claimed it since.
   * @param failure in words @param dueAt of the next attempt, Unix milliseconds; undefined: it is given up
   */
  failed(delivery: Delivery, failure: string, dueAt: number | undefined): Promise<void>;
  /** What was given up has its turn again. */
  retryAll(): Promise<void>;
  count(): Promise<{ readonly waiting: number; readonly givenUp: number }>;
}
