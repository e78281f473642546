import { keymgrConfig } from '@gigvault/keymgr/keymgr.config';
import { HSM } from './gigvault.config.ts';
import type { UpOptions } from './up.ts';

/**
 * `--hsm` in the words of keymgr's section, for this process and for those of split mode. Backends that are configured stay: there may be keys in them.
 * The schema lets none of them be called as this one.
 */
export function withHsm(options: UpOptions): UpOptions {
  const { config, written } = options;
  if (config.hsm === undefined) return options;
  const keymgr = (written['keymgr'] ?? {}) as { readonly backends?: object };
  const section = {
    ...keymgr,
    backends: { ...keymgr.backends, [HSM]: { type: 'pkcs11', uri: config.hsm } },
    backend: HSM,
  };
  return {
    config: { ...config, keymgr: keymgrConfig.parse(section) },
    written: { ...written, keymgr: section },
  };
}
