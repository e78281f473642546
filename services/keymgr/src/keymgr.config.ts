import { z } from 'zod';

/** Section `keymgr` of the configuration. */
export const keymgrConfig = z
  .strictObject({
    /** Where keys live. `pkcs11` follows with HSM-backed keys. */
    backend: z.literal('pkcs8').default('pkcs8'),
    /** Directory of the encrypted key files, absolute. Default: `keys` in the service's data directory. */
    directory: z.string().startsWith('/').optional(),
    /** Place of the master key that encrypts them, `file:///…`. Default: `secrets/keymgr-master.key` in the service's data directory. */
    masterKey: z
      .string()
      .regex(/^file:\/\/\/./, 'expected file:///path')
      .optional(),
  })
  .prefault({});

/** The parsed section. */
export type KeymgrConfig = z.infer<typeof keymgrConfig>;

/** The absolute paths that a configuration means. */
export function keymgrPaths(
  config: KeymgrConfig,
  dataDir: string,
): { readonly directory: string; readonly masterKey: string } {
  return {
    directory: config.directory ?? `${dataDir}/keys`,
    masterKey: config.masterKey?.slice('file://'.length) ?? `${dataDir}/secrets/keymgr-master.key`,
  };
}
