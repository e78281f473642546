import type { CertificateService } from '@gigvault/proto/ca/v1/certificate';
import type { IssuerService, Profile } from '@gigvault/proto/ca/v1/issuer';
import type { RevocationService } from '@gigvault/proto/ca/v1/revocation';
import type { Client } from '@gigvault/rpc/call';
import type { Clock } from '@gigvault/time/clock';
import type { Certificates, Profiles } from '../ports/certificate-authority.ts';

/** Milliseconds. An order made with a hash that changed meanwhile is refused by the CA, never signed. */
const PROFILES_FRESH = 15_000;

/** The CA's certificates. */
export function rpcCertificates(
  certificates: Client<CertificateService>,
  revocation: Client<RevocationService>,
): Certificates {
  return {
    get: (serialNumber) => certificates.getCertificate({ serialNumber, issuerId: '' }),
    revoke: async (request) => {
      await revocation.revokeCertificate({ ...request });
    },
  };
}

/** The CA's public profiles, asked for at most every 15 seconds. */
export function rpcProfiles(client: Client<IssuerService>, clock: Clock): Profiles {
  let known: { readonly profiles: Promise<readonly Profile[]>; readonly at: number } | undefined;

  async function fetch(): Promise<readonly Profile[]> {
    return (await client.listProfiles({})).profiles;
  }

  function fresh(): Promise<readonly Profile[]> {
    const now = clock.now();
    if (known && now - known.at < PROFILES_FRESH) return known.profiles;
    const asked = { profiles: fetch(), at: now };
    known = asked;
    // A failure is not remembered.
    asked.profiles.catch(() => {
      if (known === asked) known = undefined;
    });
    return asked.profiles;
  }

  return {
    find: async (profile) =>
      (await fresh()).find((candidate) => candidate.name === profile && candidate.public),
  };
}
