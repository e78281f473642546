import { runServiceProcess } from '@gigvault/host/service-process';
import { authService } from './auth.module.ts';

await runServiceProcess(authService);
