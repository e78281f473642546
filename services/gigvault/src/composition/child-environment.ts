import { plainEnvironment } from '@gigvault/config/process-environment';
import { libraryEnvironment } from '@gigvault/keymgr/keymgr.config';
import { secretPlaces } from './secret-places.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What this reads of a process's configuration. */
interface ProcessFile {
  readonly service?: {
    readonly backends?: Readonly<Record<string, { readonly type: string }>>;
    readonly [key: string]: unknown;
  };
  readonly [key: string]: unknown;
}

/** What Node, OpenSSL and OpenTelemetry's SDK read. By name where a secret has such a name too, as NODE_AUTH_TOKEN of npm. */
const RUNTIME =
  /^NODE_(OPTIONS|COMPILE_CACHE|DEBUG|ENV|EXTRA_CA_CERTS|ICU_DATA|USE_SYSTEM_CA|V8_COVERAGE)$|^(UV|OPENSSL|OTEL)_\w+$|^SSL_CERT_(FILE|DIR)$/;
/** AWS's own, its credentials among them. */
const AWS = /^AWS_\w+$/;

/**
 * What a service's process sees of this one's environment: what every program needs, the secrets that its own configuration refers to, and what
 * the library of its token or AWS's client reads. Whatever else there is, nobody has named for it: no process which faces networks is born with a secret of others.
 * @param config what its configuration file says
 */
export function childEnvironment(environment: Environment, config: ProcessFile): Environment {
  const types = Object.values(config.service?.backends ?? {}).map(({ type }) => type);
  const places = secretPlaces(config);
  const mine = new Set(places.map((place) => place.replace(/^env:\/\//, '')));
  const usesToken = types.some((type) => type === 'pkcs11' || type === 'tpm2');
  const usesAws = types.includes('aws-kms') || places.some((place) => place.startsWith('aws-'));
  const isNeeded = (name: string) =>
    mine.has(name) || RUNTIME.test(name) || (usesAws && AWS.test(name));
  return {
    ...plainEnvironment(environment),
    ...(usesToken && libraryEnvironment(environment)),
    ...Object.fromEntries(Object.entries(environment).filter(([name]) => isNeeded(name))),
  };
}
