import ts from 'typescript';
import {
  at,
  eachNode,
  type Finding,
  isGenerated,
  isTestCode,
  sources,
  syntaxOf,
  type Tree,
} from './tree.ts';

const FILE_LINES = 400;
const TEST_FILE_LINES = 600;
const FUNCTION_LINES = 70;
const TEST_FUNCTION_LINES = 120;
const BINARY_OCTETS = 256 * 1024;
const PROGRAM_TEXT = /\.(ts|mjs|cjs|sh|proto)$/;

/** Files that nobody can hold in their head. */
export function longFiles(tree: Tree): Finding[] {
  return tree.files.flatMap(({ path, text }) => {
    if (!PROGRAM_TEXT.test(path) || isGenerated(path)) return [];
    const limit = isTestCode(path) ? TEST_FILE_LINES : FILE_LINES;
    const lines = text.split('\n').length - 1;
    return lines > limit
      ? [{ path, line: lines, message: `${lines} lines; at most ${limit}` }]
      : [];
  });
}

/** Functions that do not fit on a page. The callback of `describe` is a list, not a function. */
export function longFunctions(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  for (const file of sources(tree)) {
    const limit = isTestCode(file.path) ? TEST_FUNCTION_LINES : FUNCTION_LINES;
    const syntax = syntaxOf(file);
    eachNode(file, (node) => {
      if (!ts.isFunctionLike(node) || isDescribe(node)) return;
      const lines = syntax.text.slice(node.getStart(syntax), node.end).split('\n').length;
      if (lines > limit)
        findings.push(at(file, node, `a function of ${lines} lines; at most ${limit}`));
    });
  }
  return findings;
}

function isDescribe(node: ts.Node): boolean {
  return ts.isCallExpression(node.parent) && /^describe/.test(node.parent.expression.getText());
}

/** Binary files that make every clone slower. */
export function largeBinaries(tree: Tree): Finding[] {
  return tree.files
    .filter((file) => file.binary && file.bytes.length > BINARY_OCTETS)
    .map(({ path, bytes }) => ({ path, line: 1, message: `a binary of ${bytes.length} octets` }));
}
