import { Resolver as DnsQuery } from 'node:dns/promises';
import { AWAKE, type Clock } from '@gigvault/time/clock';
import { isLocalName } from './address-rules.ts';

/** Milliseconds that a server has for its answer; c-ares doubles it with each round through the servers. */
const SERVER_TIMEOUT = 1_000;
const ROUNDS = 3;
/** Milliseconds for the other family when one has answered: some servers drop questions for AAAA. */
const OTHER_FAMILY = 1_000;

/** Which name servers are asked. */
export interface DnsOptions {
  readonly development: boolean;
  /** As `192.0.2.53` or `[2001:db8::53]:5353`. Empty: those of the operating system. */
  readonly servers: readonly string[];
  readonly clock: Clock;
}

/** Every address of the name, IPv4 and IPv6, in order of preference. Rejects with an Error in words, and when the signal aborts. */
export type DnsAddresses = (name: string, signal: AbortSignal) => Promise<readonly string[]>;

/**
 * Asks DNS, for A and AAAA, and nothing else: for exactly the name, so no search list and no hosts file answers for it. In
 * development `localhost` and the names below it are loopback, whatever DNS says (RFC 6761 §6.3).
 *
 * getaddrinfo would occupy a thread of the few that the process has for as long as a silent server lets it wait, and could
 * not be cancelled. Each look-up here has sockets of its own, which an abort closes.
 */
export function dnsAddresses(options: DnsOptions): DnsAddresses {
  return async (name, signal) => {
    if (options.development && isLocalName(name)) return ['127.0.0.1', '::1'];
    signal.throwIfAborted();
    const query = new DnsQuery({ timeout: SERVER_TIMEOUT, tries: ROUNDS });
    if (options.servers.length > 0) query.setServers(options.servers);
    const cancel = () => query.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      const families = await askBoth(query, name, options.clock);
      signal.throwIfAborted();
      return addressesOf(name, families);
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  };
}

type Answer = PromiseSettledResult<string[]>;

async function askBoth(query: DnsQuery, name: string, clock: Clock): Promise<[Answer, Answer]> {
  const done = new AbortController();
  const families = [query.resolve4(name), query.resolve6(name)] as const;
  Promise.any(families)
    .then(() => clock.sleep(OTHER_FAMILY, done.signal))
    .then(
      () => query.cancel(),
      () => undefined,
    );
  try {
    return await Promise.allSettled(families);
  } finally {
    done.abort(AWAKE);
  }
}

/** Both families by turns, so that a server which is reachable by one of them is among the first. */
function addressesOf(name: string, [v4, v6]: readonly [Answer, Answer]): string[] {
  const [ipv4, ipv6] = [foundBy(v4), foundBy(v6)];
  const turns = Array.from({ length: Math.max(ipv4.length, ipv6.length) }, (_, index) => [
    ipv4[index],
    ipv6[index],
  ]);
  const addresses = turns.flat().filter((address) => address !== undefined);
  if (addresses.length > 0) return addresses;
  const failures = [v4, v6].map((answer) => (answer.status === 'rejected' ? answer.reason : null));
  // That there is nothing of one family says less than what went wrong with the other.
  const cause = failures.find((failure) => codeOf(failure) !== 'ENODATA') ?? failures[0];
  throw new Error(`${name} cannot be resolved: ${codeOf(cause)}`, { cause });
}

function foundBy(answer: Answer): readonly string[] {
  return answer.status === 'fulfilled' ? answer.value : [];
}

function codeOf(failure: unknown): string | undefined {
  return (failure as NodeJS.ErrnoException | null)?.code;
}
