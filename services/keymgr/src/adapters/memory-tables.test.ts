import { describeEncryptionTable } from '../ports/encryption-table.contract.ts';
import { describeKeyTable } from '../ports/key-table.contract.ts';
import { describeSignatureTable } from '../ports/signature-table.contract.ts';
import { memoryTables } from './memory-tables.ts';

describeKeyTable('memory', async () => {
  const { keys, events } = memoryTables();
  return { table: keys, events: async () => events.map(({ subject }) => subject) };
});

describeEncryptionTable('memory', async () => {
  const { keys, encryptions, events } = memoryTables();
  return { keys, tables: [encryptions], events: async () => events.map(({ subject }) => subject) };
});

describeSignatureTable('memory', async () => {
  const { signatures, events } = memoryTables();
  return {
    tables: [signatures],
    keyId: 'k',
    events: async () => events.map(({ subject }) => subject),
  };
});
