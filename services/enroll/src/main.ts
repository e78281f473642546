import { runServiceProcess } from '@gigvault/host/service-process';
import { enrollService } from './enroll.module.ts';

await runServiceProcess(enrollService);
