import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { CallOptions } from './call.ts';

/** Milliseconds, unless the caller says otherwise. */
export const DEFAULT_DEADLINE = 10_000;

/**
 * An answer, or DEADLINE_EXCEEDED when it takes longer than the caller waits, or UNAVAILABLE when the caller gives up; `hangUp` aborts then,
 * so that the callee learns of it.
 */
export function withDeadline<T>(
  answer: Promise<T>,
  hangUp: AbortController,
  callee: string,
  options: CallOptions,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (error: GigvaultError) => {
      settle();
      hangUp.abort(error);
      reject(error);
    };
    const onAbort = () =>
      fail(new GigvaultError('UNAVAILABLE', `The call to ${callee} was given up.`));
    const timer = setTimeout(
      () => fail(new GigvaultError('DEADLINE_EXCEEDED', `${callee} did not answer in time.`)),
      options.deadline ?? DEFAULT_DEADLINE,
    );
    const settle = () => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
    };
    if (options.signal?.aborted) onAbort();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    answer.then(
      (value) => {
        settle();
        resolve(value);
      },
      (error) => {
        settle();
        reject(error);
      },
    );
  });
}
