import { runServiceProcess } from '@gigvault/host/service-process';
import { keymgrService } from './keymgr.module.ts';

await runServiceProcess(keymgrService);
