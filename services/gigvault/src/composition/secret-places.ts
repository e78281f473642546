import { type SecretReference, secretReference } from '@gigvault/config/secret';
import { pinPlace } from '@gigvault/keymgr/keymgr.config';

/** The places of secrets that a configuration names, those of the PINs in PKCS #11 URIs among them. */
export function secretPlaces(config: unknown): SecretReference[] {
  if (typeof config === 'string') return placeIn(config);
  if (typeof config !== 'object' || config === null) return [];
  return Object.values(config).flatMap(secretPlaces);
}

function placeIn(text: string): SecretReference[] {
  // May be percent-encoded there: no search in the text would find it.
  if (text.startsWith('pkcs11:')) return [pinPlace(text)];
  const place = secretReference.safeParse(text);
  return place.success ? [place.data] : [];
}
