import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from './pki-process.ts';
import { runOrFail } from './run-program.ts';

const ZLINT = join(REPOSITORY, '.build', 'zlint');
/** Files of one call: it says some 16 kB of each, and runProgram keeps 32 MB. */
const BATCH = 500;

/** Lints that do not apply to a private CA, or to a test's names, and why. All others of all sources do. */
export const EXCLUDED_LINTS: Readonly<Record<string, string>> = {
  e_ca_country_name_missing: 'BR §7.1.2.10.2: names of public CAs; ours are what the operator says',
  e_invalid_ca_certificate_policies: 'BR §7.1.2.10.5: policies are those of the public Web PKI',
  e_sub_ca_certificate_policies_missing: 'BR §7.1.2.10.5: the same',
  e_sub_cert_cert_policy_empty: 'BR §7.1.2.7.9: the same',
  e_sub_cert_certificate_policies_missing: 'BR §7.1.2.7.9: the same',
  e_dnsname_not_valid_tld: 'BR §7.1.4.2.1: localhost and test domains are no public names',
  e_ext_san_contains_reserved_ip: 'BR §4.2.2: a private CA names private addresses',
  e_ext_san_uniform_resource_identifier_present:
    'BR §7.1.2.7.12: services are named by SPIFFE URIs',
  e_crl_next_update_invalid:
    'BR §4.9.7: an offline root renews its CRL twice a year, not every ten days',
  w_ext_subject_key_identifier_not_recommended_subscriber:
    'BR §7.1.2.7.6 would leave out what RFC 5280 §4.2.1.2 recommends',
  w_sub_cert_aia_contains_internal_names:
    'BR §7.1.2.7.7: the status server of a private CA may be inside',
  w_subject_common_name_included:
    'BR §7.1.4.3: clients of inside networks still read it; profiles decide',
};

/** The outcome of one lint. */
interface LintResult {
  readonly result: string;
  readonly details?: string;
}

/**
 * What zlint says of DER files, certificates, CRLs and OCSP responses alike: for each file the lints that warn or fail.
 * Rejects when zlint cannot parse one.
 */
export async function zlint(folder: string, files: readonly string[]): Promise<string[][]> {
  if (!existsSync(ZLINT)) throw new Error('zlint is not built: run scripts/test-deps.sh');
  const said: string[][] = [];
  for (let start = 0; start < files.length; start += BATCH) {
    const batch = files.slice(start, start + BATCH);
    const lines = (await runOrFail(ZLINT, batch, { cwd: folder })).trimEnd().split('\n');
    if (lines.length !== batch.length) throw new Error('zlint left out a file');
    said.push(...lines.map(complaints));
  }
  return said;
}

function complaints(line: string): string[] {
  const results = JSON.parse(line) as Readonly<Record<string, LintResult>>;
  return Object.entries(results)
    .filter(
      ([lint, { result }]) => /^(warn|error|fatal)$/.test(result) && !(lint in EXCLUDED_LINTS),
    )
    .map(([lint, { result, details = '' }]) => `zlint ${result} ${lint} ${details}`.trimEnd());
}
