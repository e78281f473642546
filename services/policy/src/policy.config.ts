import { z } from 'zod';

/** Section `policy` of the configuration. */
export const policyConfig = z
  .strictObject({
    /** YAML files, or directories of them, in order of precedence. Empty: the built-in policies. */
    files: z.array(z.string().min(1)).default([]),
  })
  .default({ files: [] });

/** As parsed. */
export type PolicyConfig = z.infer<typeof policyConfig>;
