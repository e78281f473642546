import { z } from 'zod';

const HOUR = 3_600_000;

/** Configuration of the OCSP responder. Durations are milliseconds. */
export const ocspConfig = z
  .strictObject({
    /** nextUpdate minus thisUpdate. Baseline Requirements §4.9.10: 8 hours to 10 days. */
    validity: z
      .number()
      .int()
      .min(8 * HOUR)
      .max(240 * HOUR)
      .default(8 * HOUR),
    /** The longest that HTTP caches may keep an answer to a GET; never beyond half of its validity. */
    httpMaxAge: z.number().int().min(0).default(HOUR),
    /** Octets of signed responses kept in memory. */
    responseCacheBytes: z
      .number()
      .int()
      .min(0)
      .default(64 * 1024 * 1024),
    /** Certificate states kept in memory; the table holds all of them. */
    stateCacheEntries: z.number().int().min(1).default(100_000),
    /** Serial numbers that wait for an answer of `ca` at one time; beyond that the answer is tryLater. */
    maxOpenQuestions: z.number().int().min(1).default(1_000),
    /** Responses that wait for a signature at one time; beyond that the answer is tryLater. */
    maxOpenSignatures: z.number().int().min(1).default(5_000),
    /** Age of the event log's knowledge at which health turns red, and from which on `ca` itself is asked about good certificates. */
    staleAfter: z
      .number()
      .int()
      .min(1_000)
      .default(5 * 60_000),
    /** Between two looks at the list of issuers and the age of the responder certificates. */
    responderInterval: z.number().int().min(100).default(60_000),
  })
  .prefault({});

/** The parsed configuration. */
export type OcspConfig = z.infer<typeof ocspConfig>;
