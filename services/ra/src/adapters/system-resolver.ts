import { lookup } from 'node:dns/promises';
import type { Resolver } from '../ports/resolver.ts';
import { isLocalName } from '../validation/address-rules.ts';
import { ChallengeFailure } from '../validation/challenge-failure.ts';

/**
 * The operating system's resolver. In development `localhost` and the names below it are loopback, whatever the system
 * says (RFC 6761 §6.3).
 */
export function systemResolver(options: { readonly development: boolean }): Resolver {
  return {
    async resolve(name, signal) {
      if (options.development && isLocalName(name)) return ['127.0.0.1', '::1'];
      return unlessAborted(lookupAll(name), signal);
    },
  };
}

async function lookupAll(name: string): Promise<string[]> {
  try {
    // Rooted: the resolver's search list would answer for a name that nobody asked to validate.
    const found = await lookup(`${name}.`, { all: true, order: 'verbatim' });
    return found.map(({ address }) => address);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ChallengeFailure('dns', `${name} cannot be resolved: ${code}`, {
      retry: true,
      cause,
    });
  }
}

/** getaddrinfo cannot be cancelled: its answer is left behind. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
