type Environment = Readonly<Record<string, string | undefined>>;

/** The environment variables of this process: the one place that reads them. */
export const processEnvironment: Environment = process.env;

/** Whom a program runs as and where, its language and time, and what its loader loads; FAKETIME is Debian's libfaketime. None is a secret. */
const PLAIN = /^(PATH|HOME|USER|LOGNAME|TMPDIR|TZ|TZDIR|LANG|LANGUAGE|LC_\w+|LD_\w+|FAKETIME\w*)$/;

/** What every program may see of an environment, whoever wrote it: none of the secrets that stand in variables (fault T66). */
export function plainEnvironment(environment: Environment = processEnvironment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => PLAIN.test(name)));
}
