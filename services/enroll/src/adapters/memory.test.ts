import { describe } from '@jest/globals';
import { accountsContract } from '../ports/accounts.contract.ts';
import { ordersContract } from '../ports/orders.contract.ts';
import { memoryAccounts } from './memory-accounts.ts';
import { memoryOrders } from './memory-orders.ts';

describe('memoryAccounts', () => {
  const accounts = memoryAccounts();
  accountsContract(() => accounts);
});

describe('memoryOrders', () => {
  const orders = memoryOrders();
  let made = 0;
  ordersContract(
    () => orders,
    async () => `account-${++made}`,
  );
});
