import { type AddressRules, hostOf, refusalOf } from '@gigvault/egress/address-rules';

/** Why nobody may be told at this URL, as far as that can be seen without a look at the network; undefined when they may. */
export function whyNotUrl(text: string, rules: AddressRules): string | undefined {
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return 'holds a password';
  if (url.protocol === 'http:' && !rules.development) return 'is not https';
  const refused = refusalOf(rules, hostOf(url), url.hostname);
  // A name: where it leads is seen when it is connected to.
  if (refused === undefined || refused === 'not an address') return undefined;
  return `leads to an address that is refused (${refused}); see notify.allowedNetworks`;
}
