import ts from 'typescript';
import { MAY_WRITE_WITHOUT_STEP } from './exceptions.ts';
import {
  at,
  eachNode,
  type Finding,
  productSources,
  syntaxOf,
  type Tree,
  type TreeFile,
} from './tree.ts';

/** The services in which the crash tests kill, `npm run test:crash`. */
const FLOWS = /^services\/(enroll|ra|ca|keymgr|crl|ocsp|audit)\/src\//;
const WRITE = /\b(INSERT\s+INTO|UPDATE\s+\w+|DELETE\s+FROM)\b/;
/** Of libs/database: what they do is durable when they resolve. */
const DURABLE_CALLS: ReadonlySet<string> = new Set(['eventLog.change', 'eventLog.append']);

/**
 * Methods of adapters that write to the database although no durableStep surrounds them, neither in the adapter nor where the method is
 * called: a process cannot be made to die there. What takes a `client` writes in the transaction of whoever has it.
 */
export function stepsWithoutHook(tree: Tree): Finding[] {
  const files = productSources(tree).filter(({ path }) => FLOWS.test(path));
  const findings: Finding[] = [];
  const needed = new Set<string>();
  for (const file of files.filter(({ path }) => path.includes('/adapters/'))) {
    const service = file.path.split('/')[1];
    const hooked = calledInSteps(files.filter(({ path }) => path.split('/')[1] === service));
    for (const { name, node } of writingMethods(file)) {
      if (hooked.has(name)) continue;
      const exception = `${file.path}#${name}`;
      needed.add(exception);
      if (!(exception in MAY_WRITE_WITHOUT_STEP))
        findings.push(at(file, node, `${name} writes outside of every durableStep`));
    }
  }
  const unused = Object.keys(MAY_WRITE_WITHOUT_STEP).filter(
    (key) => !needed.has(key) && tree.has(key.split('#', 1)[0] as string),
  );
  return [
    ...findings,
    ...unused.map((key) => ({
      path: key,
      line: 1,
      message: 'an exception that nothing needs any more',
    })),
  ];
}

/** The names of methods that are called inside of a durableStep. */
function calledInSteps(files: readonly TreeFile[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const file of files) {
    eachNode(file, (node) => {
      if (!isStep(node)) return;
      for (const call of descendants(node.arguments[1]))
        if (ts.isCallExpression(call) && ts.isPropertyAccessExpression(call.expression))
          names.add(call.expression.name.text);
    });
  }
  return names;
}

/** The members of an adapter's object literals that write and have no step of their own. */
function writingMethods(file: TreeFile): { name: string; node: ts.Node }[] {
  const declarations = topLevel(file);
  const found: { name: string; node: ts.Node }[] = [];
  eachNode(file, (node) => {
    const isMember =
      ts.isMethodDeclaration(node) ||
      (ts.isPropertyAssignment(node) &&
        !ts.isStringLiteralLike(node.initializer) &&
        !ts.isTemplateExpression(node.initializer));
    if (!isMember || !ts.isObjectLiteralExpression(node.parent) || !isReturned(node.parent)) return;
    const reached = reachable(node, declarations);
    if (reached.some(writes) && !reached.some((part) => descendants(part).some(isStep)))
      found.push({ name: node.name.getText(), node });
  });
  return found;
}

/** The literal is what an exported function gives, and that function opens its own transactions. */
function isReturned(literal: ts.ObjectLiteralExpression): boolean {
  let parent: ts.Node = literal.parent;
  while (
    ts.isParenthesizedExpression(parent) ||
    ts.isReturnStatement(parent) ||
    ts.isBlock(parent) ||
    ts.isSpreadAssignment(parent)
  )
    parent = parent.parent;
  return (
    ts.isFunctionDeclaration(parent) &&
    isExported(parent) &&
    !parent.parameters.some((parameter) => parameter.name.getText() === 'client')
  );
}

/** The node and the declarations of its file that it names, and those that these name. */
function reachable(node: ts.Node, declarations: ReadonlyMap<string, ts.Node>): ts.Node[] {
  const reached = new Set([node]);
  for (const part of reached)
    for (const inner of descendants(part)) {
      const declaration = ts.isIdentifier(inner) ? declarations.get(inner.text) : undefined;
      if (declaration) reached.add(declaration);
    }
  return [...reached];
}

/** Functions and constants of the file, and the constants of its exported functions: what an adapter's methods share. */
function topLevel(file: TreeFile): ReadonlyMap<string, ts.Node> {
  const declarations = new Map<string, ts.Node>();
  const constants = (statements: readonly ts.Statement[]) => {
    for (const statement of statements.filter(ts.isVariableStatement))
      for (const { name, initializer } of statement.declarationList.declarations)
        if (initializer) declarations.set(name.getText(), initializer);
  };
  const { statements } = syntaxOf(file);
  constants(statements);
  for (const statement of statements.filter(ts.isFunctionDeclaration)) {
    if (statement.name === undefined || statement.body === undefined) continue;
    declarations.set(statement.name.text, statement.body);
    if (isExported(statement)) constants(statement.body.statements);
  }
  return declarations;
}

function isExported({ modifiers }: ts.FunctionDeclaration): boolean {
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

function writes(node: ts.Node): boolean {
  return descendants(node).some(
    (inner) =>
      (ts.isStringLiteralLike(inner) && WRITE.test(inner.text)) ||
      (ts.isTemplateExpression(inner) && WRITE.test(inner.getText())) ||
      (ts.isPropertyAccessExpression(inner) && DURABLE_CALLS.has(inner.getText())),
  );
}

function isStep(node: ts.Node): node is ts.CallExpression {
  return ts.isCallExpression(node) && node.expression.getText() === 'durableStep';
}

function descendants(node: ts.Node | undefined): ts.Node[] {
  if (node === undefined) return [];
  const found = [node];
  ts.forEachChild(node, (child) => void found.push(...descendants(child)));
  return found;
}
