import { runServiceProcess } from '@gigvault/host/service-process';
import { raService } from './ra.module.ts';

await runServiceProcess(raService);
