import { duration, durationBetween } from '@gigvault/config/duration';
import { size } from '@gigvault/config/size';
import { z } from 'zod';

/** Configuration of the OCSP responder. */
export const ocspConfig = z
  .strictObject({
    /** nextUpdate minus thisUpdate. Baseline Requirements §4.9.10: 8 hours to 10 days. */
    validity: durationBetween('8h', '10d').prefault('8h'),
    /** The longest that HTTP caches may keep an answer to a GET; never beyond half of its validity. */
    httpMaxAge: duration.prefault('1h'),
    /** Signed responses kept in memory. */
    responseCacheSize: size.prefault('64MiB'),
    /** Certificate states kept in memory; the table holds all of them. */
    stateCacheEntries: z.number().int().min(1).default(100_000),
    /** Serial numbers that wait for an answer of `ca` at one time; beyond that the answer is tryLater. */
    maxOpenQuestions: z.number().int().min(1).default(1_000),
    /** Responses that wait for a signature at one time; beyond that the answer is tryLater. */
    maxOpenSignatures: z.number().int().min(1).default(5_000),
    /** Age of the event log's knowledge at which health turns red, and from which on `ca` itself is asked about good certificates. */
    staleAfter: durationBetween('1s').prefault('5m'),
    /** How long a certificate's state stays in the table after the certificate's end. */
    keepEnded: durationBetween('1h').prefault('7d'),
    /** Between two looks at the list of issuers and the age of the responder certificates. */
    responderInterval: durationBetween('100ms').prefault('1m'),
  })
  .prefault({});

/** The parsed configuration. */
export type OcspConfig = z.infer<typeof ocspConfig>;
