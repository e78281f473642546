import { describe, expect, it } from '@jest/globals';
import { MODES, startPki } from '@gigvault/testkit/pki-process';
import { checkPki } from '@gigvault/testkit/check-pki';
import { createAcmeClient } from '@gigvault/testkit/acme-client';
import { httpClient } from '@gigvault/testkit/http-client';
import { startHttp01Responder } from '@gigvault/testkit/http-01-responder';
import { readFileSync } from 'node:fs';
describe.each(MODES)('%s', (mode) => {
  it('works', async () => {
    const pki = await startPki(mode);
    console.log(pki.startTime(), pki.errors());
    try {
      const http = httpClient(readFileSync(pki.rootFile));
      const responder = await startHttp01Responder(pki.ports.http01);
      const t0 = performance.now();
      const client = await createAcmeClient({ http, publicUrl: pki.publicUrl, responder, patience: 0 });
      console.log(await client.certificate(['a.localhost', 'b.localhost']), performance.now() - t0);
      console.log(await pki.cli('status'));
      const t1 = performance.now();
      await (await import('node:timers/promises')).setTimeout(+(process.env.HOLD??0)); console.log(await checkPki(pki), performance.now() - t1);
      console.log(await pki.stop());
      await pki.start();
      console.log(pki.startTime(), pki.errors());
      await responder.stop(); http.close();
    } finally { await pki.dispose(); }
  }, 120000);
});
