import { join } from 'node:path';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { writeFileDurably } from '@gigvault/files/durable-file';
import { checkHierarchy, type Hierarchy } from '@gigvault/rootca/ceremony/check-hierarchy';
import { HIERARCHY_FILES, ROOT_FILES } from '@gigvault/rootca/ceremony/root-files';
import { verifyTranscript } from '@gigvault/rootca/ceremony/transcript';
import { type Plan, planHash, type SubordinateKind } from '@gigvault/rootca/plan/plan';
import { toPem } from '@gigvault/x509/pem';
import { stringify } from 'yaml';
import { CA_KEYS, type CaRequest } from './ca-keys.ts';

/** What becomes the installation's root directory. */
export interface SignedHierarchy {
  readonly plan: Plan;
  /** From keymgr: their keys must be those of the certificates. */
  readonly requests: Readonly<Record<SubordinateKind, CaRequest>>;
  readonly hierarchy: Hierarchy;
  /** Name and text of each transcript. */
  readonly transcripts: ReadonlyMap<string, string>;
  /** Of a key ceremony: what its transcript has the sums of, to be kept to the letter. */
  readonly papers?: ReadonlyMap<string, string>;
  /** What else is known to be wrong. */
  readonly problems?: readonly FileProblem[];
  /** Who is told when something is wrong, as `The files of /media/usb`. */
  readonly source: string;
}

/**
 * Checks what a root has signed, whoever ran it, and makes it this installation's. Nothing is written unless all is well; the root's
 * certificate is written last: a root directory with its certificate is complete. Errors: INVALID_ARGUMENT with a problem for each file.
 */
export async function storeHierarchy(
  folder: string,
  signed: SignedHierarchy,
  now: number,
): Promise<void> {
  const { plan, hierarchy, transcripts, papers = new Map<string, string>() } = signed;
  refuseProblems(signed.source, hierarchyProblems(signed, now));
  const write = (name: string, content: string) =>
    writeFileDurably(join(folder, name), content, 0o644);
  if (!papers.has(ROOT_FILES.plan)) await write(ROOT_FILES.plan, stringify(plan));
  for (const [name, text] of [...papers, ...transcripts]) await write(name, text);
  await write(HIERARCHY_FILES.rootCrl, toPem('X509 CRL', hierarchy.rootCrl.der));
  for (const part of ['issuing', 'services', 'root'] as const)
    await write(HIERARCHY_FILES[part], toPem('CERTIFICATE', hierarchy[part].der));
}

/** A file and what is wrong with it. */
export interface FileProblem {
  readonly pointer: string;
  readonly message: string;
}

/** Errors: INVALID_ARGUMENT with these problems, unless there are none. */
export function refuseProblems(source: string, problems: readonly FileProblem[]): void {
  if (problems.length === 0) return;
  const why = `${source} cannot be used, and nothing was changed.`;
  throw new GigvaultError('INVALID_ARGUMENT', why, { problems: [...problems] });
}

function hierarchyProblems(signed: SignedHierarchy, now: number): FileProblem[] {
  const { plan, requests, hierarchy, problems = [] } = signed;
  const found = checkHierarchy(plan, hierarchy, now).map(({ part, problem }) => ({
    pointer: HIERARCHY_FILES[part],
    message: problem,
  }));
  const foreign = (['issuing', 'services'] as const)
    .filter((kind) => !hierarchy[kind].spki.equals(requests[kind].publicKey.spki))
    .map((kind) => ({
      pointer: HIERARCHY_FILES[kind],
      message: `is for another key than ${CA_KEYS[kind]} of this data directory: sign its own ${kind}.csr`,
    }));
  const own = [...found, ...foreign, ...transcriptProblems(signed)];
  const told = new Set(own.map(({ pointer }) => pointer));
  return [...own, ...problems.filter(({ pointer }) => !told.has(pointer))];
}

function transcriptProblems({ plan, hierarchy, transcripts }: SignedHierarchy): FileProblem[] {
  return [...transcripts].flatMap(([pointer, text]) => {
    try {
      const { planSha256 } = verifyTranscript(text, hierarchy.root.der);
      return planSha256 === planHash(plan) ? [] : [{ pointer, message: 'tells of another plan' }];
    } catch (error) {
      return [{ pointer, message: asGigvaultError(error).message }];
    }
  });
}
