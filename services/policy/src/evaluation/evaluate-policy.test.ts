import { describe, expect, it } from '@jest/globals';
import { evaluatePolicy } from './evaluate-policy.ts';
import type { Policy, PolicyDocument } from './policy-document.ts';

const DAY = 86_400_000;

function policy(document: Partial<PolicyDocument>): Policy {
  const whole: PolicyDocument = {
    name: 'web-servers',
    subjects: { deny: [], otherwise: 'deny' },
    names: { deny: [], otherwise: 'deny' },
    wildcards: 'deny',
    approvals: 1,
    outcome: 'allow',
    ...document,
  };
  return { document: whole, hash: 'ab' };
}

const REQUEST = {
  protocol: 'rest',
  requester: 'user:1',
  roles: ['operator'],
  profile: 'tls-server',
  commonName: 'api.corp.example',
  subjectAltName: [{ type: 'dns', value: 'api.corp.example' }],
  keyType: 'ec-p256',
  validity: 47 * DAY,
  tenantId: 'default',
  keyUsages: ['digitalSignature', 'keyEncipherment', 'serverAuth'],
};

describe('evaluatePolicy', () => {
  it('allows what breaks no rule and names the policy that did it', () => {
    const { decision, approvalsNeeded } = evaluatePolicy([policy({})], REQUEST);
    expect(decision).toEqual({
      outcome: 'allow',
      rules: [
        { rule: 'outcome', outcome: 'allow', message: 'policy "web-servers" allows this request' },
      ],
      policy: 'web-servers',
      policyHash: 'ab',
    });
    expect(approvalsNeeded).toBe(0);
  });

  it('lists every problem on its own, in the words of the requester (covers: G41, G42, G43, G44)', () => {
    const strict = policy({
      subjects: { allow: ['*.corp.example'], deny: ['*.test'], otherwise: 'deny' },
      names: { allow: ['*.corp.example'], deny: ['secret.corp.example'], otherwise: 'deny' },
      keyTypes: ['ec-p384'],
      maxValidity: 90 * DAY,
      keyUsages: ['digitalSignature', 'keyEncipherment'],
    });
    const names = [
      'api.corp.example',
      '*.apps.corp.example',
      'secret.corp.example',
      'evil.example',
    ];
    const subjectAltName = names.map((value) => ({ type: 'dns', value }));
    const request = { ...REQUEST, commonName: 'a.test', subjectAltName, validity: 398 * DAY };
    const { decision } = evaluatePolicy([strict], request);
    expect(decision?.outcome).toBe('deny');
    expect(decision?.rules.map(({ rule, message }) => [rule, message])).toEqual([
      ['subjects.denied', 'commonName "a.test": denied by pattern "*.test"'],
      [
        'names.denied',
        'dnsNames[2] "secret.corp.example": denied by pattern "secret.corp.example"',
      ],
      ['names.notAllowed', 'dnsNames[3] "evil.example": matches no allowed pattern'],
      ['wildcards', 'dnsNames[1] "*.apps.corp.example": wildcards are not allowed'],
      ['keyTypes', 'keyType "ec-p256": allowed are ec-p384'],
      ['maxValidity', 'validity 398 d: longest allowed is 90 d'],
      ['keyUsages', 'keyUsage "serverAuth" of profile "tls-server": not allowed'],
    ]);
  });

  it('allows a validity of exactly the limit', () => {
    const limited = policy({ maxValidity: 90 * DAY });
    expect(evaluatePolicy([limited], { ...REQUEST, validity: 90 * DAY }).decision?.outcome).toBe(
      'allow',
    );
    expect(
      evaluatePolicy([limited], { ...REQUEST, validity: 90 * DAY + 1 }).decision?.outcome,
    ).toBe('deny');
  });

  it('says limits below a day in hours', () => {
    const limited = policy({ maxValidity: DAY / 24 });
    expect(evaluatePolicy([limited], { ...REQUEST, validity: DAY }).decision?.rules).toEqual([
      { rule: 'maxValidity', outcome: 'deny', message: 'validity 1 d: longest allowed is 1 h' },
    ]);
  });

  it('asks people where a rule says review, and a denial outweighs it', () => {
    const reviewing = policy({
      names: { allow: ['localhost'], deny: [], otherwise: 'review' },
      approvals: 2,
    });
    const reviewed = evaluatePolicy([reviewing], REQUEST);
    expect(reviewed.decision?.outcome).toBe('review');
    expect(reviewed.approvalsNeeded).toBe(2);
    const subjectAltName = [...REQUEST.subjectAltName, { type: 'dns', value: '*.x.example' }];
    const denied = evaluatePolicy([reviewing], { ...REQUEST, subjectAltName });
    expect(denied.decision?.rules.map(({ outcome }) => outcome)).toEqual([
      'deny',
      'review',
      'review',
    ]);
    expect(denied.decision?.outcome).toBe('deny');
    expect(denied.approvalsNeeded).toBe(0);
  });

  it('lets the first policy that speaks about the request decide', () => {
    const policies = [
      policy({ name: 'acme', protocols: ['acme'] }),
      policy({ name: 'admins', roles: ['admin'] }),
      policy({ name: 'clients', profiles: ['tls-client'] }),
      policy({ name: 'rest', protocols: ['rest'], outcome: 'review' }),
    ];
    const deciding = (change: object) =>
      evaluatePolicy(policies, { ...REQUEST, ...change }).decision?.policy;
    expect(deciding({ protocol: 'acme' })).toBe('acme');
    expect(deciding({ roles: ['requester', 'admin'] })).toBe('admins');
    expect(deciding({ profile: 'tls-client' })).toBe('clients');
    expect(deciding({})).toBe('rest');
  });

  it('denies what no policy speaks about', () => {
    const { decision } = evaluatePolicy([policy({ protocols: ['acme'] })], REQUEST);
    expect(decision?.outcome).toBe('deny');
    expect(decision?.rules[0]?.rule).toBe('policy.none');
  });

  it('refuses a profile with unknown key usages when usages are restricted', () => {
    const restricted = policy({ keyUsages: ['digitalSignature'] });
    const decision = evaluatePolicy([restricted], { ...REQUEST, keyUsages: [] }).decision;
    expect(decision).toMatchObject({ outcome: 'deny', rules: [{ rule: 'keyUsages' }] });
  });
});
