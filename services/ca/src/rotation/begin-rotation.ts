import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type Issuer, type IssuerRegistry, issuerNotFound } from '../issuers/issuer-registry.ts';
import type { IssuerRotation } from '../ports/issuer-rotation.ts';
import type { IssuerPlace, IssuerState, IssuerStore } from '../ports/issuer-store.ts';
import type { SuccessorKeys } from '../ports/signer.ts';

/** What beginning needs. */
export interface BeginDeps {
  readonly store: Pick<IssuerStore, 'places'>;
  readonly issuers: IssuerRegistry;
  readonly rotation: Pick<IssuerRotation, 'begin'>;
  readonly successors: SuccessorKeys;
}

/** A CA's next key, and how far it has come. */
export interface RotationProgress {
  readonly issuerId: string;
  readonly line: string;
  readonly generation: number;
  /** `requested`: the root has to sign; otherwise it has. */
  readonly state: IssuerState | 'requested';
  /** PKCS #10, DER, for the root; only when `requested`. */
  readonly certificationRequest?: Buffer;
  /** Of the root that has to sign it, DER. */
  readonly rootCertificate?: Buffer | undefined;
}

/** A CA and its keys. */
export interface Line {
  readonly current: Issuer;
  /** The key that waits to be current. */
  readonly prepared: IssuerPlace | undefined;
  readonly places: readonly IssuerPlace[];
}

/**
 * Begins the rotation of a CA's key, or says how far the one that was begun has come: keymgr makes the new key, and the root has to sign the
 * request. Nothing changes for anybody until it has. Repeated it returns a request for the same key.
 * @param wanted the generation that shall come of it, so that a repetition after the end begins no further one; undefined: the next
 * Errors: NOT_FOUND, INVALID_ARGUMENT, KEY_UNAVAILABLE, KEY_NOT_FOUND, UNAVAILABLE.
 */
export async function beginRotation(
  deps: BeginDeps,
  { line, wanted }: { readonly line: string; readonly wanted?: number | undefined },
  actor: string,
): Promise<RotationProgress> {
  const { current, prepared, places } = await findLine(deps, line);
  const next = current.record.generation + 1;
  const reached = places.find(({ generation }) => generation === wanted) ?? prepared;
  if (reached !== undefined && (wanted ?? reached.generation) === reached.generation)
    return progressOf(reached);
  if (wanted !== undefined && wanted !== next) {
    throw new GigvaultError('INVALID_ARGUMENT', `The next key of '${line}' is number ${next}.`, {
      problems: [{ pointer: '/generation', message: `must be at most ${next}` }],
    });
  }
  const issuerId = successorId(line, next);
  const { issuerId: from, chain } = current.record;
  await deps.rotation.begin(from, {
    type: 'issuer.rotation-begun',
    actor,
    subject: issuerId,
    data: { issuerId, line, generation: next, from },
  });
  const { keyId } = (await deps.issuers.get(line)).record;
  const { certificationRequest } = await deps.successors.request(keyId, next, actor);
  const rootCertificate = chain.at(-1);
  const state = 'requested';
  return { issuerId, line, generation: next, state, certificationRequest, rootCertificate };
}

/**
 * The keys of a CA that may have another one. Errors: NOT_FOUND; INVALID_ARGUMENT for the CA of the services, whose certificate every service has
 * as its anchor.
 */
export async function findLine(
  { store, issuers }: Pick<BeginDeps, 'store' | 'issuers'>,
  line: string,
): Promise<Line> {
  const places = (await store.places()).filter((place) => place.line === line);
  const now = places.find(({ state }) => state === 'current');
  if (now === undefined) throw issuerNotFound(line);
  const current = await issuers.get(now.issuerId);
  if (!current.record.public) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `'${line}' issues for GigVault's own services, which know it by its certificate: its key is not rotated.`,
    );
  }
  return { current, prepared: places.find(({ state }) => state === 'prepared'), places };
}

/** How far a key has come that the root has signed. */
export function progressOf({ issuerId, line, generation, state }: IssuerPlace): RotationProgress {
  return { issuerId, line, generation, state };
}

/** As `issuing-g2`. */
export function successorId(line: string, generation: number): string {
  return `${line}-g${generation}`;
}
