type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What a service's process sees of this one's environment. What configured this one is left out: its file says it. Of the secrets that stand in variables it has those that its own
 * file refers to, so that no process which faces networks is born with the PIN of a token.
 * @param own the text of its configuration file @param all the texts of all of them
 */
export function childEnvironment(
  environment: Environment,
  own: string,
  all: readonly string[],
): Environment {
  const mine = referredTo(own);
  const others = new Set(all.flatMap((text) => [...referredTo(text)]));
  const isKept = (name: string) =>
    mine.has(name) || !(/^(GIGVAULT|KEYCHAIN)_/.test(name) || others.has(name));
  return Object.fromEntries(Object.entries(environment).filter(([name]) => isKept(name)));
}

function referredTo(text: string): Set<string> {
  return new Set([...text.matchAll(/env:\/\/([A-Za-z_]\w*)/g)].map(([, name]) => name as string));
}
