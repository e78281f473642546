import { installedVersion } from '@gigvault/host/home';
import { type AdjustableLog, createLog, type Log, type LogLevel } from '@gigvault/telemetry/log';
import type { DataDirectory } from '../bootstrap/data-directory.ts';
import type { GigvaultConfig } from '../gigvault.config.ts';

/** A log for each service, all in one file. */
export interface Logs {
  (service: string): Log;
  /** Of all of them. */
  setLevel(level: LogLevel): void;
}

/** The logs of this process. */
export function openLogs(config: GigvaultConfig, directory: DataDirectory): Logs {
  const logs = new Map<string, AdjustableLog>();
  let { level } = config.log;
  function logOf(service: string): Log {
    const there = logs.get(service);
    if (there) return there;
    const made = createLog({
      service,
      version: installedVersion(),
      level,
      destination: config.log.file ?? directory.logFile,
    });
    logs.set(service, made);
    return made;
  }
  return Object.assign(logOf, {
    setLevel(next: LogLevel) {
      level = next;
      for (const log of logs.values()) log.setLevel(next);
    },
  });
}
