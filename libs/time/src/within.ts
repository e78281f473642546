import { AWAKE, type Clock } from './clock.ts';

/** What `work` comes to, unless that takes longer than `limit` milliseconds: then an Error with `message`, and `work` goes on unheard. */
export async function within<T>(
  clock: Clock,
  limit: number,
  work: Promise<T>,
  message: string,
): Promise<T> {
  const over = new AbortController();
  const late = clock.sleep(limit, over.signal).then(() => {
    throw new Error(message);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort(AWAKE);
    late.catch(() => undefined);
    work.catch(() => undefined);
  }
}
