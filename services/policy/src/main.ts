import { runServiceProcess } from '@gigvault/host/service-process';
import { policyService } from './policy.module.ts';

await runServiceProcess(policyService);
