import { canonicalJson } from '@gigvault/canonical-json/canonical-json';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { readCertificate } from '@gigvault/x509/certificate';
import { fromPem } from '@gigvault/x509/pem';
import type { Check } from '../ceremony/check.ts';
import { fingerprintLines } from '../ceremony/fingerprint.ts';
import type { Root } from '../ceremony/root.ts';
import { HIERARCHY_FILES, ROOT_FILES } from '../ceremony/root-files.ts';
import { planHash } from '../plan/plan.ts';
import type { CeremonyDeps, CeremonyOrder } from './ceremony-order.ts';
import { giveShares, secretOfHolders } from './give-shares.ts';
import { destroyKey, makeRoot } from './make-root.ts';
import { confirmPlan, lookAround } from './prepare.ts';
import { type Ledger, openLedger } from './progress.ts';
import { signHierarchy } from './sign-hierarchy.ts';
import { writeBundle } from './write-bundle.ts';

/**
 * A key ceremony, from the plan to what a stranger says of the result. A process may die anywhere: the same call goes on where it stood. What it
 * cannot know any more it asks of the holders; a root of which fewer than enough of them have a share is given up, for it has signed nothing.
 * Returns what verification says. Errors: ALREADY_EXISTS when the folder holds a root; INVALID_ARGUMENT when people stop it, or what they brought does not fit;
 * KEY_UNAVAILABLE.
 */
export async function holdCeremony(
  order: CeremonyOrder,
  deps: CeremonyDeps,
): Promise<readonly Check[]> {
  const { files, keeper, operator, clock } = deps;
  const identity = {
    planSha256: planHash(order.plan),
    isRehearsal: order.isRehearsal,
    keptIn: keeper.file.name,
    agreed: canonicalJson(order.custody),
  };
  const ledger = openLedger(files, identity, clock);
  if (!ledger.isResumed) requireNoRoot(deps);
  requireOwnBundle(deps);

  // 1. What is to be signed, and where.
  await confirmPlan(order, deps, ledger);
  await lookAround(deps, ledger);

  if (ledger.progress.stage !== 'bundled') {
    // 2. Root key, self-signed certificate, and the secret that is split; then each holder's share, read back.
    const secret = await haveSecret(order, deps, ledger);
    try {
      // 3. From here on the key opens with what the holders have.
      const root = await openRoot(order, deps, secret);
      try {
        // 4. Certificates, CRL, transcript.
        await signHierarchy(order, deps, ledger, root);
        await writeBundle(order, deps, ledger, root);
      } finally {
        await root.key.close();
      }
    } finally {
      // 5. Nothing of it is needed any more.
      secret.fill(0);
    }
  }
  // A rehearsal's key was of use for this hour only.
  if (order.isRehearsal && (await destroyKey(deps))) {
    operator.say('✔ the rehearsal’s root key is destroyed');
  }
  operator.say('\n✔ the key is closed; what was in memory ends with this program');

  // 6. What others will say.
  showFingerprint(deps);
  const checks = deps.verify();
  if (checks.every(({ problem }) => problem === undefined)) await ledger.close();
  return checks;
}

async function haveSecret(
  order: CeremonyOrder,
  deps: CeremonyDeps,
  ledger: Ledger,
): Promise<Buffer> {
  const { stage } = ledger.progress;
  if (stage === 'held' || stage === 'signed') return secretOfHolders(deps, ledger);
  const made = await makeRoot(order, deps, ledger);
  try {
    await giveShares(order, deps, ledger, made);
    return made.secret;
  } catch (error) {
    made.secret.fill(0);
    throw error;
  }
}

async function openRoot(
  { plan }: CeremonyOrder,
  { files, keeper }: CeremonyDeps,
  secret: Buffer,
): Promise<Root & { readonly key: { close(): Promise<void> } }> {
  const key = await keeper.open(files.read(keeper.file.name) as string, secret);
  const certificate = readCertificate(rootCertificate(files));
  if (key.publicKey.spki.equals(certificate.spki)) return { plan, certificate, key };
  await key.close();
  throw new GigvaultError('KEY_UNAVAILABLE', 'The root key is not the one of the certificate.');
}

function requireNoRoot({ files }: CeremonyDeps): void {
  const { key, token, certificate } = ROOT_FILES;
  if ([key, token, certificate].some((file) => files.read(file) !== undefined)) {
    throw new GigvaultError('ALREADY_EXISTS', 'This folder already holds a root.');
  }
}

/** What lies in the bundle's folder is of this root, whose ceremony goes on, or there is nothing. */
function requireOwnBundle({ files, bundle }: CeremonyDeps): void {
  const { certificate, transcript } = ROOT_FILES;
  const known = bundle.read(certificate);
  if (known === undefined && bundle.read(transcript) === undefined) return;
  if (known !== undefined && known === files.read(certificate)) return;
  throw new GigvaultError('ALREADY_EXISTS', 'The bundle’s folder already holds a root’s files.');
}

function showFingerprint({ files, operator }: CeremonyDeps): void {
  operator.say(
    ['\nThe root’s fingerprint, once more:', ...fingerprintLines(rootCertificate(files))].join(
      '\n',
    ),
  );
}

function rootCertificate(files: CeremonyDeps['files']): Buffer {
  return fromPem(files.read(HIERARCHY_FILES.root) as string, 'CERTIFICATE')[0] as Buffer;
}
