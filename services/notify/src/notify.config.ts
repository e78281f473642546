import { z } from 'zod';

/** Section `notify` of the configuration. Channels follow. */
export const notifyConfig = z.strictObject({}).prefault({});

/** The parsed section. */
export type NotifyConfig = z.infer<typeof notifyConfig>;
