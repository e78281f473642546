import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';

/** The session, the login, the object's handle or the device is gone: a new session may help (PKCS #11 v3.1 §5.1). */
const LOST: ReadonlySet<string> = new Set([
  'CKR_CRYPTOKI_NOT_INITIALIZED',
  'CKR_DEVICE_ERROR',
  'CKR_DEVICE_REMOVED',
  'CKR_FUNCTION_FAILED',
  'CKR_GENERAL_ERROR',
  'CKR_KEY_HANDLE_INVALID',
  'CKR_OBJECT_HANDLE_INVALID',
  'CKR_OPERATION_ACTIVE',
  'CKR_OPERATION_NOT_INITIALIZED',
  'CKR_SESSION_CLOSED',
  'CKR_SESSION_HANDLE_INVALID',
  'CKR_SLOT_ID_INVALID',
  'CKR_TOKEN_NOT_PRESENT',
  'CKR_TOKEN_NOT_RECOGNIZED',
  'CKR_USER_NOT_LOGGED_IN',
]);

/** Each further try with the same PIN may lock the token. */
const PIN_REFUSED: Readonly<Record<string, string>> = {
  CKR_PIN_EXPIRED: 'The PIN has expired. Set a new one with the vendor’s tool.',
  CKR_PIN_INCORRECT: 'The PIN is wrong. It is not tried again, so that the token does not lock.',
  CKR_PIN_INVALID: 'The PIN has characters that the token does not take.',
  CKR_PIN_LEN_RANGE: 'The PIN is too short or too long for the token.',
  CKR_PIN_LOCKED: 'The PIN is locked. The security officer unlocks it with the vendor’s tool.',
  CKR_USER_PIN_NOT_INITIALIZED: 'The token has no user PIN yet.',
};

const NOT_SUPPORTED: ReadonlySet<string> = new Set([
  'CKR_CURVE_NOT_SUPPORTED',
  'CKR_DOMAIN_PARAMS_INVALID',
  'CKR_FUNCTION_NOT_SUPPORTED',
  'CKR_KEY_SIZE_RANGE',
  'CKR_MECHANISM_INVALID',
  'CKR_MECHANISM_PARAM_INVALID',
]);

/** As `CKR_DEVICE_ERROR` when the error came from the library; undefined otherwise. */
export function returnValueOf(error: unknown): string | undefined {
  const name = error instanceof Error ? error.message : '';
  return /^CKR_\w+$/.test(name) ? name : undefined;
}

/** True when the same call may succeed in a new session. */
export function isLost(error: unknown): boolean {
  return LOST.has(returnValueOf(error) ?? '');
}

/** What to tell an operator whose PIN the token refuses; undefined for every other error. */
export function pinProblem(error: unknown): string | undefined {
  const name = returnValueOf(error) ?? '';
  return Object.hasOwn(PIN_REFUSED, name) ? `${PIN_REFUSED[name]} (${name})` : undefined;
}

/** The error in the house's words, with the token's name, as `token 'ca'`. OPERATION_NOT_SUPPORTED for what the token cannot do, KEY_UNAVAILABLE for everything else that a library says. */
export function tokenError(error: unknown, token: string): GigvaultError {
  const name = returnValueOf(error);
  if (name === undefined) return asGigvaultError(error);
  return NOT_SUPPORTED.has(name)
    ? new GigvaultError('OPERATION_NOT_SUPPORTED', `${token} cannot do that: ${name}.`)
    : unavailable(`${token} said ${name}.`);
}

/** Errors of this kind may be gone when the same is asked again. */
export function unavailable(message: string, cause?: unknown): GigvaultError {
  return new GigvaultError('KEY_UNAVAILABLE', message, { cause });
}
