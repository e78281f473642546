import type { Problem } from '@gigvault/errors/gigvault-error';
import type { z } from 'zod';
import { nearest } from './nearest.ts';
import { numberedKeys, numberedSchema } from './numbered-entries.ts';
import { leafKeys, schemaAt } from './schema-keys.ts';
import { fileSecret, takesSecretPlace } from './secret.ts';

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'GIGVAULT_';

/** Variables of GigVault's programs that are no keys: where the configuration lies, and what the `gigvault` command reads. */
const OTHERS = [
  'GIGVAULT_API_KEY',
  'GIGVAULT_CA_FILE',
  'GIGVAULT_CONFIG',
  'GIGVAULT_CONTEXT',
  'GIGVAULT_OUTPUT',
  'GIGVAULT_SERVER',
  'GIGVAULT_TIMEOUT',
];

/** What Kubernetes sets in every container beside a service whose name begins with `gigvault`. */
const SERVICE_LINK = /_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP)(_\w+)?$/;
const LINK_ADDRESS = /^(tcp|udp):\/\//;

/** True for what Kubernetes sets, and no operator. */
export function isServiceLink(name: string, value: string): boolean {
  return SERVICE_LINK.test(name) || LINK_ADDRESS.test(value);
}

/** `https.port` → `GIGVAULT_HTTPS_PORT`; `ra.http01Port` → `GIGVAULT_RA_HTTP01_PORT`. */
export function environmentName(key: string): string {
  return `${PREFIX}${key
    .replaceAll('.', '_')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toUpperCase()}`;
}

/** A key's value with the name of its variable: `NAME`, `NAME_0`, `NAME_1` … for a list, `NAME_FILE` for a secret. */
export function environmentValue(
  key: string,
  leaf: z.ZodType,
  environment: Environment,
): { readonly name: string; readonly value: unknown } | undefined {
  const name = environmentName(key);
  const value = environment[name];
  if (value !== undefined) return { name, value: fromText(value, leaf) };
  const file = environment[`${name}_FILE`];
  if (file !== undefined && takesSecretPlace(leaf))
    return { name: `${name}_FILE`, value: fileSecret(file) };
  const items: string[] = [];
  for (let i = 0; environment[`${name}_${i}`] !== undefined; i++)
    items.push(environment[`${name}_${i}`] as string);
  return items.length > 0 ? { name: `${name}_0`, value: items } : undefined;
}

/** The numbered keys that variables may be of: those of each number that stands in a name, as 0 in GIGVAULT_KEYMGR_BACKENDS_0_TYPE. */
export function numberedKeysIn(schema: z.ZodObject, environment: Environment): string[] {
  const numbers = Object.keys(environment).flatMap((name) =>
    name.startsWith(PREFIX)
      ? [...name.matchAll(/_(\d{1,3})(?=_)/g)].map(([, n]) => n as string)
      : [],
  );
  return [...new Set(numbers)].flatMap((number) => numberedKeys(schema, number));
}

/** Variables that look like GigVault's and mean nothing, with the nearest that does. `written`: the configuration as it was written. */
export function unknownVariables(
  schema: z.ZodObject,
  environment: Environment,
  written: unknown,
): Problem[] {
  const keys = [...leafKeys(schema), ...numberedKeysIn(schema, environment)];
  const schemaOf = (key: string) => numberedSchema(schema, key) ?? schemaAt(schema, key.split('.'));
  const names = [...keys.map(environmentName), ...OTHERS];
  const secrets = keys
    .filter((key) => takesSecretPlace(schemaOf(key)))
    .map((key) => `${environmentName(key)}_FILE`);
  const known = new Set([...names, ...secrets]);
  const used = environmentPlaces(written);
  return Object.keys(environment)
    .filter((name) => name.startsWith(PREFIX) && !isServiceLink(name, environment[name] ?? ''))
    .filter((name) => !known.has(name) && !known.has(name.replace(/_\d+$/, '')))
    .filter((name) => !used.has(name))
    .map((name) => {
      const meant = nearest(name, names);
      return {
        pointer: name,
        message: `means nothing${meant === undefined ? '' : `; did you mean ${meant}?`}`,
      };
    });
}

/** The variables that places of secrets name, also inside of PKCS #11 URIs, where they may be percent-encoded (RFC 7512 §2.3). */
function environmentPlaces(written: unknown): Set<string> {
  const text = JSON.stringify(written).replaceAll(/%[2-7][0-9A-F]/gi, (octet) =>
    decodeURIComponent(octet),
  );
  return new Set([...text.matchAll(/env:\/\/([A-Za-z_]\w*)/g)].map(([, name]) => name as string));
}

/** A text as its key wants it: as it is where that is right, else as the number, boolean or list that it looks like. */
export function fromText(text: string, leaf: z.ZodType): unknown {
  const readings: unknown[] = [text];
  if (/^-?\d{1,15}(\.\d+)?$/.test(text)) readings.push(Number(text));
  if (text === 'true' || text === 'false') readings.push(text === 'true');
  readings.push(text === '' ? [] : text.split(',').map((item) => item.trim()));
  return readings.find((reading) => leaf.safeParse(reading).success) ?? text;
}
