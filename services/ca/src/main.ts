import { runServiceProcess } from '@gigvault/host/service-process';
import { caService } from './ca.module.ts';

await runServiceProcess(caService);
