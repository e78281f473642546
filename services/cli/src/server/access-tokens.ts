import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@gigvault/time/clock';
import { writePrivateFile } from '../context/contexts-file.ts';
import { CliFailure } from '../failure.ts';
import { API_ROOT } from './api-client.ts';
import type { HttpsClient } from './https-client.ts';
import { failureOf } from './problem.ts';

/**
 * Access tokens of one context: undefined when it has no API key, but a client certificate, which says who asks. Both throw a CliFailure of exit 3 when it has
 * neither, or the API key is refused.
 */
export interface AccessTokens {
  /** The token at hand, or a new one when it is about to expire. */
  current(): Promise<string | undefined>;
  /** A new token: the one at hand was refused. */
  renewed(): Promise<string | undefined>;
}

/** Where tokens come from and are kept. */
export interface AccessTokenOptions {
  readonly https: HttpsClient;
  readonly server: string;
  /** The context's folder; the token lies there, mode 0600. */
  readonly folder: string;
  readonly clock: Clock;
  apiKey(): Promise<string | undefined>;
  /** Whether the connection shows a client certificate. */
  readonly hasCertificate: boolean;
}

interface StoredToken {
  readonly accessToken: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
  /** For which server and key it was given. */
  readonly boundTo: string;
}

const EARLY = 30_000;

/**
 * Exchanges the API key for access tokens and keeps the newest in the context's folder until shortly before it expires. The API key itself is used where the
 * server can give none: what signs them may be what somebody wants to look at, and a certificate can be revoked without it.
 */
export function createAccessTokens(options: AccessTokenOptions): AccessTokens {
  const path = join(options.folder, 'access-token.json');

  async function exchange(apiKey: string): Promise<string> {
    const reply = await options.https.send({
      method: 'POST',
      path: `${API_ROOT}/token`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ grantType: 'client_credentials', clientSecret: apiKey }),
    });
    if (reply.status >= 500) return apiKey;
    if (reply.status >= 400) {
      await rm(path, { force: true });
      throw failureOf(reply);
    }
    const { accessToken, expiresIn } = JSON.parse(reply.body) as {
      accessToken: string;
      expiresIn: number;
    };
    const expiresAt = options.clock.now() + expiresIn * 1000;
    const stored: StoredToken = {
      accessToken,
      expiresAt,
      boundTo: binding(options.server, apiKey),
    };
    await writePrivateFile(path, JSON.stringify(stored));
    return accessToken;
  }

  async function key(): Promise<string | undefined> {
    const apiKey = await options.apiKey();
    if (apiKey || options.hasCertificate) return apiKey;
    throw notSignedIn();
  }

  return {
    async current() {
      const apiKey = await key();
      if (!apiKey) return undefined;
      const stored = await readToken(path);
      const fresh = stored && stored.expiresAt - EARLY > options.clock.now();
      if (fresh && stored.boundTo === binding(options.server, apiKey)) return stored.accessToken;
      return exchange(apiKey);
    },
    async renewed() {
      const apiKey = await key();
      return apiKey ? exchange(apiKey) : undefined;
    },
  };
}

async function readToken(path: string): Promise<StoredToken | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as StoredToken;
  } catch {
    // No token, or a file that is not one: a new token replaces it.
    return undefined;
  }
}

function binding(server: string, apiKey: string): string {
  return createHash('sha256').update(`${server}\n${apiKey}`).digest('hex');
}

function notSignedIn(): CliFailure {
  return new CliFailure('not signed in: the context has no API key', {
    code: 'UNAUTHENTICATED',
    tries: [
      { command: 'gigvault setup <token>', note: 'redeem a one-use token' },
      { command: 'gigvault context list', note: 'other contexts' },
    ],
  });
}
