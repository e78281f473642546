import { type HttpRoute, operation } from '@gigvault/http/route';
import { leafHash } from '@gigvault/merkle/tree';
import {
  getCheckpoint,
  getConsistencyProof,
  getInclusionProof,
  listEntries,
  type ReadDeps,
} from '../proof/read-log.ts';
import { EXAMPLES, NO_ENTRY } from './http-examples.ts';
import {
  checkpointDocument,
  consistencyDocument,
  consistencyQuery,
  entriesQuery,
  entryPage,
  inclusionDocument,
  placeOf,
  proofQuery,
  toCheckpointDocument,
  toEntryDocument,
} from './http-schemas.ts';

const AUDIT = { method: 'GET', tag: 'Audit', permission: 'audit:read' } as const;

/** The audit log's operations of the REST API. */
export function auditOperations(deps: ReadDeps): HttpRoute[] {
  return [
    checkpointOperation(deps),
    entriesOperation(deps),
    proofOperation(deps),
    consistencyOperation(deps),
  ];
}

function checkpointOperation(deps: ReadDeps): HttpRoute {
  return operation({
    ...AUDIT,
    operationId: 'getAuditCheckpoint',
    path: '/audit/checkpoint',
    summary: 'Get the newest signed tree head',
    replies: { 200: checkpointDocument },
    examples: EXAMPLES.checkpoint,
    async handle() {
      return { status: 200, body: toCheckpointDocument(await getCheckpoint(deps)) };
    },
  });
}

function entriesOperation(deps: ReadDeps): HttpRoute {
  return operation({
    ...AUDIT,
    operationId: 'listAuditEntries',
    path: '/audit/entries',
    summary: 'List entries in order',
    query: entriesQuery,
    replies: { 200: entryPage },
    examples: EXAMPLES.entries,
    async handle({ query: { start, limit } }) {
      const entries = await listEntries(deps, start, limit);
      const more = entries.length === limit ? { nextStart: start + limit } : {};
      return { status: 200, body: { items: entries.map(toEntryDocument), ...more } };
    },
  });
}

function proofOperation(deps: ReadDeps): HttpRoute {
  return operation({
    ...AUDIT,
    operationId: 'getAuditProof',
    path: '/audit/proof',
    summary: 'Prove that an entry is in the newest checkpoint',
    query: proofQuery,
    replies: { 200: inclusionDocument },
    examples: EXAMPLES.proof,
    errors: NO_ENTRY,
    async handle({ query }) {
      const proof = await getInclusionProof(deps, placeOf(query));
      const entry = { ...proof.entry!, leafHash: leafHash(proof.entry!.leaf) };
      const body = {
        entry: toEntryDocument(entry),
        path: proof.path.map((hash) => hash.toString('base64')),
        checkpoint: toCheckpointDocument(proof.checkpoint!),
      };
      return { status: 200, body };
    },
  });
}

function consistencyOperation(deps: ReadDeps): HttpRoute {
  return operation({
    ...AUDIT,
    operationId: 'getAuditConsistency',
    path: '/audit/consistency',
    summary: 'Prove that a later tree extends an earlier one',
    query: consistencyQuery,
    replies: { 200: consistencyDocument },
    examples: EXAMPLES.consistency,
    async handle({ query: { first, second } }) {
      const path = await getConsistencyProof(deps, first, second);
      return {
        status: 200,
        body: { first, second, path: path.map((hash) => hash.toString('base64')) },
      };
    },
  });
}
