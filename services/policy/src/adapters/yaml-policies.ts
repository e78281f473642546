import { createHash } from 'node:crypto';
import { canonicalJson } from '@gigvault/canonical-json/canonical-json';
import { nearest } from '@gigvault/config/nearest';
import { GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';
import { type Document, isAlias, isNode, LineCounter, parseAllDocuments, visit } from 'yaml';
import type { z } from 'zod';
import type { Policy, PolicyDocument } from '../evaluation/policy-document.ts';
import { knownKeys, POLICY_SCHEMA } from './policy-schema.ts';

const MAX_OCTETS = 262_144;

/**
 * The policies of one YAML text: one policy per document (`---`). Strict: unknown keys, doubled keys, aliases (T70) and
 * texts over 256 KiB are refused.
 * Errors: INVALID_ARGUMENT with one problem for each thing that is wrong, as `policies.yaml:12: unknown key "wildcard" …`.
 *
 * @param source What to call the text in messages, as its file name.
 */
export function parsePolicies(text: string, source: string): Policy[] {
  if (Buffer.byteLength(text) > MAX_OCTETS)
    throw refused(source, [`${source}: larger than 256 KiB`]);
  const lines = new LineCounter();
  const documents = parseDocuments(text, source, lines);
  const messages: string[] = [];
  const policies: Policy[] = [];
  for (const document of documents) {
    const where = (offset: number | undefined) => `${source}:${lines.linePos(offset ?? 0).line}`;
    const problems = syntaxProblems(document, where);
    if (problems.length === 0) readPolicy(document, where, problems, policies);
    messages.push(...problems);
  }
  if (messages.length > 0) throw refused(source, messages);
  return policies;
}

function parseDocuments(text: string, source: string, lines: LineCounter): Document[] {
  try {
    const parsed = parseAllDocuments(text, {
      lineCounter: lines,
      uniqueKeys: true,
      version: '1.2',
      merge: false,
    });
    return Array.isArray(parsed)
      ? [...parsed].filter((document) => document.contents !== null)
      : [];
  } catch (error) {
    // The composer recurses: a text nested too deeply ends here.
    throw refused(source, [`${source}: cannot be read as YAML`], error);
  }
}

type Where = (offset: number | undefined) => string;

function syntaxProblems(document: Document, where: Where): string[] {
  const problems = document.errors.map(
    (error) => `${where(error.pos[0])}: ${error.message.split('\n')[0]}`,
  );
  visit(document, (_key, node) => {
    if (!isAlias(node)) return undefined;
    problems.push(`${where(node.range?.[0])}: YAML aliases are not allowed`);
    return visit.BREAK;
  });
  return problems;
}

function readPolicy(
  document: Document,
  where: Where,
  problems: string[],
  policies: Policy[],
): void {
  const result = POLICY_SCHEMA.safeParse(document.toJS({ maxAliasCount: 0 }));
  if (result.success) {
    policies.push({ document: result.data, hash: hashOf(result.data) });
    return;
  }
  for (const issue of result.error.issues) problems.push(...describe(issue, document, where));
}

function describe(issue: z.core.$ZodIssue, document: Document, where: Where): string[] {
  const at = (path: readonly PropertyKey[]) => where(offsetOf(document, path));
  if (issue.code !== 'unrecognized_keys') {
    const name = issue.path.length === 0 ? 'policy' : issue.path.join('.');
    return [`${at(issue.path)}: ${name}: ${issue.message}`];
  }
  return issue.keys.map((key) => {
    const near = nearest(key, knownKeys(issue.path));
    return `${at([...issue.path, key])}: unknown key "${key}"${near ? `; did you mean "${near}"?` : ''}`;
  });
}

/** Where the value at this path begins, or its nearest ancestor that exists. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return document.contents?.range?.[0];
}

function hashOf(document: PolicyDocument): string {
  return createHash('sha256').update(canonicalJson(document)).digest('hex');
}

function refused(source: string, messages: readonly string[], cause?: unknown): GigvaultError {
  const problems: Problem[] = messages.map((message) => ({ pointer: '', message }));
  return new GigvaultError(
    'INVALID_ARGUMENT',
    `Policies of ${source} are refused: ${messages.join('; ')}`,
    { problems, cause },
  );
}
