import { nearest } from '@gigvault/config/nearest';
import { type Environment, isServiceLink } from '@gigvault/config/variables';
import type { Problem } from '@gigvault/errors/gigvault-error';
import { FILES } from '@gigvault/keymgr/keymgr.config';

/** What becomes of go-keychain's variables. */
export interface KeychainVariables {
  /** GigVault's variables that say the same. */
  readonly environment: Environment;
  /** Which of theirs each of these comes from. */
  readonly origins: Readonly<Record<string, string>>;
  /** Those that ask for what is not done here: not to be started over. */
  readonly refused: readonly Problem[];
  /** Those that mean nothing here, with the nearest that does. */
  readonly unknown: readonly Problem[];
}

/** GigVault's variables that a value becomes, or why it is refused. @param said every variable, by its name without the prefix */
type Meaning = (value: string, said: Environment) => Record<string, string> | string;

const PREFIX = 'KEYCHAIN_';
const API_KEY = /^AUTH_API_KEYS(_|$)/;
const BACKEND = /^BACKENDS_(\d{1,3})_([A-Z_]+)$/;

const as =
  (name: string): Meaning =>
  (value) => ({ [name]: value });

const only =
  (accepted: readonly string[], why: string): Meaning =>
  (value) =>
    accepted.includes(value) ? {} : `must be ${accepted.join(' or ')}: ${why}`;

const refuse =
  (why: string): Meaning =>
  () =>
    why;

/** Of a listener that is not there: it says nothing while that is off. */
const ofListener =
  (enabled: string, why: string): Meaning =>
  (_value, said) =>
    said[enabled] === 'false' ? {} : `${why}: leave it out, or say ${PREFIX}${enabled}=false`;

const sameAs =
  (other: string): Meaning =>
  (value, said) =>
    value === said[other] ? {} : `must be what ${PREFIX}${other} is: both have one certificate`;

const hostAndPort =
  (host: string, port: string): Meaning =>
  (value) => {
    const found = /^(?:\[(?<v6>[0-9A-Fa-f:.]+)\]|(?<name>[^:[\]]+))?:(?<port>\d{1,5})$/.exec(value);
    if (found?.groups === undefined) return 'must be host:port or :port';
    const named = found.groups['v6'] ?? found.groups['name'];
    return {
      ...(named === undefined ? {} : { [host]: named }),
      [port]: found.groups['port'] as string,
    };
  };

const MCP = ofListener('MCP_ENABLED', 'MCP is not served');
const QUIC = ofListener('QUIC_ENABLED', 'HTTP/3 is not served');
const TLS = only(['true'], 'there is no listener without TLS');

/** Requirements K132 to K147. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  SERVER_DATA_DIR: as('GIGVAULT_DATA_DIR'),
  SERVER_LOG_LEVEL: as('GIGVAULT_LOG_LEVEL'),
  SERVER_LOG_FORMAT: only(['json'], 'a log is JSON lines'),
  REST_ENABLED: only(['true'], 'the REST API is always there'),
  REST_ADDRESS: hostAndPort('GIGVAULT_HOST', 'GIGVAULT_HTTPS_PORT'),
  REST_TLS_ENABLED: TLS,
  REST_TLS_CERT_FILE: as('GIGVAULT_HTTPS_TLS_CERTIFICATE_FILE'),
  // _FILE: of a secret, which has a place.
  REST_TLS_KEY_FILE: as('GIGVAULT_HTTPS_TLS_PRIVATE_KEY_FILE'),
  GRPC_ENABLED: only(['true', 'false'], 'whether keys are served over gRPC'),
  GRPC_ADDRESS: as('GIGVAULT_GRPC_ADDRESS'),
  GRPC_TLS_ENABLED: TLS,
  GRPC_TLS_CERT_FILE: sameAs('REST_TLS_CERT_FILE'),
  GRPC_TLS_KEY_FILE: sameAs('REST_TLS_KEY_FILE'),
  MCP_ENABLED: only(['false'], 'MCP is not served'),
  MCP_ADDRESS: MCP,
  MCP_TRANSPORT: MCP,
  QUIC_ENABLED: only(['false'], 'HTTP/3 is not served'),
  QUIC_ADDRESS: QUIC,
  QUIC_TLS_CERT_FILE: QUIC,
  QUIC_TLS_KEY_FILE: QUIC,
  AUTH_ENABLED: only(['true'], 'nobody uses keys without saying who they are'),
  AUTH_TYPE: only(
    ['api_key', 'jwt'],
    'both are always taken; for client certificates see https.clientCertificates',
  ),
  TLS_MIN_VERSION: as('GIGVAULT_HTTPS_TLS_MIN_VERSION'),
  TLS_CIPHERS: refuse(
    'the ciphers are fixed, those with ECDHE and AEAD: leave it out; https.tls.minVersion says which versions of TLS are taken',
  ),
  METRICS_ENABLED: only(['true'], 'metrics are always there'),
  METRICS_ADDRESS: hostAndPort('GIGVAULT_METRICS_ADDRESS', 'GIGVAULT_METRICS_PORT'),
  METRICS_PATH: only(['/metrics'], 'the path is fixed'),
};

const API_KEYS = refuse(
  'API keys are never configured: leave it out, and make one with gigvault apikey create',
);

/** The backend of encrypted files is always there, under its own name. */
const FILES_MEANINGS: Readonly<Record<string, Meaning>> = {
  NAME: only([FILES], 'the backend of encrypted files has this name'),
  TYPE: only([FILES], 'the type of encrypted files'),
  KEY_DIR: as('GIGVAULT_KEYMGR_DIRECTORY'),
};

