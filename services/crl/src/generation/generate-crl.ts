import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import {
  assembleSigned,
  type ParsedCertificate,
  readCertificate,
} from '@gigvault/x509/certificate';
import { buildTbsCertList } from '@gigvault/x509/crl';
import { signatureAlgorithm, verifySignature } from '@gigvault/x509/signature';
import type { CrlSigner } from '../ports/crl-signer.ts';
import type { CrlIntent, CrlPlan, CrlStore } from '../ports/crl-store.ts';
import type { ShardState } from '../ports/shard.ts';

/** What generating needs. */
export interface GenerateDeps {
  readonly store: CrlStore;
  readonly signer: CrlSigner;
  readonly clock: Clock;
  /** nextUpdate minus thisUpdate, ms. */
  readonly validity: number;
  /** Octets of the largest list that can be signed. */
  readonly largest: number;
}

/**
 * Makes and publishes the shard's next CRL, or finishes the one that a crash left open. The published CRL stays in place until the new
 * one is signed and verified. Numbers only rise: a number that was intended is never taken again (T57).
 *
 * Errors: PAYLOAD_TOO_LARGE, and no number is taken; those of CrlSigner.sign, with the intent left open for the next call; INTERNAL for a signature that does not verify.
 */
export function generateCrl(
  deps: GenerateDeps,
  shard: ShardState,
  scheduled: boolean,
): Promise<'published' | 'busy'> {
  const issuer = readCertificate(shard.issuerCertificate);
  return deps.store.exclusive<'published'>(shard, async () => {
    // 1. what a crash left open
    const open = await deps.store.openIntent(shard);
    if (open && (await settle(deps, issuer, open))) return 'published';
    // 2. number and bytes are durable before the key is asked
    const plan = planOf(deps, shard, issuer, scheduled);
    const intent = await durableStep('crl.intent', () => deps.store.intend(shard, plan));
    // 3. sign
    const signature = await sign(deps, shard.keyId, intent);
    // 4. verify, publish
    await publish(deps, issuer, intent, signature);
    return 'published';
  });
}

/** True when the open intent turned out to be signed and is published now; false when it is closed for ever. */
async function settle(
  deps: GenerateDeps,
  issuer: ParsedCertificate,
  intent: CrlIntent,
): Promise<boolean> {
  const signature = await deps.signer.close(intent.intentId);
  if (signature && verifies(issuer, intent, signature)) {
    await publish(deps, issuer, intent, signature);
    return true;
  }
  await abandon(deps, intent);
  return false;
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
  const thisUpdate = Math.floor(deps.clock.now() / 1000) * 1000;
  const nextUpdate = thisUpdate + deps.validity;
  const { keyIdentifier } = issuer;
  if (!keyIdentifier) {
    throw new GigvaultError('INTERNAL', `CA ${shard.issuerId} has no subjectKeyIdentifier.`);
  }
  return {
    thisUpdate,
    nextUpdate,
    scheduled,
    build(crlNumber, entries) {
      const tbs = buildTbsCertList({
        issuerName: issuer.subject,
        issuerKeyIdentifier: keyIdentifier,
        signingKeyType: issuer.publicKey.keyType,
        crlNumber: BigInt(crlNumber),
        thisUpdate,
        nextUpdate,
        entries,
        // Byte for byte the address in the certificates' cRLDistributionPoints (RFC 5280 §5.2.5).
        distributionPointUrl: `${shard.crlBaseUrl}/${shard.crlShard}.crl`,
      });
      if (tbs.length > deps.largest) throw tooLarge(shard, tbs.length, deps.largest);
      return tbs;
    },
  };
}

function tooLarge({ issuerId, crlShard }: ShardState, octets: number, largest: number): Error {
  return new GigvaultError(
    'PAYLOAD_TOO_LARGE',
    `CRL ${crlShard} of ${issuerId} would have ${octets} octets; the most that can be signed is ${largest}. OCSP goes on. Issue from a CA with more CRL shards (crlShards) until enough of its certificates have ended.`,
  );
}

async function sign(deps: GenerateDeps, keyId: string, intent: CrlIntent): Promise<Buffer> {
  try {
    return await deps.signer.sign(keyId, intent.intentId, intent.tbs);
  } catch (error) {
    // Tombstoned by somebody who took this for dead. Any other failure may have left a signature behind: the next call closes it.
    if (asGigvaultError(error).code === 'SIGNING_CLOSED') {
      await abandon(deps, intent);
    }
    throw error;
  }
}

async function publish(
  deps: GenerateDeps,
  issuer: ParsedCertificate,
  intent: CrlIntent,
  signature: Buffer,
): Promise<void> {
  if (!verifies(issuer, intent, signature)) {
    // The number is lost; the open intent is abandoned by the next call, which finds the same wrong signature.
    throw new GigvaultError('INTERNAL', 'The signature of a CRL does not verify.');
  }
  const der = assembleSigned(intent.tbs, algorithmOf(issuer), signature);
  const done = await durableStep('crl.published', () => deps.store.publish(intent, der));
  if (!done) throw new GigvaultError('CONFLICT', `CRL ${intent.crlNumber} is not open any more.`);
}

function verifies(issuer: ParsedCertificate, intent: CrlIntent, signature: Buffer): boolean {
  const { keyObject } = issuer.publicKey;
  return verifySignature(keyObject, algorithmOf(issuer), intent.tbs, signature);
}

function algorithmOf(issuer: ParsedCertificate): Buffer {
  return signatureAlgorithm(issuer.publicKey.keyType);
}
