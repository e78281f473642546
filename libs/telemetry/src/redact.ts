/** Stands where a secret stood. */
const MASK = '[redacted]';
const MAX_DEPTH = 8;

/** Names of fields whose values are secrets, however they are spelled: `setupToken`, `set-cookie`, `API_KEY`. */
const SECRET_NAME =
  /(password|passphrase|secret|token|apikey|privatekey|masterkey|authorization|cookie)$|^(so|user)?pin$/;

/** Secrets that can be told by their form, with what is left of them. */
const SECRET_TEXT: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?(-----END \1-----|$)/g, MASK],
  [/\b(bearer|basic) +[\w.~+/=-]{8,}/gi, `$1 ${MASK}`],
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, MASK],
  [/\bgv_(key|setup)_[\w-]{16,}/g, MASK],
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s@]+@/gi, `$1:${MASK}@`],
  [
    /\b((?:\w*_)?(?:password|passphrase|secret|token|pin))(["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&}]+)/gi,
    `$1$2${MASK}`,
  ],
];

/** The fields of a log line without secrets, at any depth down to eight; what lies deeper is left out. */
export function redact(fields: Record<string, unknown>): Record<string, unknown> {
  return redactObject(fields, 0);
}

/** The text without the secrets that their form gives away. */
export function redactText(text: string): string {
  return SECRET_TEXT.reduce((rest, [pattern, left]) => rest.replace(pattern, left), text);
}

function redactObject(value: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([name, child]) => [
      name,
      isSecretName(name) && child !== undefined ? MASK : redactValue(child, depth + 1),
    ]),
  );
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Error) return errorFields(value, depth);
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} octets>`;
  if (depth > MAX_DEPTH) return '…';
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  return redactObject(value, depth);
}

/** What a line says of an error. Its other properties stay out: drivers hang whole connections on theirs. */
function errorFields(error: Error, depth: number): unknown {
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    message: redactText(error.message),
    ...(typeof code === 'string' ? { code } : {}),
    stack: redactText(error.stack ?? ''),
    ...(error.cause === undefined || depth >= MAX_DEPTH
      ? {}
      : { cause: redactValue(error.cause, depth + 1) }),
  };
}

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name.toLowerCase().replaceAll(/[^a-z]/g, ''));
}
