import type { IssuanceService } from '@gigvault/proto/ca/v1/issuance';
import type { IssuerService, Profile } from '@gigvault/proto/ca/v1/issuer';
import type { Client } from '@gigvault/rpc/call';
import type { Clock } from '@gigvault/time/clock';
import type { CertificateAuthority } from '../ports/certificate-authority.ts';

const PROFILES_LAST = 10_000;

/** What it needs. */
export interface RpcCertificateAuthorityOptions {
  readonly issuance: Client<IssuanceService>;
  readonly issuers: Client<IssuerService>;
  readonly clock: Clock;
}

/** The `ca` service. Profiles are kept for ten seconds. */
export function rpcCertificateAuthority({
  issuance,
  issuers,
  clock,
}: RpcCertificateAuthorityOptions): CertificateAuthority {
  let profiles: readonly Profile[] = [];
  let loadedAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<void> | undefined;

  async function load(): Promise<void> {
    const at = clock.now();
    profiles = (await issuers.listProfiles({})).profiles;
    loadedAt = at;
  }

  function reload(): Promise<void> {
    loading ??= load().finally(() => {
      loading = undefined;
    });
    return loading;
  }

  return {
    async profile(name, profileHash) {
      const find = () => profiles.find((profile) => profile.name === name);
      const fits = () =>
        find() !== undefined && (profileHash === '' || find()?.profileHash === profileHash);
      if (clock.now() - loadedAt > PROFILES_LAST || !fits()) await reload();
      return find();
    },
    async check(request) {
      await issuance.checkIssuance(request);
    },
    issue: (request) => issuance.issueCertificate(request),
  };
}
