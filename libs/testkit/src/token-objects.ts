import { runOrFail } from './run-program.ts';
import { TEST_PIN, type TestToken } from './test-token.ts';

/**
 * What OpenSC's pkcs11-tool, a stranger to GigVault, tells of the keys in a token: a text `<class>: <access>` for each that is not public.
 * @param pin empty: without logging in
 */
export async function guardedKeysIn(
  token: TestToken,
  label: string,
  pin = TEST_PIN,
): Promise<string[]> {
  const modulePath = new URLSearchParams(token.uri.slice(token.uri.indexOf('?'))).get(
    'module-path',
  );
  const login = pin === '' ? [] : ['--login', '--pin', pin];
  const listed = await runOrFail(
    'pkcs11-tool',
    [
      ...['--module', modulePath as string, '--token-label', label],
      ...[...login, '--list-objects'],
    ],
    { env: { ...process.env, ...token.environment } },
  );
  const objects = listed.split(/^(?=\S+ Key Object)/m);
  return objects.flatMap((object) => {
    const [, kind] = /^(Private|Secret) Key Object/.exec(object) ?? [];
    if (kind === undefined) return [];
    return `${kind}: ${/^ +Access: +(.*)$/m.exec(object)?.[1] ?? 'unknown'}`;
  });
}

/** CKA_SENSITIVE and not CKA_EXTRACTABLE, both from its beginning in this token on. */
export const CONFINED = 'sensitive, always sensitive, never extractable, local';
