import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { createTokenVerifier, invalid, type TokenVerifierOptions } from './access-token.ts';
import { type ApiKeyOptions, isApiKey, recogniseApiKeys } from './api-key.ts';
import type { Authenticator, Credentials } from './permissions.ts';

/** Where an authenticator gets its keys, the time, and whose an API key is. */
export interface AuthenticatorOptions extends TokenVerifierOptions {
  /** Asks `auth` whose an API key is. Absent: none are taken. */
  readonly identify?: ApiKeyOptions['identify'];
}

/** The one door for people, whatever the protocol: access tokens are verified here, API keys by `auth`. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const tokens = createTokenVerifier(options);
  const { identify, clock } = options;
  const ofApiKey = identify && recogniseApiKeys({ identify, tokens, clock });
  return {
    async authenticate(credentials) {
      const text = credentialOf(credentials);
      if (!isApiKey(text)) return tokens.verify(text);
      if (ofApiKey === undefined) throw invalid();
      return ofApiKey(text, credentials.clientIp);
    },
  };
}

/** The one credential that came. Errors: UNAUTHENTICATED for none, two, or what cannot be one. */
function credentialOf({ authorization, apiKey }: Credentials): string {
  if (apiKey !== undefined) {
    if (authorization)
      throw new GigvaultError(
        'UNAUTHENTICATED',
        'Send one credential: Authorization or X-API-Key.',
        { details: { reason: 'invalid' } },
      );
    if (!isApiKey(apiKey)) throw invalid();
    return apiKey;
  }
  if (!authorization) throw new GigvaultError('UNAUTHENTICATED', 'Not signed in.');
  const text = /^bearer +([A-Za-z0-9_.-]+)$/i.exec(authorization)?.[1];
  if (!text) throw invalid();
  return text;
}
