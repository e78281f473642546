import { type Network, parseNetwork } from '@gigvault/egress/network';
import { z } from 'zod';

/** Networks in a configuration, each an address or a block. */
export const networks = z.array(
  z.string().transform((text, context): Network => {
    const network = parseNetwork(text);
    if (network) return network;
    context.addIssue({
      code: 'custom',
      message: 'an address or a network, as "10.0.0.0/8" or "fd00::/8"',
    });
    return z.NEVER;
  }),
);
