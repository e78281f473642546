import { type Attribute, encodeName } from '@gigvault/x509/name';
import { createKey, requireServiceKeyType } from '../creation/create-key.ts';
import { SYSTEM_TENANT } from '../creation/generate-key.ts';
import type { KeyDeps } from '../keys/key-deps.ts';
import { CA_KEY_PURPOSES, PURPOSE_CALLER } from '../keys/purposes.ts';
import type { StoredKey } from '../keys/stored-key.ts';

/** The CA that the key is for. */
export interface CaKeyRequest {
  /** As `ca-issuing`. */
  readonly keyId: string;
  readonly keyType: string;
  /** The CA's subject, exactly as its certificate will have it: everything the key signs must name it as issuer. */
  readonly subject: readonly Attribute[];
  /** Who made it, as in events; absent at bootstrap. */
  readonly actor?: string;
}

/**
 * Makes a CA's key, bound for ever to its issuer name: `ca` may sign certificates with it, `crl` CRLs. Bootstrap calls it
 * for a CA's first key, before services listen; of the RPCs only RequestSuccessor leads here, which lets the caller choose nothing. Errors: ALREADY_EXISTS, INVALID_ARGUMENT, KEY_UNAVAILABLE.
 */
export async function createCaKey(deps: KeyDeps, request: CaKeyRequest): Promise<StoredKey> {
  return createKey(deps, {
    keyId: request.keyId,
    keyType: requireServiceKeyType(request.keyType),
    usage: 'sign',
    purposes: CA_KEY_PURPOSES,
    callers: CA_KEY_PURPOSES.map((purpose) => PURPOSE_CALLER[purpose]),
    issuerName: encodeName([...request.subject]),
    owner: 'service:ca',
    tenantId: SYSTEM_TENANT,
    actor: request.actor ?? 'service:gigvault',
  });
}
