import ts from 'typescript';
import { at, type Finding, isTestCode, syntaxOf, type Tree, type TreeFile } from './tree.ts';

/** Functions that make bytes or text of values, or values of bytes or text. */
const CODEC =
  /^(read|parse|encode|build|assemble|normalize|format|to|from)(?=[A-Z])|FromOctets$|ToOctets$/;
const PROPERTY = /^libs\/x509\/(src\/.*\.property\.test|fuzz\/[^/]+)\.ts$/;

/** Encoders and decoders of libs/x509 that no property test and no fuzz target names. */
export function untestedCodecs(tree: Tree): Finding[] {
  const properties = tree.files.filter(({ path }) => PROPERTY.test(path));
  const named = new Set(
    properties.flatMap(({ path }) => tree.text(path).match(/[A-Za-z0-9]+/g) ?? []),
  );
  return tree.files
    .filter(({ path }) => /^libs\/x509\/src\/.*\.ts$/.test(path) && !isTestCode(path))
    .flatMap((file) => codecsOf(file).filter(({ name }) => !named.has(name)))
    .map(({ file, node, name }) =>
      at(file, node, `${name}: it needs a property test (*.property.test.ts)`),
    );
}

function codecsOf(file: TreeFile): { file: TreeFile; node: ts.Node; name: string }[] {
  return syntaxOf(file)
    .statements.filter(ts.isFunctionDeclaration)
    .filter(({ modifiers }) => modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword))
    .map((node) => ({ file, node, name: node.name?.text ?? '' }))
    .filter(({ name }) => CODEC.test(name));
}
