import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  fileSecret,
  SECRET_FORMS,
  type SecretReference,
  secretReference,
} from '@gigvault/config/secret';
import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** What a token must be called; what is absent may be anything. */
export interface TokenQuery {
  readonly token?: string;
  readonly manufacturer?: string;
  readonly serial?: string;
  readonly model?: string;
  readonly slotId?: number;
}

/** A token, the library that reaches it and the place of its PIN. */
export interface Pkcs11Uri {
  readonly token: TokenQuery;
  /** Absolute. */
  readonly modulePath: string;
  readonly pinSource: SecretReference;
}

const PATH_ATTRIBUTES = ['token', 'manufacturer', 'serial', 'model', 'slot-id'];
const QUERY_ATTRIBUTES = ['module-path', 'pin-source'];
/** RFC 7512 §2.3: what may stand unencoded; the separators of the other attributes are not among it. */
const PATH_VALUE = /^(?:[\w.~:[\]@!$'()*+,=&-]|%[0-9A-Fa-f]{2})*$/;
const QUERY_VALUE = /^(?:[\w.~:[\]@!$'()*+,=/?|-]|%[0-9A-Fa-f]{2})*$/;

/**
 * Reads a URI of RFC 7512, as `pkcs11:token=ca;model=x?module-path=/usr/lib/x.so&pin-source=file:/etc/pin`. Strict, so that no typing error leads
 * to another token: attributes that have no effect here are refused. Errors: INVALID_ARGUMENT; no message repeats a value.
 */
export function parsePkcs11Uri(text: string): Pkcs11Uri {
  if (!text.startsWith('pkcs11:')) refuse('it does not begin with pkcs11:');
  const [path = '', ...rest] = text.slice('pkcs11:'.length).split('?');
  // RFC 7512 §2.3: a second question mark belongs to a value.
  const query = attributes(rest.join('?'), '&', QUERY_ATTRIBUTES, QUERY_VALUE);
  const { 'slot-id': slotId, ...names } = attributes(path, ';', PATH_ATTRIBUTES, PATH_VALUE);
  return {
    token: { ...names, ...(slotId === undefined ? {} : { slotId: slotNumber(slotId) }) },
    modulePath: absolutePath('module-path', query['module-path']),
    pinSource: pinSource(query['pin-source']),
  };
}

function attributes(
  text: string,
  separator: string,
  known: readonly string[],
  form: RegExp,
): Record<string, string> {
  const found: Record<string, string> = {};
  for (const attribute of text === '' ? [] : text.split(separator)) {
    const equals = attribute.indexOf('=');
    const name = equals < 0 ? attribute : attribute.slice(0, equals);
    if (name === 'pin-value') {
      refuse('pin-value shows the PIN to whoever sees the URI; name a file with pin-source');
    }
    if (!known.includes(name)) {
      refuse(`'${name.slice(0, 32)}' is not one of ${known.join(', ')} before or after the '?'`);
    }
    if (equals < 0) refuse(`${name} has no value`);
    if (Object.hasOwn(found, name)) refuse(`${name} stands there twice`);
    found[name] = decoded(name, attribute.slice(equals + 1), form);
  }
  return found;
}

function decoded(name: string, value: string, form: RegExp): string {
  if (!form.test(value)) refuse(`${name} has a character that must be percent-encoded`);
  try {
    const text = decodeURIComponent(value);
    if (!text.includes('\0')) return text;
  } catch {
    // Octets that are not UTF-8: refused below, as NUL is.
  }
  return refuse(`${name} is not text`);
}

function slotNumber(text: string): number {
  // CK_SLOT_ID has 64 bits on most machines; libraries number from 0, or at random in 32 bits.
  if (!/^\d{1,15}$/.test(text)) refuse('slot-id is not a number');
  return Number(text);
}

/** RFC 7512 §2.4 lets an application choose what pin-source may be: a file, by its URI (RFC 8089) or its path, or any other place of a secret. */
function pinSource(source: string | undefined): SecretReference {
  if (source === undefined || !source.includes(':')) {
    return fileSecret(absolutePath('pin-source', source));
  }
  if (!source.startsWith('file:')) {
    const place = secretReference.safeParse(source);
    return place.success ? place.data : refuse(`pin-source must be /path, ${SECRET_FORMS}`);
  }
  // `file:relative` would be read as /relative.
  if (!source.startsWith('file:/')) refuse('pin-source must be a file: file:/path or /path');
  return fileSecret(localPath(source));
}

function localPath(url: string): string {
  try {
    return fileURLToPath(url);
  } catch {
    return refuse('pin-source is no file of this machine');
  }
}

function absolutePath(name: string, path: string | undefined): string {
  if (path === undefined || path === '') return refuse(`${name} is missing`);
  if (!isAbsolute(path)) refuse(`${name} is not an absolute path`);
  return path;
}

function refuse(why: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', `The PKCS #11 URI is refused: ${why}.`);
}
