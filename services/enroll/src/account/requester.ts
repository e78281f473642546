/** How the RA, the CA and events name an account: `acme:<accountId>`. */
export function requesterOf(accountId: string): string {
  return `acme:${accountId}`;
}