/** Fields of a backend whose keys in GigVault have the same names. */
const BACKEND_FIELDS = ['NAME', 'TYPE', 'LIBRARY', 'SLOT_ID', 'DEVICE'];

/**
 * Reads `KEYCHAIN_*` as GigVault's variables (docs/operations/configuration.md, "Coming from go-keychain"). No value of theirs stands in what is
 * told, and a PIN becomes its place.
 */
export function translateKeychainVariables(environment: Environment): KeychainVariables {
  const said = withoutPrefix(environment);
  const translated: Record<string, string> = {};
  const origins: Record<string, string> = {};
  const refused: Problem[] = [];
  const unknown: Problem[] = [];
  for (const [name, value] of Object.entries(said)) {
    const meaning = MEANINGS[name] ?? (API_KEY.test(name) ? API_KEYS : backendMeaning(name, said));
    const found = meaning?.(value, said);
    const pointer = PREFIX + name;
    if (found === undefined) unknown.push({ pointer, message: meansNothing(name) });
    else if (typeof found === 'string') refused.push({ pointer, message: found });
    else {
      Object.assign(translated, found);
      for (const ours of Object.keys(found)) origins[ours] = pointer;
    }
  }
  if (said['GRPC_ENABLED'] === 'false') translated['GIGVAULT_GRPC_ADDRESS'] = 'off';
  return { environment: translated, origins, refused, unknown };
}

function withoutPrefix(environment: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      name.startsWith(PREFIX) && value !== undefined && !isServiceLink(name, value)
        ? [[name.slice(PREFIX.length), value]]
        : [],
    ),
  );
}

function backendMeaning(name: string, said: Environment): Meaning | undefined {
  const [, number, field = ''] = BACKEND.exec(name) ?? [];
  if (number === undefined) return undefined;
  if (said[`BACKENDS_${number}_TYPE`] === FILES) return FILES_MEANINGS[field];
  const theirs = `GIGVAULT_KEYMGR_BACKENDS_${number}_${field}`;
  if (field === 'PIN') return () => ({ [theirs]: `env://${PREFIX}${name}` });
  return BACKEND_FIELDS.includes(field) ? as(theirs) : undefined;
}

function meansNothing(name: string): string {
  const [, number] = BACKEND.exec(name) ?? [];
  const fields = [...BACKEND_FIELDS, 'PIN', 'KEY_DIR'];
  const ofBackend = number === undefined ? [] : fields.map((one) => `BACKENDS_${number}_${one}`);
  const meant = nearest(name, [...Object.keys(MEANINGS), ...ofBackend]);
  return meant === undefined || meant === name
    ? 'means nothing'
    : `means nothing; did you mean ${PREFIX}${meant}?`;
}
