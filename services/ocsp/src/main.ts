import { runServiceProcess } from '@gigvault/host/service-process';
import { ocspService } from './ocsp.module.ts';

await runServiceProcess(ocspService);
