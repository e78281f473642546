/**
 * The key usages and extended key usages that each built-in profile puts into certificates (RFC 5280 §4.2.1.3, §4.2.1.12).
 * A policy that restricts key usages refuses a profile that is not listed here: what is not known is not allowed.
 */
export const PROFILE_KEY_USAGES: Readonly<Record<string, readonly string[]>> = {
  'tls-server': ['digitalSignature', 'keyEncipherment', 'serverAuth'],
  'tls-client': ['digitalSignature', 'clientAuth'],
};
