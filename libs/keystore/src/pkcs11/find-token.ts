import graphene, { type Module, type Slot, type Token } from 'graphene-pk11';
import type { TokenQuery } from './pkcs11-uri.ts';
import { returnValueOf, unavailable } from './return-value.ts';

/** A token and the slot it is in. */
export interface FoundToken {
  readonly slot: Slot;
  readonly token: Token;
}

/**
 * The one initialised token that is what the query says; none is ever initialised here.
 * Errors: KEY_UNAVAILABLE for none and for several, naming what is there.
 */
export function findToken(module: Module, query: TokenQuery): FoundToken {
  const present = presentTokens(module);
  const matching = present.filter((found) => matches(found, query));
  const usable = matching.filter(({ token }) => isInitialized(token));
  const [found] = usable;
  if (found !== undefined && usable.length === 1) return found;
  const why =
    matching.length === 0
      ? 'No token is what the URI says.'
      : usable.length === 0
        ? 'The token is not initialised; do that with the vendor’s tool.'
        : 'Several tokens are what the URI says; add serial or slot-id.';
  const there = present.map(describeSlot).join('; ') || 'none';
  throw unavailable(`${why} Tokens there: ${there}.`);
}

/** As `token 'ca' (SoftHSM v2, serial 0a1b)`. */
export function describeToken({ label, model, serialNumber }: Token): string {
  return `token '${label.trim()}' (${model.trim()}, serial ${serialNumber.trim()})`;
}

function presentTokens(module: Module): FoundToken[] {
  const found: FoundToken[] = [];
  for (const slot of module.getSlots(true)) {
    try {
      found.push({ slot, token: slot.getToken() });
    } catch (error) {
      // A token that was just taken out, or that the library cannot read, is not there.
      if (returnValueOf(error) === undefined) throw error;
    }
  }
  return found;
}

function describeSlot(found: FoundToken): string {
  const where = `slot-id ${slotId(found)}`;
  return isInitialized(found.token)
    ? `${describeToken(found.token)}, ${where}`
    : `one that is not initialised, ${where}`;
}

/** CK_TOKEN_INFO pads with blanks. */
function matches(found: FoundToken, query: TokenQuery): boolean {
  const { label, manufacturerID, serialNumber, model } = found.token;
  const same = (wanted: string | undefined, has: string) =>
    wanted === undefined || wanted === has.trim();
  return (
    same(query.token, label) &&
    same(query.manufacturer, manufacturerID) &&
    same(query.serial, serialNumber) &&
    same(query.model, model) &&
    (query.slotId === undefined || BigInt(query.slotId) === slotId(found))
  );
}

function isInitialized(token: Token): boolean {
  return (token.flags & graphene.TokenFlag.TOKEN_INITIALIZED) !== 0;
}

/** A handle is the CK_ULONG in the machine's order of octets: 8 of them, little end first, on what GigVault runs on. */
function slotId({ slot }: FoundToken): bigint {
  return slot.handle.readBigUInt64LE();
}
