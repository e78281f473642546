import { randomUUID } from 'node:crypto';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { frameSigned, type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { frameTbsCertList } from '@gigvault/x509/crl';
import {
  type OpenVerification,
  openVerification,
  signatureAlgorithm,
} from '@gigvault/x509/signature';
import type { CrlSigner } from '../ports/crl-signer.ts';
import type { CrlIntent, CrlPlan, CrlStore } from '../ports/crl-store.ts';
import type { ShardState } from '../ports/shard.ts';
import type { PublishedCrl } from '../ports/shard-directory.ts';

/** What generating needs. */
export interface GenerateDeps {
  readonly store: CrlStore;
  readonly signer: CrlSigner;
  readonly clock: Clock;
  readonly clockGuard: ClockGuard;
  readonly log: Log;
  /** nextUpdate minus thisUpdate, ms. */
  readonly validity: number;
  /** Lets the event loop turn: between parts of a list, each a few milliseconds of work. */
  turn(): Promise<void>;
  /** Octets of the largest list that can be signed. */
  readonly largest: number;
}

/**
 * Makes and publishes the shard's next CRL, or finishes the one that a crash left open. The published CRL stays in place until the new
 * one is signed and verified. Numbers only rise: a number that was intended is never taken again (T57).
 *
 * Errors: PAYLOAD_TOO_LARGE, and UNAVAILABLE while the clock is not right: no number is taken; those of ListSigning.sign, with the intent left open for the next call; INTERNAL for a signature that does not verify.
 */
export function generateCrl(
  deps: GenerateDeps,
  shard: ShardState,
  scheduled: boolean,
): Promise<PublishedCrl | 'busy'> {
  const issuer = readCertificate(shard.issuerCertificate);
  return deps.store.exclusive<PublishedCrl>(shard, async () => {
    // 1. what a crash left open
    const open = await deps.store.openIntent(shard);
    const settled = open && (await settle(deps, issuer, open));
    if (settled) return settled;
    // 2. number and bytes are durable before the key is asked
    const plan = planOf(deps, shard, issuer, scheduled);
    const intent = await durableStep('crl.intent', () => deps.store.intend(shard, plan));
    // 3. sign, verify
    const list = await sign(deps, shard, issuer, intent);
    // 4. publish
    return publish(deps, issuer, intent, list);
  });
}

/** Deletes old CRLs, once a new one is served. Whatever comes of it, the next one takes them along. */
export async function pruneCrls({ store, log }: GenerateDeps, shard: ShardState): Promise<void> {
  try {
    await durableStep('crl.pruned', () => store.prune(shard));
  } catch (error) {
    const fields = { ca: shard.issuerId, crl_shard: shard.crlShard, error };
    log.warn(fields, 'old CRLs are not deleted');
  }
}

/** The CRL when the open intent turned out to be signed: it is published now. Undefined when it is closed for ever. */
async function settle(
  deps: GenerateDeps,
  issuer: ParsedCertificate,
  intent: CrlIntent,
): Promise<PublishedCrl | undefined> {
  const signature = await deps.signer.close(intent.intentId);
  if (signature) {
    const check = checkOf(issuer);
    const tbs = await read(deps, intent, check.update);
    if (check.verify(signature)) return publish(deps, issuer, intent, { tbs, signature });
  }
  await abandon(deps, intent);
  return undefined;
}

/** The list as it is on record, in parts. */
async function read(
  { store, turn }: GenerateDeps,
  intent: CrlIntent,
  each: (part: Buffer) => void,
): Promise<readonly Buffer[]> {
  const parts: Buffer[] = [];
  for await (const part of store.tbs(intent)) {
    parts.push(part);
    each(part);
    await turn();
  }
  return parts;
}

/** The number is lost; what was to be on it is due again. */
function abandon({ store, clock }: GenerateDeps, intent: CrlIntent): Promise<void> {
  return durableStep('crl.abandoned', () => store.abandon(intent, clock.now()));
}

function planOf(
  deps: GenerateDeps,
  shard: ShardState,
  issuer: ParsedCertificate,
  scheduled: boolean,
): CrlPlan {
  const thisUpdate = Math.floor(deps.clockGuard.now() / 1000) * 1000;
  const isLast = shard.endsAt !== undefined && shard.endsAt > thisUpdate;
  const nextUpdate = isLast ? shard.endsAt : thisUpdate + deps.validity;
  const { keyIdentifier } = issuer;
  if (!keyIdentifier) {
    throw new GigvaultError('INTERNAL', `CA ${shard.issuerId} has no subjectKeyIdentifier.`);
  }
  return {
    thisUpdate,
    nextUpdate,
    scheduled,
    intentId: randomUUID(),
    frame(crlNumber, octets) {
      const fields = {
        issuerName: issuer.subject,
        issuerKeyIdentifier: keyIdentifier,
        signingKeyType: issuer.publicKey.keyType,
        crlNumber: BigInt(crlNumber),
        thisUpdate,
        nextUpdate,
        // Byte for byte the address in the certificates' cRLDistributionPoints (RFC 5280 §5.2.5).
        distributionPointUrl: `${shard.crlBaseUrl}/${shard.crlShard}.crl`,
      };
      const frame = frameTbsCertList(fields, octets);
      const length = frame.head.length + octets + frame.tail.length;
      if (length > deps.largest) throw tooLarge(shard, length, deps.largest);
      return frame;
    },
  };
}

function tooLarge({ issuerId, crlShard }: ShardState, octets: number, largest: number): Error {
  return new GigvaultError(
    'PAYLOAD_TOO_LARGE',
    `CRL ${crlShard} of ${issuerId} would have ${octets} octets; the most that can be signed is ${largest}. OCSP goes on. Issue from a CA with more CRL shards (crlShards) until enough of its certificates have ended.`,
  );
}

/** A TBSCertList in parts, and its signature, which verifies. */
interface SignedList {
  readonly tbs: readonly Buffer[];
  readonly signature: Buffer;
}

/** Each part is handed over, and hashed for the check of what comes back, while the database reads the next. */
async function sign(
  deps: GenerateDeps,
  { keyId }: ShardState,
  issuer: ParsedCertificate,
  intent: CrlIntent,
): Promise<SignedList> {
  const check = checkOf(issuer);
  const signing = deps.signer.begin(keyId, intent.intentId, intent.octets);
  const tbs = await read(deps, intent, (part) => {
    check.update(part);
    signing.push(part);
  });
  const signature = await signing.sign().catch(async (error) => {
    // Tombstoned by somebody who took this for dead. Any other failure may have left a signature behind: the next call closes it.
    if (asGigvaultError(error).code === 'SIGNING_CLOSED') await abandon(deps, intent);
    throw error;
  });
  if (check.verify(signature)) return { tbs, signature };
  // The number is lost; the open intent is abandoned by the next call, which finds the same wrong signature.
  throw new GigvaultError('INTERNAL', 'The signature of a CRL does not verify.');
}

async function publish(
  deps: GenerateDeps,
  issuer: ParsedCertificate,
  intent: CrlIntent,
  { tbs, signature }: SignedList,
): Promise<PublishedCrl> {
  const frame = frameSigned(intent.octets, algorithmOf(issuer), signature);
  const published = await durableStep('crl.published', () => deps.store.publish(intent, frame));
  // What was just read need not be read again.
  if (published) return { ...published, parts: () => [frame.head, ...tbs, frame.tail] };
  throw new GigvaultError('CONFLICT', `CRL ${intent.crlNumber} is not open any more.`);
}

function checkOf(issuer: ParsedCertificate): OpenVerification {
  return openVerification(issuer.publicKey.keyObject, algorithmOf(issuer));
}

function algorithmOf(issuer: ParsedCertificate): Buffer {
  return signatureAlgorithm(issuer.publicKey.keyType);
}
