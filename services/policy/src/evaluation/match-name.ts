import type { GeneralName } from '@gigvault/proto/ca/v1/issuance';

/**
 * Whether a pattern speaks about a subject alternative name. No regular expressions: users write these (T69).
 *
 * - `*`: every name of every type.
 * - `api.example.org`: that DNS name. `*.example.org`: every DNS name below example.org, not example.org itself.
 * - `ip:10.1.2.3`, `email:*@example.org`, `uri:https://example.org/*`: other types, `*` standing for any text.
 *
 * For `purpose` `deny`, a wildcard name is also matched when it covers the pattern: `*.example.org` is denied by `www.example.org`.
 */
export function matchName(pattern: string, name: GeneralName, purpose: 'allow' | 'deny'): boolean {
  if (pattern === '*') return true;
  const typed = /^(dns|ip|email|uri):(.*)$/s.exec(pattern);
  const type = typed?.[1] ?? 'dns';
  const text = typed?.[2] ?? pattern;
  if (type !== name.type) return false;
  if (type !== 'dns') return matchText(text, name.value);
  return matchDnsName(text.toLowerCase(), name.value.toLowerCase(), purpose);
}

function matchDnsName(pattern: string, name: string, purpose: 'allow' | 'deny'): boolean {
  if (pattern === '*' || pattern === name) return true;
  if (pattern.startsWith('*.'))
    return name.endsWith(pattern.slice(1)) && name.length >= pattern.length;
  return purpose === 'deny' && name.startsWith('*.') && parentOf(pattern) === name.slice(2);
}

function parentOf(name: string): string {
  return name.slice(name.indexOf('.') + 1);
}

/** Matches text against a pattern in which `*` stands for any text, case ignored. Linear in both for each `*`; never exponential. */
export function matchText(pattern: string, text: string): boolean {
  const parts = pattern.toLowerCase().split('*');
  const value = text.toLowerCase();
  const first = parts[0] ?? '';
  if (parts.length === 1) return value === first;
  const last = parts.at(-1) ?? '';
  if (value.length < first.length + last.length) return false;
  if (!value.startsWith(first) || !value.endsWith(last)) return false;
  let from = first.length;
  for (const part of parts.slice(1, -1)) {
    const at = value.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return from <= value.length - last.length;
}
