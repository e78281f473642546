import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { AWAKE, type Clock } from './clock.ts';

/** What `work` comes to, unless that takes longer than `limit` milliseconds: then DEADLINE_EXCEEDED with `message`, and `work` goes on unheard. */
export async function within<T>(
  clock: Clock,
  limit: number,
  work: Promise<T>,
  message: string,
): Promise<T> {
  const over = new AbortController();
  const late = clock.sleep(limit, over.signal).then(() => {
    throw new GigvaultError('DEADLINE_EXCEEDED', message);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort(AWAKE);
    late.catch(() => undefined);
    work.catch(() => undefined);
  }
}
