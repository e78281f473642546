import { runServiceProcess } from '@gigvault/host/service-process';
import { crlService } from './crl.module.ts';

await runServiceProcess(crlService);
