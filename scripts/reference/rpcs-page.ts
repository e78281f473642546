import { parse } from 'yaml';
import { code, type Page, type Section } from './table.ts';

interface Rpc {
  readonly fullName: string;
  readonly name: string;
  readonly comment: string;
}

interface Contract {
  readonly service: string;
  readonly comment: string;
  readonly rpcs: readonly Rpc[];
}

/** Every RPC, what it does, and who may call it. `protos` and `peers` are the files' texts. */
export function rpcsPage(protos: readonly string[], peers: string): Page {
  const table = parse(peers) as Record<string, Record<string, readonly string[]>>;
  return {
    title: 'RPCs',
    about:
      'Every call between services and who may make it: `proto/` and `deploy/peers.yaml` in one table. The caller is known by its mTLS certificate.',
    sections: protos.flatMap(contractsOf).map((contract) => sectionOf(contract, table)),
  };
}

function sectionOf(
  { service, comment, rpcs }: Contract,
  table: Record<string, Record<string, readonly string[]>>,
): Section {
  const callersOf = ({ fullName }: Rpc) =>
    Object.entries(table)
      .filter(([, rows]) => rows[fullName] !== undefined)
      .map(([callee, rows]) => `${callee} ← ${rows[fullName]?.join(', ') || 'nobody yet'}`)
      .join('; ') || 'every peer: the RPCs that it carries have rows of their own';
  return {
    heading: service,
    columns: ['RPC', 'what', 'callee ← callers'],
    rows: rpcs.map((rpc) => [code(rpc.name), rpc.comment || comment, callersOf(rpc)]),
  };
}

function contractsOf(text: string): Contract[] {
  const packageName = /^package ([\w.]+);/m.exec(text)?.[1] ?? '';
  const services = [...text.matchAll(/((?:^\/\/.*\n)*)^service (\w+) \{\n([\s\S]*?)^\}/gm)];
  return services.map(([, comment = '', service = '', body = '']) => ({
    service: `${packageName}.${service}`,
    comment: prose(comment),
    rpcs: [...body.matchAll(/((?:^ *\/\/.*\n)*)^ *rpc (\w+)/gm)].map(
      ([, above = '', name = '']) => ({
        fullName: `${packageName}.${service}/${name}`,
        name,
        comment: prose(above),
      }),
    ),
  }));
}

function prose(comment: string): string {
  return comment
    .replaceAll(/^ *\/\/ ?/gm, '')
    .replaceAll('\n', ' ')
    .trim();
}
