import { benchAcme } from './acme.ts';
import { benchAudit } from './audit.ts';
import { benchCrl } from './crl.ts';
import { benchIssuance } from './issuance.ts';
import { benchKeymgr } from './keymgr.ts';
import type { Bench } from './measurement.ts';
import { benchOcsp } from './ocsp.ts';
import { benchRevocation } from './revocation.ts';
import { benchSplit } from './split.ts';
import { benchStart } from './start.ts';

/** What `npm run bench` measures, in this order; `npm run bench -- <name> …` some of it. */
export const BENCHES: Readonly<Record<string, Bench>> = {
  start: benchStart,
  issuance: benchIssuance,
  acme: benchAcme,
  split: benchSplit,
  ocsp: benchOcsp,
  crl: benchCrl,
  revocation: benchRevocation,
  audit: benchAudit,
  keymgr: benchKeymgr,
};
