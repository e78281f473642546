import type { Log } from '@gigvault/telemetry/log';
import type { Reloader } from './service.ts';

/** Keys of the configuration that a running process takes over. */
export interface ReloadableKeys<C> {
  /** Keys or whole sections, as `log.level`, `https.rateLimit`. */
  readonly keys: readonly string[];
  /** Makes the configuration's values the ones that hold. */
  apply(config: C): void | Promise<void>;
}

/** What of a process can be reloaded. */
export interface Reloadable<C> {
  readonly keys: readonly ReloadableKeys<C>[];
  /** What is read again each time, since its files may have changed: policies, certificates. After the keys. */
  readonly reloaders: readonly Reloader[];
}

/** What a reload works with. */
export interface ReloadOptions<C> extends Reloadable<C> {
  /** The configuration with which the process started. */
  readonly config: C;
  /** Reads it again, from where it came from. Errors: INVALID_ARGUMENT. */
  read(): C;
  readonly log: Log;
}

/**
 * What SIGHUP does. A configuration that is refused changes nothing, and the log says so; of one that is accepted the reloadable keys
 * take effect, and the log names the others that changed, by key and never by value: they need a restart. Reloads do not overlap.
 */
export function createReload<C extends object>(options: ReloadOptions<C>): () => Promise<void> {
  const { log, reloaders } = options;
  const running = leavesOf(options.config);
  let last: Promise<void> = Promise.resolve();

  async function reloadKeys(config: C): Promise<string[]> {
    const wanted = leavesOf(config);
    const all = new Set([...running.keys(), ...wanted.keys()]);
    const changed = [...all].filter((key) => running.get(key) !== wanted.get(key)).sort();
    const taken = new Set<string>();
    for (const { keys, apply } of options.keys) {
      const mine = changed.filter((key) => keys.some((one) => `${key}.`.startsWith(`${one}.`)));
      if (mine.length === 0) continue;
      await apply(config);
      for (const key of mine) taken.add(key);
    }
    for (const key of taken) running.set(key, wanted.get(key));
    const rest = changed.filter((key) => !taken.has(key));
    if (rest.length > 0)
      log.warn({ operation: 'reload', keys: rest }, 'changes that need a restart');
    return [...taken];
  }

  async function reload(): Promise<void> {
    try {
      const keys = await reloadKeys(options.read());
      log.info({ operation: 'reload', keys }, 'configuration reloaded');
    } catch (error) {
      log.error({ operation: 'reload', error }, 'the configuration was not reloaded');
      return;
    }
    for (const { name, reload } of reloaders) {
      try {
        await reload();
        log.info({ operation: 'reload', what: name }, 'reloaded');
      } catch (error) {
        const fields = { operation: 'reload', what: name, error };
        log.error(fields, 'not reloaded; what held before still does');
      }
    }
  }

  return () => {
    last = last.then(reload);
    return last;
  };
}

/** Each key with its value as JSON: a list is one value. */
function leavesOf(tree: object, path = ''): Map<string, string | undefined> {
  const leaves = new Map<string, string | undefined>();
  for (const [key, value] of Object.entries(tree)) {
    const here = path + key;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      leaves.set(here, JSON.stringify(value));
    else for (const [leaf, text] of leavesOf(value, `${here}.`)) leaves.set(leaf, text);
  }
  return leaves;
}

/**
 * From now on SIGHUP does not end this process. Give the result what it shall do instead; before that a signal changes nothing, since the
 * process reads its files at that time anyway.
 */
export function reloadOnHangup(): (reload: () => Promise<void>) => void {
  let onHangup: (() => Promise<void>) | undefined;
  process.on('SIGHUP', () => void onHangup?.());
  return (reload) => {
    onHangup = reload;
  };
}
