import { decodeLeaf } from '@gigvault/merkle/leaf';
import { type ExportedLeaf, verifyLog } from '@gigvault/merkle/verify-log';
import type { Client } from 'pg';

/** A signature as the audit log tells of it. */
export interface AuditedSignature {
  readonly purpose: string;
  readonly tbsSha256: string;
}

/** What the audit log holds. */
export interface AuditedLog {
  readonly findings: readonly string[];
  readonly leaves: number;
  /** By intent id. */
  readonly signatures: ReadonlyMap<string, AuditedSignature>;
}

/** Recomputes the whole tree, compares it with every signed checkpoint, and reads what keymgr says that it signed. */
export async function readAuditLog(database: Client): Promise<AuditedLog> {
  // Checkpoints first: the log grows meanwhile, and a later one would be of leaves that were not read.
  const heads = await database.query<{ tree_size: string; root_hash: Buffer }>(
    'SELECT tree_size, root_hash FROM audit.checkpoint ORDER BY tree_size',
  );
  const leaves = await database.query<{ leaf_index: string; leaf: Buffer; leaf_hash: Buffer }>(
    'SELECT leaf_index, leaf, leaf_hash FROM audit.leaf ORDER BY leaf_index',
  );
  const exported = leaves.rows.map(
    (row): ExportedLeaf => ({
      leafIndex: Number(row.leaf_index),
      leaf: row.leaf,
      leafHash: row.leaf_hash,
    }),
  );
  const checkpoints = heads.rows.map((row) => ({
    size: Number(row.tree_size),
    root: row.root_hash,
  }));
  const report = await verifyLog(exported, checkpoints);
  const findings = report.findings.map((finding) => `audit log: ${finding.message}`);
  if (heads.rows.length === 0) findings.push('audit log: no checkpoint');
  return { findings, leaves: report.leaves, signatures: signaturesIn(exported) };
}

function signaturesIn(leaves: readonly ExportedLeaf[]): Map<string, AuditedSignature> {
  const found = new Map<string, AuditedSignature>();
  for (const { leaf } of leaves) {
    const { type, data } = decodeLeaf(leaf);
    if (type !== 'key.used') continue;
    const { purpose, signatures = [] } = JSON.parse(data.toString()) as {
      purpose: string;
      signatures?: { intentId: string; tbsSha256: string }[];
    };
    for (const { intentId, tbsSha256 } of signatures) found.set(intentId, { purpose, tbsSha256 });
  }
  return found;
}
