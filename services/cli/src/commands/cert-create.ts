import type { KeyObject, X509Certificate } from 'node:crypto';
import { relative, resolve } from 'node:path';
import { CliFailure, usage } from '../failure.ts';
import type { Style } from '../output/style.ts';
import { day } from '../output/times.ts';
import {
  type Action,
  type CommandOptions,
  listOption,
  textOption,
} from '../program/command-spec.ts';
import type { KEY_TYPES } from '../program/options.ts';
import type { Session } from '../session.ts';
import {
  type CertificateFacts,
  certificatesOf,
  factsOf,
  presentedChain,
  renewsFrom,
  shortSerial,
  validityText,
} from './certificate-text.ts';
import { decided, enrolmentOptions, PENDING, submit, tellPending } from './enrolment.ts';
import { draftOutput, type OutputDraft, readInput, refuseExisting } from './files.ts';
import { namesOf, newCertificationRequest, newPrivateKey } from './local-key.ts';
import type { EnrolmentDocument } from './resources.ts';

const PRIVATE = 0o600;
const PUBLIC = 0o644;

interface Plan {
  readonly certificationRequest: string;
  readonly privateKey?: KeyObject;
  readonly keyFile: string;
  readonly certificateFile: string;
  readonly force: boolean;
}

/**
 * Makes a key and gets a certificate. The key is on the disk before the certificate is asked for, and gets its name when
 * there is a certificate, or a request that waits for one.
 */
export const certCreate: Action = async (session, [commonName = ''], options) => {
  enrolmentOptions(options);
  const plan = await planOf(session, commonName, options);
  const key =
    plan.privateKey &&
    (await draftOutput(plan.keyFile, pkcs8(plan.privateKey), PRIVATE, plan.force));
  try {
    const look = {
      command: `gigvault cert list --cn ${commonName}`,
      note: `a certificate may have been made${key ? ', whose key is gone: revoke it' : ''}`,
    };
    const pem = plan.certificationRequest;
    const submitted = await submit(session, '/certificates', pem, options, look);
    await key?.publish();
    const request = await decided(session, submitted, options);
    if (request.status !== 'issued') return await pend(session, request, key && plan.keyFile);
    await finish(session, plan, request, key);
    return 0;
  } catch (error) {
    await key?.discard();
    throw error;
  }
};

async function planOf(
  session: Session,
  commonName: string,
  options: CommandOptions,
): Promise<Plan> {
  const folder = resolve(session.terminal.cwd, textOption(options, 'outDir') ?? '.');
  const base = resolve(folder, fileName(commonName));
  const files = {
    keyFile: `${base}.key`,
    certificateFile: `${base}.crt`,
    force: options['force'] === true,
  };
  const csr = textOption(options, 'csr');
  await refuseExisting(
    csr ? [files.certificateFile] : [files.certificateFile, files.keyFile],
    files.force,
    { command: '--out-dir <folder>', note: 'write elsewhere' },
  );
  if (csr) {
    if (
      listOption(options, 'san').length + listOption(options, 'ip').length > 0 ||
      options['keyType']
    )
      throw usage('--csr brings its own names and key: leave --san, --ip and --key-type out.');
    return { ...files, certificationRequest: await readInput(session.terminal, csr) };
  }
  const names = namesOf(commonName, listOption(options, 'san'), listOption(options, 'ip'));
  const privateKey = newPrivateKey(
    (textOption(options, 'keyType') ?? 'ec-p256') as (typeof KEY_TYPES)[number],
  );
  return {
    ...files,
    privateKey,
    certificationRequest: newCertificationRequest(privateKey, commonName, names),
  };
}

async function finish(
  session: Session,
  plan: Plan,
  request: EnrolmentDocument,
  key: OutputDraft | undefined,
): Promise<void> {
  const certificates = certificatesOf(`${request.certificate}${request.chain ?? ''}`, 'the answer');
  const leaf = certificates[0] as X509Certificate;
  if (plan.privateKey && !leaf.checkPrivateKey(plan.privateKey))
    throw new CliFailure('the server answered a certificate for another key', { code: 'INTERNAL' });
  const pem = presentedChain(certificates);
  const file = await draftOutput(plan.certificateFile, pem, PUBLIC, plan.force);
  await file.publish();
  const facts = factsOf(leaf);
  const shown = (path: string) =>
    `./${relative(session.terminal.cwd, path)}`.replace(/^\.\/\.\.\//, '../');
  const files = {
    certificate: shown(plan.certificateFile),
    ...(key ? { key: shown(plan.keyFile) } : {}),
  };
  await session.output.result({
    data: { ...jsonOf(facts), profile: request.profile, requestId: request.requestId, files },
    names: [facts.serialNumber],
    pem,
    text: (style) => issuedText(facts, request.profile, files, style),
  });
}

/** Product.md A.2. */
function issuedText(
  facts: CertificateFacts,
  profile: string,
  files: { certificate: string; key?: string },
  style: Style,
): string {
  const saved = `${files.certificate} (leaf + chain)${files.key ? `   ${files.key} (mode 0600)` : ''}`;
  const head = `${style.green(style.ok)} Issued  ${facts.subject}`;
  const lines = [
    `${head}${' '.repeat(Math.max(3, 48 - facts.subject.length))}serial ${shortSerial(facts.serialNumber, style)}`,
    `  names     ${facts.names.join('  ')}`,
    `  issuer    ${facts.issuer}        profile  ${profile}`,
    `  valid     ${validityText(facts)}   renews from ${day(renewsFrom(facts))}`,
    `  saved     ${saved}`,
    `  check     gigvault cert verify ${files.certificate}`,
  ];
  return `${lines.join('\n')}\n`;
}

function jsonOf({ notBefore, notAfter, ...facts }: CertificateFacts): object {
  return {
    ...facts,
    notBefore: new Date(notBefore).toISOString(),
    notAfter: new Date(notAfter).toISOString(),
  };
}

async function pend(
  session: Session,
  request: EnrolmentDocument,
  keyFile: string | undefined,
): Promise<number> {
  tellPending(session, request);
  if (keyFile)
    session.output.notice(
      `  then:           gigvault csr get ${request.requestId} --pem > ${keyFile.replace(/\.key$/, '.crt')}`,
    );
  const { requestId, status } = request;
  await session.output.result({
    data: { requestId, status, ...(keyFile ? { files: { key: keyFile } } : {}) },
    names: [requestId],
    text: () => `${requestId}  ${status}\n`,
  });
  return PENDING;
}

function pkcs8(privateKey: KeyObject): string {
  return privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
}

/** A name as a file's name: `*` becomes `_`, and nothing leads out of the folder. */
function fileName(commonName: string): string {
  const name = commonName
    .replaceAll('*', '_')
    .replaceAll(/[^A-Za-z0-9._@-]/g, '_')
    .replace(/^\.+/, '_');
  if (!name) throw usage('The common name is empty.');
  return name;
}
