import { JWKS_DEADLINE } from '@gigvault/access/access-token';
import { API_KEY_DEADLINE } from '@gigvault/access/api-key';
import { createAuthenticator } from '@gigvault/access/authenticator';
import type { Authenticator, Credentials } from '@gigvault/access/permissions';
import { asGigvaultError, type GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Client } from '@gigvault/rpc/call';
import { RPC, type RpcService } from '@gigvault/rpc/contracts';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import type { Clock } from '@gigvault/time/clock';

/** What recognising people needs. */
export interface PeopleOptions {
  /** The service's clients of `auth`. */
  ofAuth<S>(service: RpcService<S>): Client<S>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Recognises people for one service. Who is refused is counted and logged, and `auth` tells the audit log of it. */
export function peopleOf({ ofAuth, clock, log, metrics }: PeopleOptions): Authenticator {
  const authenticator = createAuthenticator({
    jwks: () => ofAuth(RPC.token).getJwks({}, { deadline: JWKS_DEADLINE }),
    identify: (apiKey, clientIp) =>
      ofAuth(RPC.identity).authenticateApiKey({ apiKey, clientIp }, { deadline: API_KEY_DEADLINE }),
    certificates: {
      identifyCertificate: (certificate) =>
        ofAuth(RPC.identity).authenticateCertificate(certificate, { deadline: API_KEY_DEADLINE }),
      reportCertificate: (refused) =>
        ofAuth(RPC.identity).reportCertificate(
          { certificate: undefined, ...refused },
          { deadline: API_KEY_DEADLINE },
        ),
    },
    // Tokens are verified without `auth`, so they are refused without it too.
    reportCredential: (kind, clientIp) =>
      ofAuth(RPC.identity)
        .reportCredential({ kind, clientIp }, { deadline: API_KEY_DEADLINE })
        .catch((error: unknown) =>
          log.error({ error, operation: 'authenticate' }, 'a refused credential is not audited'),
        ),
    clock,
  });
  const refused = metrics.counter(
    'authentication_failures_total',
    'People who were not recognised.',
    ['reason'],
  );
  return {
    async authenticate(credentials) {
      try {
        return await authenticator.authenticate(credentials);
      } catch (error) {
        const failure = asGigvaultError(error);
        if (failure.code !== 'UNAUTHENTICATED') throw error;
        const reason = reasonOf(failure, credentials);
        refused.inc({ reason });
        if (reason !== 'missing')
          log.warn(
            {
              operation: 'authenticate',
              'client.ip': credentials.clientIp,
              outcome: reason,
              problem: problemOf(failure),
            },
            'credential refused',
          );
        throw error;
      }
    },
  };
}

function reasonOf({ details }: GigvaultError, { authorization, apiKey }: Credentials): string {
  const { reason } = details;
  if (reason === 'expired' || reason === 'certificate') return reason;
  return authorization || apiKey !== undefined || reason !== undefined ? 'invalid' : 'missing';
}

/** What jose says is wrong, which no client hears: its code and the claim, as `ERR_JWT_CLAIM_VALIDATION_FAILED aud`. Nothing of the token itself. */
function problemOf({ cause }: GigvaultError): string | undefined {
  const { code, claim } = (cause ?? {}) as { readonly code?: unknown; readonly claim?: unknown };
  return typeof code === 'string' ? `${code} ${claim ?? ''}`.trim() : undefined;
}
