import ts from 'typescript';
import {
  at,
  eachLine,
  type Finding,
  isGenerated,
  isTestCode,
  sources,
  syntaxOf,
  type Tree,
} from './tree.ts';

const CITATION = /\bRFC\s*-?\s*\d+|\brfc[ -]\d+/g;
const WELL_FORMED = /^RFC \d{3,5}$/;
const LOOSE_SECTION = /^,?\s*(§\s|§§|[Ss]ection\b|[Ss]ec\.|[Ss]ect\.|[Cc]hapter\b|#)/;
const UNFINISHED = /\b(TODO|FIXME|XXX|HACK)\b/;
const MACHINE_PATH = /(?<![\w.$}>/~-])\/(work|root|home\/[a-z][\w-]*|Users\/\w+)\//;
const REGISTRY =
  /\b(registry\.(npmjs|yarnpkg)\.\w+|npmjs\.(org|com)|pypi\.org|crates\.io|proxy\.golang\.org|deb\.debian\.org|ghcr\.io|docker\.io)\b/;
/** These rules' own words stand here. */
const OWN = 'scripts/tidy/';

/** Exported names that say nothing beyond their signature. */
export function undocumentedExports(tree: Tree): Finding[] {
  const files = sources(tree).filter(
    ({ path }) => !isTestCode(path) || path.startsWith('libs/testkit/'),
  );
  return files.flatMap((file) =>
    syntaxOf(file)
      .statements.filter((statement) => isExportedName(statement) && !hasDocComment(statement))
      .map((statement) => at(file, statement, `${nameOf(statement)} has no doc comment`)),
  );
}

function isExportedName(statement: ts.Statement): boolean {
  const isName =
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) ||
    ts.isVariableStatement(statement);
  return (
    isName && (ts.getModifiers(statement) ?? []).some((m) => m.kind === ts.SyntaxKind.ExportKeyword)
  );
}

function hasDocComment(statement: ts.Statement): boolean {
  return ts.getJSDocCommentsAndTags(statement).length > 0;
}

function nameOf(statement: ts.Statement): string {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations[0]?.name.getText() ?? 'it';
  return (statement as ts.DeclarationStatement).name?.getText() ?? 'it';
}

/** RPCs and services of the contracts without a comment above them. */
export function undocumentedRpcs(tree: Tree): Finding[] {
  return tree.files
    .filter((file) => file.path.endsWith('.proto'))
    .flatMap((file) => {
      const lines = file.text.split('\n');
      return lines.flatMap((line, i) =>
        /^\s*(rpc|service) \w+/.test(line) && !/^\s*\/\//.test(lines[i - 1] ?? '')
          ? [{ path: file.path, line: i + 1, message: `${line.trim()} has no comment` }]
          : [],
      );
    });
}

/** Citations that a search for `RFC 5280 §4.2.1.9` would miss. */
export function malformedCitations(tree: Tree): Finding[] {
  return proseAndCode(tree).flatMap((file) =>
    eachLine(file, (line) => {
      for (const match of line.matchAll(CITATION)) {
        const rest = line.slice(match.index + match[0].length);
        if (!WELL_FORMED.test(match[0]) || LOOSE_SECTION.test(rest))
          return `"${match[0]}${rest.slice(0, 12)}": cite as RFC 5280 §4.2.1.9`;
      }
      return undefined;
    }),
  );
}

/** Work that somebody meant to do. */
export function unfinished(tree: Tree): Finding[] {
  return proseAndCode(tree).flatMap((file) =>
    eachLine(file, (line) => {
      const found = UNFINISHED.exec(line);
      return found ? `${found[1]}: do it, or file an issue` : undefined;
    }),
  );
}

/** Paths of one developer's machine. */
export function machinePaths(tree: Tree): Finding[] {
  return proseAndCode(tree).flatMap((file) =>
    eachLine(file, (line) => {
      const found = MACHINE_PATH.exec(line);
      return found ? `${found[0]}: a path of one machine` : undefined;
    }),
  );
}

/** Registries by name: where packages come from is the installer's configuration. */
export function registryHosts(tree: Tree): Finding[] {
  return tree.files
    .filter((file) => !file.binary && !file.path.startsWith(OWN))
    .flatMap((file) =>
      eachLine(file, (line) => {
        const found = REGISTRY.exec(line);
        return found ? `${found[0]}: no registry by name` : undefined;
      }),
    );
}

function proseAndCode(tree: Tree) {
  return tree.files.filter(
    (file) => !file.binary && !isGenerated(file.path) && !file.path.startsWith(OWN),
  );
}
