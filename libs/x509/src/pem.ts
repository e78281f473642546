import { GigvaultError } from '@gigvault/errors/gigvault-error';

const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END \1-----/g;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** RFC 7468 text, 64 characters a line, ending in a newline. `label` as `CERTIFICATE`. */
export function toPem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/**
 * The DER of each block, in order; text between blocks is skipped. With a label, only blocks of that label count
 * (`CERTIFICATE REQUEST` also takes `NEW CERTIFICATE REQUEST`). Throws INVALID_ARGUMENT when there is none or one is not base64.
 */
export function fromPem(text: string, label?: string): Buffer[] {
  const blocks: Buffer[] = [];
  for (const [, found, body] of text.matchAll(BLOCK)) {
    const matches = label === undefined || found === label || found === `NEW ${label}`;
    if (matches) blocks.push(decodeBody(body!));
  }
  if (blocks.length === 0) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `There is no PEM block${label === undefined ? '' : ` "${label}"`}.`,
    );
  }
  return blocks;
}

function decodeBody(body: string): Buffer {
  const base64 = body.replace(/\s+/g, '');
  if (base64 === '' || !BASE64.test(base64)) {
    throw new GigvaultError('INVALID_ARGUMENT', 'A PEM block is not base64.');
  }
  return Buffer.from(base64, 'base64');
}
