import type { ParsedCertificate } from '@gigvault/x509/certificate';
import { toPem } from '@gigvault/x509/pem';
import { createRoot } from '../ceremony/create-root.ts';
import { fingerprintLines } from '../ceremony/fingerprint.ts';
import { ROOT_FILES } from '../ceremony/root-files.ts';
import { sealShares, unsealShares } from '../custody/sealed-shares.ts';
import type { Share } from '../custody/share.ts';
import { newSplitSecret, wipe } from '../custody/split-secret.ts';
import type { Plan } from '../plan/plan.ts';
import type { CeremonyDeps, CeremonyOrder } from './ceremony-order.ts';
import { secretOfHolders } from './give-shares.ts';
import { requireYes } from './prepare.ts';
import type { Ledger } from './progress.ts';

/** A root whose key opens with a secret, and all shares of it, also those that were read back. */
export interface MadeRoot {
  readonly secret: Buffer;
  readonly shares: readonly Share[];
}

/**
 * Root key, certificate and shares; or, where a process died while they were given out, those that were made then, if enough holders have theirs.
 * Otherwise that root is given up and another one made: it has signed nothing but its own certificate.
 */
export async function makeRoot(
  order: CeremonyOrder,
  deps: CeremonyDeps,
  ledger: Ledger,
): Promise<MadeRoot> {
  const { confirmed, custody, stage, sealedShares } = ledger.progress;
  if (stage === 'keyed') {
    if (custody !== undefined && confirmed.length >= custody.threshold) {
      const secret = await secretOfHolders(deps, ledger);
      try {
        return { secret, shares: await unsealShares(sealedShares as string, secret) };
      } catch (error) {
        secret.fill(0);
        throw error;
      }
    }
    await giveUp(deps, ledger);
  }
  return makeAnew(order, deps, ledger);
}

async function makeAnew(
  { plan, custody, isRehearsal }: CeremonyOrder,
  deps: CeremonyDeps,
  ledger: Ledger,
): Promise<MadeRoot> {
  const { files, keeper, operator } = deps;
  // A process may have died after it made one, or said that it would: nothing else would ever remove that from a token.
  await destroyKey(deps);
  const made = await newSplitSecret(custody, isRehearsal);
  try {
    const { der, publicKey } = await keptRoot(plan, deps, made.secret);
    ledger.note('made the root key', publicKey.spki);
    ledger.note('signed the root certificate', der);
    await files.write(ROOT_FILES.certificate, toPem('CERTIFICATE', der), 0o644);
    await ledger.save({
      stage: 'keyed',
      custody: made.record,
      confirmed: [],
      sealedShares: await sealShares(made.shares, made.secret),
    });
    operator.say(`\n✔ the root’s key is made, ${keeper.place}`);
    operator.say(['✔ its certificate, signed by itself:', ...fingerprintLines(der)].join('\n'));
    await requireYes(
      operator,
      'fingerprint',
      'Everybody writes the fingerprint or its words down. Done? Type yes:',
    );
    return made;
  } catch (error) {
    made.secret.fill(0);
    wipe(...made.shares);
    throw error;
  }
}

/** A new key, of which the keeper's file is on the disk, and its certificate. */
async function keptRoot(
  plan: Plan,
  { files, keeper, clock }: CeremonyDeps,
  secret: Buffer,
): Promise<ParsedCertificate> {
  const { name, mode } = keeper.file;
  const key = await keeper.make(plan, secret, (content) => files.write(name, content, mode));
  try {
    return (await createRoot(plan, key, clock)).certificate;
  } finally {
    await key.close();
  }
}

async function giveUp(deps: CeremonyDeps, ledger: Ledger): Promise<void> {
  const { files, operator } = deps;
  const { confirmed, custody } = ledger.progress;
  await destroyKey(deps);
  const out = `${confirmed.length} of ${custody?.holders.length ?? 0} shares were out`;
  ledger.note(`gave up the root key: ${out}`, files.read(ROOT_FILES.certificate) ?? '');
  operator.say(
    `\nThe root that was begun is given up: ${out}, too few to open it. It has signed nothing.\nWho has a share of set ${custody?.setId} destroys it. Another root is made now.`,
  );
  await ledger.save({
    stage: 'begun',
    custody: undefined,
    confirmed: [],
    sealedShares: undefined,
  });
}

/** The key that the keeper's file names, and that file. False: there is none. May be repeated. Errors: KEY_UNAVAILABLE. */
export async function destroyKey({ files, keeper }: CeremonyDeps): Promise<boolean> {
  const content = files.read(keeper.file.name);
  if (content === undefined) return false;
  await keeper.destroy(content);
  await files.remove(keeper.file.name);
  return true;
}
