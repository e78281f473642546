/** What issuances in flight are joined by. Not the request's id alone: nobody is answered with another's certificate. */
export function flightOf(of: {
  readonly requestId: string;
  readonly requester: string;
  readonly profile: string;
}): string {
  return `${of.requestId} ${of.requester} ${of.profile}`;
}
