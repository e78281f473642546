import type { Issuer as WireIssuer, Profile as WireProfile } from '@gigvault/proto/ca/v1/issuer';
import type { ProfileTable } from '../issuance/profile-table.ts';
import type { IssuerPlace, IssuerRecord } from '../ports/issuer-store.ts';
import type { IssuerRegistry } from './issuer-registry.ts';

/** Every issuer, by id. */
export async function listIssuers(issuers: IssuerRegistry): Promise<WireIssuer[]> {
  return (await issuers.placed()).map(({ issuer, place }) => toWireIssuer(issuer.record, place));
}

/** Every profile in force, by name, with the hash that orders pin. */
export function listProfiles(profiles: ProfileTable): WireProfile[] {
  return [...profiles.values()].map((profile) => ({
    name: profile.name,
    profileHash: profile.hash,
    keyTypes: [...profile.certificate.keyTypes],
    defaultValidity: profile.certificate.defaultValidity,
    maxValidity: profile.certificate.maxValidity,
    backdate: profile.certificate.backdate,
    issuerId: profile.issuerId,
    public: profile.public,
    keyUsages: [...profile.certificate.keyUsage, ...profile.certificate.extendedKeyUsage],
  }));
}

/** An issuer as it travels. */
export function toWireIssuer(
  record: IssuerRecord,
  { state }: Pick<IssuerPlace, 'state'>,
): WireIssuer {
  return {
    issuerId: record.issuerId,
    certificate: record.certificate,
    chain: [...record.chain],
    keyId: record.keyId,
    crlShards: record.crlShards,
    ocspUrl: record.ocspUrl,
    crlBaseUrl: record.crlBaseUrl,
    issuerUrl: record.issuerUrl,
    public: record.public,
    line: record.line,
    generation: record.generation,
    state,
  };
}
