import type { GeneralName } from '@gigvault/proto/ca/v1/issuance';
import type { EvaluateRequest, EvaluateResponse } from '@gigvault/proto/policy/v1/policy';
import type { DecisionRule } from '@gigvault/proto/ra/v1/enrolment';
import { lengthOfTime } from '@gigvault/time/length-of-time';
import { matchName, matchText } from './match-name.ts';
import type { Outcome, Patterns, Policy, PolicyDocument } from './policy-document.ts';

const SEVERITY: Readonly<Record<Outcome, number>> = { deny: 2, review: 1, allow: 0 };

/**
 * Judges a request by the first policy that speaks about it; no such policy is a denial. The worst rule wins; every problem
 * stands in the decision as a rule of its own, worst first.
 */
export function evaluatePolicy(
  policies: readonly Policy[],
  request: EvaluateRequest,
): EvaluateResponse {
  const policy = policies.find(({ document }) => appliesTo(document, request));
  if (!policy) return deniedByDefault(request);
  const { document, hash } = policy;
  const rules = RULES.flatMap((rule) => rule(document, request));
  if (rules.length === 0 || document.outcome !== 'allow') rules.push(ownOutcome(document));
  rules.sort((a, b) => severity(b) - severity(a));
  const outcome = rules[0]?.outcome ?? 'deny';
  return {
    decision: { outcome, rules, policy: document.name, policyHash: hash },
    approvalsNeeded: outcome === 'review' ? document.approvals : 0,
  };
}

function appliesTo(document: PolicyDocument, request: EvaluateRequest): boolean {
  return (
    (document.protocols?.includes(request.protocol) ?? true) &&
    (document.profiles?.includes(request.profile) ?? true) &&
    (document.roles?.some((role) => request.roles.includes(role)) ?? true)
  );
}

function deniedByDefault(request: EvaluateRequest): EvaluateResponse {
  const message = `no policy allows profile "${request.profile}" over ${request.protocol || 'this protocol'} for this requester`;
  const rules = [{ rule: 'policy.none', outcome: 'deny', message }];
  return { decision: { outcome: 'deny', rules, policy: '', policyHash: '' }, approvalsNeeded: 0 };
}

function ownOutcome(document: PolicyDocument): DecisionRule {
  const message = {
    allow: `policy "${document.name}" allows this request`,
    review: `policy "${document.name}" asks ${people(document.approvals)} to approve`,
    deny: `policy "${document.name}" denies every request`,
  }[document.outcome];
  return { rule: 'outcome', outcome: document.outcome, message };
}

type Rule = (document: PolicyDocument, request: EvaluateRequest) => DecisionRule[];

const RULES: readonly Rule[] = [
  judgeSubject,
  judgeNames,
  judgeWildcards,
  judgeKeyType,
  judgeValidity,
  judgeKeyUsages,
];

function judgeSubject(document: PolicyDocument, { commonName }: EvaluateRequest): DecisionRule[] {
  if (commonName === '') return [];
  return judgePatterns('subjects', document.subjects, `commonName "${commonName}"`, (pattern) =>
    matchText(pattern, commonName),
  );
}

function judgeNames(document: PolicyDocument, request: EvaluateRequest): DecisionRule[] {
  return labelled(request.subjectAltName).flatMap(({ name, label }) =>
    judgePatterns('names', document.names, label, (pattern, purpose) =>
      matchName(pattern, name, purpose),
    ),
  );
}

function judgePatterns(
  rule: 'subjects' | 'names',
  patterns: Patterns,
  label: string,
  matches: (pattern: string, purpose: 'allow' | 'deny') => boolean,
): DecisionRule[] {
  const denied = patterns.deny.find((pattern) => matches(pattern, 'deny'));
  if (denied !== undefined) {
    return [
      {
        rule: `${rule}.denied`,
        outcome: 'deny',
        message: `${label}: denied by pattern "${denied}"`,
      },
    ];
  }
  if (patterns.allow?.some((pattern) => matches(pattern, 'allow')) ?? true) return [];
  const message =
    patterns.otherwise === 'review'
      ? 'a person has to approve this name'
      : 'matches no allowed pattern';
  return [
    { rule: `${rule}.notAllowed`, outcome: patterns.otherwise, message: `${label}: ${message}` },
  ];
}

function judgeWildcards(document: PolicyDocument, request: EvaluateRequest): DecisionRule[] {
  if (document.wildcards === 'allow') return [];
  const message =
    document.wildcards === 'deny'
      ? 'wildcards are not allowed'
      : 'a person has to approve wildcards';
  return labelled(request.subjectAltName)
    .filter(({ name }) => name.type === 'dns' && name.value.startsWith('*.'))
    .map(({ label }) => ({
      rule: 'wildcards',
      outcome: document.wildcards,
      message: `${label}: ${message}`,
    }));
}

function judgeKeyType(document: PolicyDocument, { keyType }: EvaluateRequest): DecisionRule[] {
  if (document.keyTypes?.includes(keyType) ?? true) return [];
  const message = `keyType "${keyType}": allowed are ${document.keyTypes?.join(', ')}`;
  return [{ rule: 'keyTypes', outcome: 'deny', message }];
}

function judgeValidity(
  { maxValidity }: PolicyDocument,
  { validity }: EvaluateRequest,
): DecisionRule[] {
  if (maxValidity === undefined || validity <= maxValidity) return [];
  const message = `validity ${lengthOfTime(validity)}: longest allowed is ${lengthOfTime(maxValidity)}`;
  return [{ rule: 'maxValidity', outcome: 'deny', message }];
}

function judgeKeyUsages(
  { keyUsages }: PolicyDocument,
  { profile, keyUsages: used }: EvaluateRequest,
): DecisionRule[] {
  if (keyUsages === undefined) return [];
  if (used.length === 0) {
    const message = `profile "${profile}": its key usages are not known, so they cannot be allowed`;
    return [{ rule: 'keyUsages', outcome: 'deny', message }];
  }
  return used
    .filter((usage) => !keyUsages.includes(usage))
    .map((usage) => ({
      rule: 'keyUsages',
      outcome: 'deny',
      message: `keyUsage "${usage}" of profile "${profile}": not allowed`,
    }));
}

const LABELS: Readonly<Record<string, string>> = {
  dns: 'dnsNames',
  ip: 'ipAddresses',
  email: 'emailAddresses',
  uri: 'uris',
};

/** Each name with the words by which the requester knows it: type and place among the names of its type. */
function labelled(names: readonly GeneralName[]): { name: GeneralName; label: string }[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const index = seen.get(name.type) ?? 0;
    seen.set(name.type, index + 1);
    return { name, label: `${LABELS[name.type] ?? name.type}[${index}] "${name.value}"` };
  });
}

function severity(rule: DecisionRule): number {
  return SEVERITY[rule.outcome as Outcome];
}

function people(count: number): string {
  return count === 1 ? '1 person' : `${count} people`;
}
