import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { parseCertificationRequest } from '@gigvault/x509/certification-request';
import { fromPem } from '@gigvault/x509/pem';
import { configFolder, readContexts } from '../context/contexts-file.ts';
import { fingerprintOf, plainFingerprint } from '../context/selected-context.ts';
import { CliFailure, type Try, usage } from '../failure.ts';
import { type CommandOptions, textOption } from '../program/command-spec.ts';
import type { Session } from '../session.ts';

/** A root that this machine can sign with. */
export interface RootAtHand {
  readonly folder: string;
  /** Its key is an encrypted file; otherwise it is in a token. */
  readonly isFile: boolean;
  /** Holds the passphrase; undefined: it is asked for. */
  readonly passphraseFile: string | undefined;
  /** The token, when its URI is another one by now. */
  readonly hsm: string | undefined;
}

/** What the root is asked to sign. */
export interface SigningRequest {
  readonly issuerId: string;
  readonly line: string;
  /** PKCS #10, PEM. */
  readonly certificationRequest: string;
  /** Of this PKI's root, PEM; undefined: the server does not say. */
  readonly rootCertificate?: string;
}

const KEY = 'root.key';
const TOKEN = 'token.yaml';
const CERTIFICATE = 'root.crt';
/** What opens the key is divided among people, who are asked where nobody else is. */
const CUSTODY = 'custody.json';

/** Flags that say how this machine's root signs. */
const OF_THE_ROOT = { root: '--root', passphraseFile: '--passphrase-file', hsm: '--hsm' } as const;

/**
 * The root of `--root`, or the one that `up` has made on this machine: it lies beside the root certificate of a context. Undefined when the root
 * is elsewhere. Fails when `--root` is no root, for one that several people open, and for a flag of the root that would be of no use.
 */
export async function findRoot(
  session: Session,
  options: CommandOptions,
): Promise<RootAtHand | undefined> {
  if (textOption(options, 'csr') !== undefined) {
    refuseFlags(options, '--csr is for a root on another machine');
    return undefined;
  }
  const given = textOption(options, 'root');
  const folders =
    given === undefined ? await likelyFolders(session) : [resolve(session.terminal.cwd, given)];
  const folder = folders.find((each) => holds(each, KEY) || holds(each, TOKEN));
  if (folder !== undefined) return atHand(session, folder, options);
  if (given !== undefined)
    throw usage(`${folders.join()} holds no root: there is neither ${KEY} nor ${TOKEN}.`);
  const looked = folders.length === 0 ? 'no context names a folder' : folders.join(', ');
  refuseFlags(options, `no root was found on this machine (looked in: ${looked})`, {
    command: '--root <folder>',
    note: 'the one with root.key or token.yaml, as <data>/root',
  });
  return undefined;
}

function holds(folder: string, file: string): boolean {
  return existsSync(join(folder, file));
}

function refuseFlags(options: CommandOptions, why: string, ...tries: Try[]): void {
  const given = Object.entries(OF_THE_ROOT).filter(
    ([name]) => textOption(options, name) !== undefined,
  );
  if (given.length === 0) return;
  throw usage(`${given.map(([, flag]) => flag).join(', ')}: of no use, ${why}.`, ...tries);
}

/** Where contexts have the root certificate of this PKI: `setup` has copied it, the context of `up` names the one beside the key. */
async function likelyFolders(session: Session): Promise<readonly string[]> {
  const { caFile: own, ca } = await session.context();
  if (ca === undefined) return [];
  const fingerprint = fingerprintOf(ca);
  const { contexts } = await readContexts(configFolder(session.terminal));
  const others = Object.values(contexts)
    .filter(({ rootFingerprint = '' }) => plainFingerprint(rootFingerprint) === fingerprint)
    .map(({ caFile }) => caFile);
  const files = [own, ...others].filter((file) => file !== undefined && isAbsolute(file));
  return [...new Set(files.map((file) => dirname(file as string)))];
}

function atHand(session: Session, folder: string, options: CommandOptions): RootAtHand {
  if (holds(folder, CUSTODY))
    throw usage(`What opens the root of ${folder} is held by several people.`, {
      command: '--csr <file>',
      note: 'and "gigvault rootca sign" by them',
    });
  const file = textOption(options, 'passphraseFile');
  const isFile = !holds(folder, TOKEN);
  if (!isFile && file !== undefined)
    throw usage(`--passphrase-file: of no use, the key of the root in ${folder} is in a token.`);
  return {
    folder,
    isFile,
    passphraseFile: file === undefined ? undefined : resolve(session.terminal.cwd, file),
    hsm: textOption(options, 'hsm'),
  };
}

