import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromPem, toPem } from '@gigvault/x509/pem';
import { stringify } from 'yaml';
import { memoryKeyKeeper } from '../src/adapters/memory-key-keeper.ts';
import type { Check } from '../src/ceremony/check.ts';
import { verifyTranscript } from '../src/ceremony/transcript.ts';
import { ceremonyVerify } from '../src/commands/ceremony-verify.ts';
import type { Plan } from '../src/plan/plan.ts';
import type { KeyKeeper } from '../src/ports/key-keeper.ts';
import type { RoomFacts } from '../src/ports/room.ts';
import type { CeremonyOrder } from '../src/sitting/ceremony-order.ts';
import { holdCeremony } from '../src/sitting/hold-ceremony.ts';
import { rehearsalPlan, rehearsalRequest } from '../src/sitting/rehearsal.ts';
import { plan as basePlan, clock, newKey, request } from './ceremony-fixture.ts';
import { type MemoryFiles, memoryFiles } from './memory-files.ts';
import { type Script, type ScriptedOperator, scriptedOperator } from './scripted-operator.ts';

/** Two of three. */
export const custody = { threshold: 2, holders: ['Ada', 'Grace', 'Edsger'] };
/** With these holders. */
export const plan: Plan = { ...basePlan, custody };
/** Of the two CAs, PEM. */
export const requests = {
  issuing: toPem('CERTIFICATE REQUEST', request('issuing', newKey())),
  services: toPem('CERTIFICATE REQUEST', request('services', newKey())),
};
/** The real one. */
export const ORDER: CeremonyOrder = {
  plan,
  planText: stringify(plan),
  custody,
  isRehearsal: false,
  request: async (kind) => requests[kind],
};
const rehearsed = rehearsalPlan(plan);
/** The same, rehearsed. */
export const REHEARSAL: CeremonyOrder = {
  ...ORDER,
  plan: rehearsed,
  planText: stringify(rehearsed),
  isRehearsal: true,
  request: (kind) => rehearsalRequest(rehearsed, kind),
};
/** A room in which nothing is to be said. */
export const QUIET: RoomFacts = {
  entropyBits: 256,
  networkUp: [],
  networkDown: [],
  swap: [],
  program: { version: '0.1.0', sha256: 'a'.repeat(64) },
  node: { version: 'v26.10.0', sha256: 'b'.repeat(64) },
};
/** What it leaves for others. */
export const BUNDLE = [
  'issuing.crt',
  'plan.yaml',
  'record.txt',
  'root.crl',
  'root.crt',
  'services.crt',
  'transcript.json',
];

/** One ceremony, with its machine and its people; processes that hold it may die. */
export class Sitting {
  readonly files = new Map<string, string>();
  readonly bundle = new Map<string, string>();
  readonly paper = new Map<string, string>();
  /** What the keeper has made and not destroyed. */
  readonly keys = new Set<string>();
  facts = QUIET;
  operator: ScriptedOperator = scriptedOperator();

  /** One process: to its end, or until `hear` throws. */
  hold(
    options: {
      readonly order?: CeremonyOrder;
      readonly script?: Script;
      readonly hear?: Parameters<typeof memoryFiles>[1];
    } = {},
  ): Promise<readonly Check[]> {
    const { order = ORDER, script, hear } = options;
    this.operator = scriptedOperator(script, this.paper);
    return holdCeremony(order, {
      operator: this.operator,
      room: { look: async () => this.facts },
      files: memoryFiles(this.files, hear),
      bundle: memoryFiles(this.bundle, hear),
      keeper: this.keeper(),
      clock,
      verify: () => verifyMemory(this.bundle, order.isRehearsal),
    });
  }

  /** Tells which keys there would be if they were in a token. */
  private keeper(): KeyKeeper {
    const keeper = memoryKeyKeeper();
    return {
      ...keeper,
      make: (made, secret, keep) =>
        keeper.make(made, secret, async (content) => {
          await keep(content);
          this.keys.add(content);
        }),
      destroy: async (content) => {
        await keeper.destroy(content);
        this.keys.delete(content);
      },
    };
  }

  get record() {
    const [root] = fromPem(this.bundle.get('root.crt') as string, 'CERTIFICATE');
    return verifyTranscript(this.bundle.get('transcript.json') as string, root as Buffer);
  }

  get steps(): string[] {
    return this.record.steps.map(({ step }) => step);
  }
}

/** As a stranger does, who has files. */
export function verifyMemory(bundle: MemoryFiles['contents'], isRehearsal: boolean): Check[] {
  const folder = mkdtempSync(join(tmpdir(), 'gigvault-bundle-'));
  try {
    for (const [name, text] of bundle) writeFileSync(join(folder, name), text);
    return ceremonyVerify(folder, { isRehearsal }, clock);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
