import { auditService } from '@gigvault/audit/audit.module';
import { authService } from '@gigvault/auth/auth.module';
import { caService } from '@gigvault/ca/ca.module';
import { crlService } from '@gigvault/crl/crl.module';
import { enrollService } from '@gigvault/enroll/enroll.module';
import type { ServiceDefinition } from '@gigvault/host/service';
import { keymgrService } from '@gigvault/keymgr/keymgr.module';
import { notifyService } from '@gigvault/notify/notify.module';
import { ocspService } from '@gigvault/ocsp/ocsp.module';
import { policyService } from '@gigvault/policy/policy.module';
import { raService } from '@gigvault/ra/ra.module';
import type { ServiceName } from '@gigvault/rpc/service-name';

/** Every online service, in the order in which they start: nobody's worker needs a service that comes after it. */
export const SERVICES = {
  auth: authService,
  policy: policyService,
  keymgr: keymgrService,
  ca: caService,
  ra: raService,
  enroll: enrollService,
  ocsp: ocspService,
  crl: crlService,
  audit: auditService,
  notify: notifyService,
} as const satisfies Record<ServiceName, ServiceDefinition<unknown>>;
