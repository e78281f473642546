const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** True for a UUID of any version in lower case (RFC 9562 §4), the only form in which ours are written and looked up. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}
