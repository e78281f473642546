import { runServiceProcess } from '@gigvault/host/service-process';
import { notifyService } from './notify.module.ts';

await runServiceProcess(notifyService);
