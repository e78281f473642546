/** The chapters of the API's document, in order. */
export const TAGS = {
  Certificates: 'Ask for certificates, look them up, revoke them.',
  Requests: 'What was asked for, how policy judged it, and what people decided.',
  Issuers: 'The issuing CAs and their chains.',
  Keys: 'Key pairs in the backend. Private keys never leave it.',
  Access: 'From an API key or a setup token to an access token.',
  Users: 'Who may sign in, and with which roles.',
  'API keys': 'Your own API keys.',
  Audit: 'The tamper-evident log: entries, signed tree heads, proofs.',
} as const;

/** One of TAGS. */
export type Tag = keyof typeof TAGS;
