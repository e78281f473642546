import ts from 'typescript';
import { MAY_CONNECT } from './exceptions.ts';
import {
  at,
  eachNode,
  type Finding,
  productSources,
  syntaxOf,
  type Tree,
  type TreeFile,
} from './tree.ts';

const NETWORK = /^(node:(http|https|http2|net|tls|dns|dgram)(\/promises)?|undici)$/;
/** Of these modules: what opens no connection and asks no name server. */
const HARMLESS: ReadonlySet<string> = new Set([
  'BlockList',
  'METHODS',
  'createSecureContext',
  'createServer',
  'isIP',
  'isIPv4',
  'isIPv6',
]);

/**
 * Product code that can connect to somewhere. Where a user says where to, it is the validator's fetcher, which connects to no address that its
 * rules refuse (faults T42, T43, T73); every other place says why nobody leads it astray.
 */
export function outgoingConnections(tree: Tree): Finding[] {
  const findings = productSources(tree)
    .filter(({ path }) => !path.startsWith('libs/testkit/'))
    .flatMap(connectionsOf);
  const needed = new Set(findings.map(({ path }) => path));
  const unneeded = Object.keys(MAY_CONNECT).filter((path) => !needed.has(path));
  return [
    ...findings.filter(({ path }) => !(path in MAY_CONNECT)),
    ...unneeded.map((path) => ({
      path,
      line: 1,
      message: 'an exception that nothing needs any more',
    })),
  ];
}

function connectionsOf(file: TreeFile): Finding[] {
  const findings: Finding[] = [];
  const own = syntaxOf(file).statements.length > 0 && /function fetch\(/.test(file.text);
  eachNode(file, (node) => {
    const what = connectionOf(node, own);
    if (what !== undefined)
      findings.push(at(file, node, `${what}: URLs of users go through the validator's fetcher`));
  });
  return findings;
}

function connectionOf(node: ts.Node, ownFetch: boolean): string | undefined {
  if (ts.isImportDeclaration(node)) {
    const module = (node.moduleSpecifier as ts.StringLiteral).text;
    return NETWORK.test(module) && bringsMore(node.importClause) ? module : undefined;
  }
  if (!ts.isCallExpression(node)) return undefined;
  const [argument] = node.arguments;
  if (node.expression.kind === ts.SyntaxKind.ImportKeyword)
    return argument && ts.isStringLiteral(argument) && NETWORK.test(argument.text)
      ? argument.text
      : undefined;
  return node.expression.getText() === 'fetch' && !ownFetch ? 'fetch' : undefined;
}

/** Whether a clause has a name that is neither a type nor harmless. */
function bringsMore(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined || clause.isTypeOnly) return false;
  if (clause.name !== undefined) return true;
  const names = clause.namedBindings;
  if (names === undefined || ts.isNamespaceImport(names)) return names !== undefined;
  return names.elements.some(
    ({ isTypeOnly, propertyName, name }) =>
      !isTypeOnly &&
      !HARMLESS.has((propertyName ?? name).text) &&
      /^[a-z]|^(Agent|Resolver|Socket)$/.test((propertyName ?? name).text),
  );
}