/**
 * Has the program `rootca` sign, as on an offline machine: the certificate and its transcript stay in the root's folder. One that an earlier run
 * has signed for this key is taken. Returns PEM. Fails with the program's words and exit code, and for the root of another PKI, which is not asked.
 */
export async function signWithRoot(
  session: Session,
  root: RootAtHand,
  request: SigningRequest,
): Promise<string> {
  const certificate = await requireOwnRoot(root.folder, request);
  const { path, signed } = await placeFor(root.folder, request, certificate);
  if (signed !== undefined) return signed;
  const input = await passphraseFor(session, root);
  const work = await mkdtemp(join(tmpdir(), 'gigvault-csr-'));
  try {
    const csr = join(work, 'request.csr');
    await writeFile(csr, request.certificationRequest);
    const { code, stderr } = await session.terminal.runRootca(
      [
        ...['sign', '--root', root.folder, '--kind', request.line, '--csr', csr, '--out', path],
        ...(root.isFile ? ['--passphrase-file', root.passphraseFile ?? '-'] : []),
        ...(root.hsm === undefined ? [] : ['--hsm', root.hsm]),
      ],
      input,
    );
    if (code !== 0) throw refusal(code, stderr);
  } finally {
    await rm(work, { recursive: true });
  }
  return readFile(path, 'utf8');
}

/** The root's certificate in the folder: same key and name as the one that this PKI's certificates lead to. */
async function requireOwnRoot(
  folder: string,
  { rootCertificate }: SigningRequest,
): Promise<X509Certificate> {
  const path = join(folder, CERTIFICATE);
  if (!existsSync(path)) throw usage(`${folder} holds no root: there is no ${CERTIFICATE}.`);
  const found = readX509(path, await readFile(path, 'utf8'));
  const wanted = new X509Certificate(rootCertificate ?? found.toString());
  if (found.subject === wanted.subject && spkiOf(found).equals(spkiOf(wanted))) return found;
  throw new CliFailure(
    `the root of ${folder} is not this PKI's: it is ${shown(found)}, and ${shown(wanted)} has to sign.`,
    { code: 'INVALID_ARGUMENT' },
  );
}

/** As `CN=Example Root CA (SHA256 0A:1B:…)`. */
function shown({ subject, fingerprint256 }: X509Certificate): string {
  return `${subject.replaceAll('\n', ', ')} (SHA256 ${fingerprint256})`;
}

function readX509(path: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new CliFailure(`${path} is not a certificate.`, { code: 'INVALID_ARGUMENT' });
  }
}

function spkiOf({ publicKey }: X509Certificate): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** The subjectPublicKeyInfo of a PKCS #10 request, PEM, which that key has signed. Errors: INVALID_ARGUMENT, BAD_CSR, BAD_PUBLIC_KEY. */
export function requestedKey(certificationRequest: string): Buffer {
  const [der] = fromPem(certificationRequest, 'CERTIFICATE REQUEST') as [Buffer];
  return parseCertificationRequest(der).publicKey.spki;
}

/** `issuing-g2.crt` in the root's folder, or the certificate that is there for this key, of this root; the next name where another run died half-way. */
async function placeFor(
  folder: string,
  { issuerId, certificationRequest }: SigningRequest,
  root: X509Certificate,
): Promise<{ readonly path: string; readonly signed?: string }> {
  const spki = requestedKey(certificationRequest);
  for (let number = 1; ; number++) {
    const path = join(folder, number === 1 ? `${issuerId}.crt` : `${issuerId}.${number}.crt`);
    if (existsSync(path)) {
      const signed = await readFile(path, 'utf8');
      const certificate = readX509(path, signed);
      const isOurs = spki.equals(spkiOf(certificate)) && certificate.verify(root.publicKey);
      if (isOurs) return { path, signed };
    } else if (!existsSync(`${path}.transcript.json`)) return { path };
  }
}

async function passphraseFor(session: Session, root: RootAtHand): Promise<string> {
  if (!root.isFile || root.passphraseFile !== undefined) return '';
  const { terminal, options } = session;
  if (!terminal.stdinIsTty || !options.input)
    throw usage("The root's key has a passphrase, and nobody can be asked for it here.", {
      command: '--passphrase-file <file>',
    });
  return terminal.askSecret(`Passphrase of ${join(root.folder, KEY)}: `);
}

/** The program says `error: <why>  GV-<CODE>`. */
function refusal(code: number, stderr: string): CliFailure {
  const line = stderr.trim().split('\n').at(-1) ?? '';
  const [, why = line, shownCode] = /^error: (.*?)\s+(GV-[A-Z-]+)$/.exec(line) ?? [];
  return new CliFailure(`the root did not sign: ${why}`, {
    exitCode: code,
    ...(shownCode === undefined ? {} : { shownCode }),
  });
}
