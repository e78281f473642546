import ts from 'typescript';
import { MAY_ASK_THE_TIME, MAY_EXTEND } from './exceptions.ts';
import {
  at,
  eachLine,
  eachNode,
  type Finding,
  isTestCode,
  productSources,
  sources,
  syntaxOf,
  type Tree,
  type TreeFile,
} from './tree.ts';

const NEST_MAGIC: ReadonlySet<string> = new Set([
  'forwardRef',
  'Global',
  'ModuleRef',
  'ConfigService',
]);
const TIMERS: ReadonlySet<string> = new Set(['setTimeout', 'setInterval']);
const RANDOM_OR_NOW: ReadonlySet<string> = new Set(['Date.now', 'Math.random']);
const FOCUSED = /^(describe|it|test)\.(only|skip|todo)\b|^(xit|xdescribe|xtest|fit|fdescribe)$/;
const ENVIRONMENT = 'libs/config/src/process-environment.ts';

/** Nest's ways to hide what depends on what. */
export function hiddenWiring(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  for (const file of sources(tree)) {
    eachNode(file, (node) => {
      if (ts.isIdentifier(node) && NEST_MAGIC.has(node.text) && isNestName(node))
        findings.push(at(file, node, `${node.text}: pass what is needed as an argument`));
    });
  }
  const configs = tree.files.filter((file) => /(^|\/)tsconfig[^/]*\.json$/.test(file.path));
  return [
    ...findings,
    ...configs.flatMap((file) =>
      eachLine(file, (line) =>
        /"emitDecoratorMetadata": *true/.test(line) ? 'swc and esbuild emit none' : undefined,
      ),
    ),
  ];
}

/** `Global` is a word that our own code may use, but not as a decorator. */
function isNestName(node: ts.Identifier): boolean {
  if (node.text !== 'Global') return true;
  return ts.isCallExpression(node.parent) && ts.isDecorator(node.parent.parent);
}

/** Environment variables that are read past libs/config. */
export function environmentReads(tree: Tree): Finding[] {
  return propertyReads(
    productSources(tree).filter((file) => file.path !== ENVIRONMENT),
    (text) => (text === 'process.env' ? `process.env: take it from ${ENVIRONMENT}` : undefined),
  );
}

/** Output past the log and the terminal. */
export function consoleCalls(tree: Tree): Finding[] {
  return propertyReads(sources(tree), (text) =>
    text.startsWith('console.') ? `${text}: use the log` : undefined,
  );
}

/** Product code that knows the time by itself; adapters may. */
export function ownClocks(tree: Tree): Finding[] {
  const files = productSources(tree).filter((file) => !file.path.includes('/adapters/'));
  const findings = files.flatMap(readsOfTime);
  const needed = new Set(findings.map((finding) => finding.path));
  return [
    ...findings.filter((finding) => !(finding.path in MAY_ASK_THE_TIME)),
    ...unused(MAY_ASK_THE_TIME, needed),
  ];
}

function readsOfTime(file: TreeFile): Finding[] {
  const findings: Finding[] = [];
  eachNode(file, (node) => {
    const what = readOfTime(node);
    if (what) findings.push(at(file, node, `${what}: take a Clock (libs/time)`));
  });
  return findings;
}

function readOfTime(node: ts.Node): string | undefined {
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression))
    return TIMERS.has(node.expression.text) ? node.expression.text : undefined;
  if (ts.isPropertyAccessExpression(node))
    return RANDOM_OR_NOW.has(node.getText()) ? node.getText() : undefined;
  const isBareDate =
    ts.isNewExpression(node) &&
    node.expression.getText() === 'Date' &&
    (node.arguments?.length ?? 0) === 0;
  return isBareDate ? 'new Date()' : undefined;
}

/** Tests that are left out, and tests that leave out the others. */
export function focusedTests(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  for (const file of sources(tree).filter(({ path }) => isTestCode(path))) {
    eachNode(file, (node) => {
      if (ts.isCallExpression(node) && FOCUSED.test(node.expression.getText()))
        findings.push(at(file, node, `${node.expression.getText()}: a test runs, or is not there`));
    });
  }
  return findings;
}

/** Queries in adapters whose failures nobody puts into the house's words: a lost connection would be INTERNAL, not UNAVAILABLE. */
export function rawQueries(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  for (const file of productSources(tree).filter(({ path }) => path.includes('/adapters/'))) {
    eachNode(file, (node) => {
      if (
        ts.isCallExpression(node) &&
        /\b(pool|database)\s*\.query$/.test(node.expression.getText())
      )
        findings.push(at(file, node, 'pool.query: use query() of libs/database'));
    });
  }
  return findings;
}

/** Inheritance, and default exports. */
export function inheritanceAndDefaults(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  const extending = new Set<string>();
  for (const file of productSources(tree)) {
    for (const statement of syntaxOf(file).statements) {
      if (ts.isExportAssignment(statement) || isDefault(statement))
        findings.push(at(file, statement, 'no default exports: a thing has one name'));
      const parent = ts.isClassDeclaration(statement) ? parentOf(statement) : undefined;
      if (parent === undefined || /Error$/.test(parent)) continue;
      extending.add(file.path);
      if (!(file.path in MAY_EXTEND))
        findings.push(at(file, statement, `extends ${parent}: pass what is needed instead`));
    }
  }
  return [...findings, ...unused(MAY_EXTEND, extending)];
}

function parentOf(declaration: ts.ClassDeclaration): string | undefined {
  return declaration.heritageClauses
    ?.find((clause) => clause.token === ts.SyntaxKind.ExtendsKeyword)
    ?.types[0]?.expression.getText();
}

function isDefault(statement: ts.Statement): boolean {
  return (
    ts.canHaveModifiers(statement) &&
    (ts.getModifiers(statement) ?? []).some((m) => m.kind === ts.SyntaxKind.DefaultKeyword)
  );
}

function propertyReads(
  files: readonly TreeFile[],
  message: (text: string) => string | undefined,
): Finding[] {
  const findings: Finding[] = [];
  for (const file of files) {
    eachNode(file, (node) => {
      const found = ts.isPropertyAccessExpression(node) ? message(node.getText()) : undefined;
      if (found !== undefined) findings.push(at(file, node, found));
    });
  }
  return findings;
}

function unused(table: Readonly<Record<string, string>>, needed: ReadonlySet<string>): Finding[] {
  return Object.keys(table)
    .filter((path) => !needed.has(path))
    .map((path) => ({ path, line: 1, message: 'an exception that nothing needs any more' }));
}
