import { describe, expect, it } from '@jest/globals';
import { requireOwnActor } from './revocation-actor.ts';

describe('requireOwnActor', () => {
  it.each(['acme:1', 'certificate-key:abc'])('lets enroll revoke for %s', (actor) => {
    expect(() => requireOwnActor(actor, 'enroll')).not.toThrow();
  });

  it.each(['user:ada', 'service:ca', 'acme:', 'xacme:1', ''])(
    "keeps enroll from putting '%s' into the audit log",
    (actor) => {
      expect(() => requireOwnActor(actor, 'enroll')).toThrow('enroll revokes for ACME accounts');
    },
  );

  it('believes the others, who have authorised a person', () => {
    expect(() => requireOwnActor('user:ada', 'gigvault')).not.toThrow();
  });
});
