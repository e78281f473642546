import { positiveDuration } from '@gigvault/config/duration';
import { networks } from '@gigvault/config/networks';
import { parseIp } from '@gigvault/egress/network';
import { z } from 'zod';

/** `[address]:port` or `address:port`. */
const SERVER = /^(?:\[(.+)\]|([^:]+)):([1-9][0-9]{0,4})$/;

const DNS_SERVER = z
  .string()
  .refine(isDnsServer, 'an address with or without a port, as "192.0.2.53" or "[2001:db8::53]:53"');

function isDnsServer(text: string): boolean {
  const [, bracketed, plain, port = '53'] = SERVER.exec(text) ?? [];
  return parseIp(bracketed ?? plain ?? text) !== undefined && Number(port) <= 65_535;
}

/** Section `ra` of the configuration. */
export const raConfig = z
  .strictObject({
    /** Port of the first http-01 request; only in development, where absent means 80 too. */
    http01Port: z.int().min(1).max(65_535).optional(),
    /** Networks that http-01 may connect to although their use is special: private, loopback and the like. */
    allowedNetworks: networks.default([]),
    /** The DNS servers that validations ask, in order; none: those of the operating system. */
    dnsServers: z.array(DNS_SERVER).default([]),
    /** How long the proof of control of a name is used again. */
    authorizationValidity: positiveDuration.prefault('30d'),
    /** How long a name can be validated after it was ordered. */
    pendingAuthorizationValidity: positiveDuration.prefault('7d'),
    /** Pending authorizations of one requester; more are refused until some are validated, given up or expire. */
    maxPendingAuthorizations: z.int().min(100).default(3_000),
    /** For everything that one validation does. */
    validationTimeout: positiveDuration.prefault('10s'),
    /** Validations at one time; one requester has at most a quarter of them. */
    validationConcurrency: z.int().min(1).max(1000).default(32),
    /** The fewest people that approve a request which policy sends to review. */
    approvals: z.int().min(1).max(20).default(1),
    /** How long people have to decide on a request before it fails. */
    pendingRequestValidity: positiveDuration.prefault('30d'),
  })
  .prefault({});

/** As parsed. */
export type RaConfig = z.infer<typeof raConfig>;
