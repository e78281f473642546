import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  createTokenVerifier,
  invalid,
  type TokenVerifier,
  type TokenVerifierOptions,
} from './access-token.ts';
import {
  type ApiKeyOptions,
  isApiKey,
  type ReportCredential,
  recogniseApiKeys,
} from './api-key.ts';
import { type CertificateOptions, recogniseCertificates } from './known-certificates.ts';
import type { Authenticator, Credentials, Principal } from './permissions.ts';

/** Where an authenticator gets its keys and the time, and whose an API key or a certificate is: what is absent is not taken. */
export interface AuthenticatorOptions extends TokenVerifierOptions {
  /** Asks `auth` whose an API key is. */
  readonly identify?: ApiKeyOptions['identify'];
  readonly certificates?: Omit<CertificateOptions, 'clock'>;
  readonly reportCredential?: ReportCredential;
}

/**
 * The one door for people, whatever the protocol: access tokens are verified here, API keys and client certificates by `auth`. A certificate alone is enough where
 * certificates are optional; where they are required, a token is needed as well, and both must be of the same user (P7).
 */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const tokens = createTokenVerifier(options);
  const byText = recogniseTexts(options, tokens);
  const { certificates, clock } = options;
  const ofCertificate = certificates && recogniseCertificates({ ...certificates, clock });
  return {
    async authenticate(credentials) {
      const { client, clientIp } = credentials;
      if (client === undefined || ofCertificate === undefined) return byText(credentials);
      const { certificate, isRequired } = client;
      const holder = certificate && (await ofCertificate.principalOf(certificate, clientIp));
      if (!isRequired) return holder && !hasText(credentials) ? holder : byText(credentials);
      const principal = await byText(credentials);
      const { actor } = principal;
      if (certificate === undefined || holder === undefined)
        throw await ofCertificate.refusal(
          'UNAUTHENTICATED',
          'Show a client certificate of the user whose token this is.',
          { clientIp, actor },
        );
      const { serialNumber, sha256 } = certificate;
      if (holder.actor !== actor)
        throw await ofCertificate.refusal(
          'FORBIDDEN',
          'The client certificate is of another user than the token.',
          { clientIp, actor, certificate: { actor: holder.actor, serialNumber, sha256 } },
        );
      return principal;
    },
  };
}

function recogniseTexts(
  { identify, clock, reportCredential }: AuthenticatorOptions,
  tokens: TokenVerifier,
): (credentials: Credentials) => Promise<Principal> {
  const ofApiKey = identify && recogniseApiKeys({ identify, tokens, clock, reportCredential });

  /** Reports what is refused of a token, and of what is no credential at all. */
  async function told<T>(credentials: Credentials, verify: () => T | Promise<T>): Promise<T> {
    try {
      return await verify();
    } catch (error) {
      const isRefused = error instanceof GigvaultError && error.code === 'UNAUTHENTICATED';
      if (isRefused && hasText(credentials))
        await reportCredential?.('access-token', credentials.clientIp);
      throw error;
    }
  }

  return async (credentials) => {
    const text = await told(credentials, () => credentialOf(credentials));
    if (isApiKey(text) && ofApiKey) return ofApiKey(text, credentials.clientIp);
    return told(credentials, () => tokens.verify(text));
  };
}

function hasText({ authorization, apiKey }: Credentials): boolean {
  return Boolean(authorization) || apiKey !== undefined;
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
  // Without a reason: RFC 6750 §3.1 has no error code for another scheme.
  if (!/^bearer( |$)/i.test(authorization))
    throw new GigvaultError(
      'UNAUTHENTICATED',
      'Send an access token or an API key as Authorization: Bearer, or an API key as X-API-Key.',
    );
  const text = /^bearer +([A-Za-z0-9_.-]+)$/i.exec(authorization)?.[1];
  if (!text) throw invalid();
  return text;
}
