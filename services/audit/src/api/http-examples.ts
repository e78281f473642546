import type { z } from 'zod';
import type {
  checkpointDocument,
  consistencyDocument,
  entryDocument,
  inclusionDocument,
} from './http-schemas.ts';

const HASH = 'n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=';

const CHECKPOINT: z.infer<typeof checkpointDocument> = {
  treeSize: 4711,
  rootHash: HASH,
  timestamp: '2026-11-21T10:00:01.000Z',
  note: `gigvault.local/audit\n4711\n${HASH}\n\n— gigvault.local/audit Az3grl…\n`,
  publicKey: 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE…',
};

const ENTRY: z.infer<typeof entryDocument> = {
  leafIndex: 42,
  leaf: 'eyJhY3RvciI6InVzZXI6M2YwYyIs…',
  leafHash: HASH,
  event: {
    producer: 'ca',
    position: 17,
    type: 'certificate.revoked',
    occurredAt: '2026-11-21T10:00:00.000Z',
    actor: 'user:3f0c7a52-9f5e-4d6c-8f0b-2f4f0f7f1d11',
    subject: '5f03a1c47e9b20d86f51c2d90a7be418',
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    data: { issuerId: 'issuing', reasonCode: 1 },
  },
};

const INCLUSION: z.infer<typeof inclusionDocument> = {
  entry: ENTRY,
  path: [HASH],
  checkpoint: CHECKPOINT,
};

const CONSISTENCY: z.infer<typeof consistencyDocument> = {
  first: 4000,
  second: 4711,
  path: [HASH],
};

/** Of each operation, as the API's document shows it. */
export const EXAMPLES = {
  checkpoint: { replies: { 200: CHECKPOINT } },
  entries: {
    query: { start: 42, limit: 100 },
    replies: { 200: { items: [ENTRY], nextStart: 142 } },
  },
  proof: { query: { leafIndex: 42 }, replies: { 200: INCLUSION } },
  consistency: { query: { first: 4000, second: 4711 }, replies: { 200: CONSISTENCY } },
} as const;

/** The error that a leaf which is not there yet gives. */
export const NO_ENTRY = { AUDIT_ENTRY_NOT_FOUND: 'The audit log has no entry 99999.' } as const;
