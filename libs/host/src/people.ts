import { JWKS_DEADLINE } from '@gigvault/access/access-token';
import { API_KEY_DEADLINE } from '@gigvault/access/api-key';
import { createAuthenticator } from '@gigvault/access/authenticator';
import type { Authenticator } from '@gigvault/access/permissions';
import type { Client } from '@gigvault/rpc/call';
import { RPC, type RpcService } from '@gigvault/rpc/contracts';
import type { Clock } from '@gigvault/time/clock';

/** Recognises people for one service. @param ofAuth the service's clients of `auth` */
export function peopleOf(
  ofAuth: <S>(service: RpcService<S>) => Client<S>,
  clock: Clock,
): Authenticator {
  return createAuthenticator({
    jwks: () => ofAuth(RPC.token).getJwks({}, { deadline: JWKS_DEADLINE }),
    identify: (apiKey, clientIp) =>
      ofAuth(RPC.identity).authenticateApiKey({ apiKey, clientIp }, { deadline: API_KEY_DEADLINE }),
    certificates: {
      identifyCertificate: (certificate) =>
        ofAuth(RPC.identity).authenticateCertificate(certificate, { deadline: API_KEY_DEADLINE }),
      reportCertificate: (clientIp) =>
        ofAuth(RPC.identity).reportCertificate({ clientIp }, { deadline: API_KEY_DEADLINE }),
    },
    clock,
  });
}
