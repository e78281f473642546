import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** One file of the tree. */
export interface TreeFile {
  /** From the root, with `/`. */
  readonly path: string;
  readonly bytes: Buffer;
  /** '' for a binary file. */
  readonly text: string;
  readonly binary: boolean;
}

/** What a rule has to say. */
export interface Finding {
  readonly path: string;
  /** Counted from 1. */
  readonly line: number;
  readonly message: string;
}

/** Every file of the repository, read once. */
export interface Tree {
  readonly files: readonly TreeFile[];
  has(path: string): boolean;
  /** The file's text. Throws when there is none. */
  text(path: string): string;
}

/** What installs and builds leave behind: .gitignore says the same. */
const IGNORED = new Set(['.git', 'node_modules', '.tools', 'dist', '.build', 'coverage']);

/** Reads the tree below `root`. */
export function readTree(root: string): Tree {
  const files: TreeFile[] = [];
  const walk = (folder: string) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && !IGNORED.has(entry.name)) walk(path);
      else if (entry.isFile()) files.push(treeFile(path, readFileSync(join(root, path))));
    }
  };
  walk('');
  return treeOf(files);
}

/** A tree of these files: rules are tested on small ones. */
export function treeOf(files: readonly TreeFile[]): Tree {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const folders = new Set(files.flatMap((file) => foldersOf(file.path)));
  return {
    files: [...files].sort((a, b) => (a.path < b.path ? -1 : 1)),
    has: (path) => byPath.has(path) || folders.has(path),
    text(path) {
      const file = byPath.get(path);
      if (file === undefined) throw new Error(`${path} is not there`);
      return file.text;
    },
  };
}

/** A file as the rules see it. */
export function treeFile(path: string, bytes: Buffer): TreeFile {
  const binary = bytes.includes(0);
  return { path, bytes, binary, text: binary ? '' : bytes.toString('utf8') };
}

function foldersOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'));
}

/** Made by a program: nobody reads it line by line. */
export function isGenerated(path: string): boolean {
  return path.startsWith('proto/gen/') || /(^|\/)(pnpm-lock\.yaml|package-lock\.json)$/.test(path);
}

/** Code that runs only in tests and measurements. */
export function isTestCode(path: string): boolean {
  return /\.(test|contract)\.ts$|\/(test|bench|soak|fuzz)\/|^libs\/testkit\//.test(path);
}

/** Our own TypeScript, without the generated. */
export function sources(tree: Tree): TreeFile[] {
  return tree.files.filter((file) => file.path.endsWith('.ts') && !isGenerated(file.path));
}

/** What runs in production: sources without tests, measurements and scripts. */
export function productSources(tree: Tree): TreeFile[] {
  return sources(tree).filter((f) => !isTestCode(f.path) && !f.path.startsWith('scripts/'));
}

const parsed = new WeakMap<TreeFile, ts.SourceFile>();

/** The file's syntax tree, parsed once. */
export function syntaxOf(file: TreeFile): ts.SourceFile {
  const known = parsed.get(file);
  if (known) return known;
  const syntax = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.Latest, true);
  parsed.set(file, syntax);
  return syntax;
}

/** Calls `visit` for every node of the file. */
export function eachNode(file: TreeFile, visit: (node: ts.Node) => void): void {
  const descend = (node: ts.Node) => {
    visit(node);
    ts.forEachChild(node, descend);
  };
  descend(syntaxOf(file));
}

/** A finding at a node. */
export function at(file: TreeFile, node: ts.Node, message: string): Finding {
  const syntax = syntaxOf(file);
  const { line } = syntax.getLineAndCharacterOfPosition(node.getStart(syntax));
  return { path: file.path, line: line + 1, message };
}

/** One finding for each line that `message` has something to say about. */
export function eachLine(file: TreeFile, message: (line: string) => string | undefined): Finding[] {
  return file.text.split('\n').flatMap((line, i) => {
    const found = message(line);
    return found === undefined ? [] : [{ path: file.path, line: i + 1, message: found }];
  });
}
