import { posix } from 'node:path';
import { eachLine, type Finding, type Tree, type TreeFile } from './tree.ts';

const LINK = /(?<!!)\[[^\]]*\]\(([^()\s]+)(?:\s+"[^"]*")?\)|^\[[^\]]+\]:\s*(\S+)/g;
const FILE_IN_BACKTICKS = /`([\w@][\w.@-]*(?:\/[\w.@*<>-]+)+\.(?:ts|mjs|cjs|md|sh|yaml|proto))`/g;

/** Links to files that are not there, and to headings that nobody wrote. */
export function deadLinks(tree: Tree): Finding[] {
  return documents(tree).flatMap((file) =>
    eachProseLine(file, (line) => {
      for (const [, inline, reference] of withoutCode(line).matchAll(LINK)) {
        const message = complaint(tree, file, inline ?? reference ?? '');
        if (message) return message;
      }
      return undefined;
    }),
  );
}

function complaint(tree: Tree, file: TreeFile, link: string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:/.test(link)) return undefined;
  const [path = '', anchor] = link.split('#', 2);
  const target =
    path === '' ? file.path : posix.normalize(posix.join(posix.dirname(file.path), path));
  if (!tree.has(target.replace(/\/$/, ''))) return `${link} leads nowhere`;
  if (anchor === undefined || !target.endsWith('.md')) return undefined;
  return anchorsOf(tree.text(target)).has(anchor) ? undefined : `${link}: no such heading`;
}

/** The anchors that a Markdown viewer makes of the headings. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  const seen = new Map<string, number>();
  for (const { line, fenced } of linesOf(text)) {
    const heading = fenced ? undefined : /^#{1,6}\s+(.*?)\s*#*$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return anchors;
}

/**
 * Files that a document names in backticks and that are not there. A path counts from the root, from `services/`,
 * `libs/` or `proto/gigvault/`, or from the document's own folder and its `src`.
 */
export function namedFiles(tree: Tree): Finding[] {
  return documents(tree).flatMap((file) =>
    eachProseLine(file, (line) => {
      for (const [, path = ''] of line.matchAll(FILE_IN_BACKTICKS)) {
        if (/[*<>]/.test(path)) continue;
        const folder = posix.dirname(file.path);
        const places = ['', 'services', 'libs', 'proto/gigvault', folder, `${folder}/src`];
        if (!places.some((place) => tree.has(posix.normalize(posix.join(place, path)))))
          return `${path} is not there`;
      }
      return undefined;
    }),
  );
}

/** Steps that a flow's document calls durable and that no code runs. */
export function durableSteps(tree: Tree): Finding[] {
  const inCode = new Set(
    tree.files
      .filter((file) => /^(libs|services)\/.*\.ts$/.test(file.path))
      .flatMap((file) => [...file.text.matchAll(/durableStep\(\s*'([a-z.-]+)'/g)].map((m) => m[1])),
  );
  const services = new Set([...inCode].map((step) => step?.split('.')[0]));
  return tree.files
    .filter((file) => /^docs\/flows\/.*\.md$/.test(file.path))
    .flatMap((file) =>
      eachLine(file, (line) => {
        for (const [, step = ''] of line.matchAll(/`([a-z]+\.[a-z-]+)`/g)) {
          const isStep = services.has(step.split('.')[0]) && line.startsWith('|');
          if (isStep && !inCode.has(step)) return `${step} is no durable step of the code`;
        }
        return undefined;
      }),
    );
}

function documents(tree: Tree): TreeFile[] {
  return tree.files.filter((file) => file.path.endsWith('.md'));
}

function eachProseLine(file: TreeFile, message: (line: string) => string | undefined): Finding[] {
  return linesOf(file.text).flatMap(({ line, fenced }, i) => {
    const found = fenced ? undefined : message(line);
    return found === undefined ? [] : [{ path: file.path, line: i + 1, message: found }];
  });
}

function linesOf(text: string): { line: string; fenced: boolean }[] {
  let fence = false;
  return text.split('\n').map((line) => {
    const isFence = /^\s*(```|~~~)/.test(line);
    if (isFence) fence = !fence;
    return { line, fenced: fence || isFence };
  });
}

function withoutCode(line: string): string {
  return line.replaceAll(/`[^`]*`/g, (code) => 'x'.repeat(code.length));
}
