import { positiveDuration } from '@gigvault/config/duration';
import { z } from 'zod';
import { type Network, parseNetwork } from './validation/network.ts';

const NETWORK = z.string().transform((text, context): Network => {
  const network = parseNetwork(text);
  if (network) return network;
  context.addIssue({
    code: 'custom',
    message: 'an address or a network, as "10.0.0.0/8" or "fd00::/8"',
  });
  return z.NEVER;
});

/** Section `ra` of the configuration. */
export const raConfig = z
  .strictObject({
    /** Port of the first http-01 request; only in development, where absent means 80 too. */
    http01Port: z.int().min(1).max(65_535).optional(),
    /** Networks that http-01 may connect to although their use is special: private, loopback and the like. */
    allowedNetworks: z.array(NETWORK).default([]),
    /** How long the proof of control of a name is used again. */
    authorizationValidity: positiveDuration.prefault('30d'),
    /** How long a name can be validated after it was ordered. */
    pendingAuthorizationValidity: positiveDuration.prefault('7d'),
    /** For everything that one validation does. */
    validationTimeout: positiveDuration.prefault('10s'),
    /** Validations at one time. */
    validationConcurrency: z.int().min(1).max(1000).default(32),
    /** The fewest people that approve a request which policy sends to review. */
    approvals: z.int().min(1).max(20).default(1),
  })
  .prefault({});

/** As parsed. */
export type RaConfig = z.infer<typeof raConfig>;
