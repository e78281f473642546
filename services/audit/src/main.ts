import { runServiceProcess } from '@gigvault/host/service-process';
import { auditService } from './audit.module.ts';

await runServiceProcess(auditService);
