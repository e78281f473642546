import type { Finding, Tree } from './tree.ts';

const NO_IDEA = /(^|\/)(utils?|helpers?|common|shared|misc|core)(\.[a-z.]+)?(?=\/|$)/;
const KEBAB = /^[a-z0-9]+([.-][a-z0-9]+)*$/;

/** Names that say nothing, barrel files, and file names in another style. */
export function poorNames(tree: Tree): Finding[] {
  return tree.files.flatMap(({ path }) => {
    const message = complaint(path);
    return message === undefined ? [] : [{ path, line: 1, message }];
  });
}

function complaint(path: string): string | undefined {
  const vague = NO_IDEA.exec(path);
  if (vague) return `"${vague[2]}" names no idea`;
  if (/(^|\/)src\/(.*\/)?index\.ts$/.test(path)) return 'no index.ts: import the file itself';
  const name = path.split('/').at(-1) ?? '';
  if (path.endsWith('.ts') && !path.startsWith('proto/gen/') && !KEBAB.test(name))
    return 'file names are lower case with dashes';
  return undefined;
}
