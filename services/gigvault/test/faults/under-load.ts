import { X509Certificate } from 'node:crypto';
import { type SharedPki, startAcmeClient } from '../use-pki.ts';
import { type AcmeLoad, startAcmeLoad } from './acme-load.ts';
import { type StatusProbe, startStatusProbe } from './status-probe.ts';

/** Whom a PKI serves while something breaks: ACME clients, and a relying party that asks about one certificate. */
export async function startUnderLoad(
  shared: SharedPki,
  clients: number,
): Promise<{ readonly load: AcmeLoad; readonly probe: StatusProbe }> {
  const { client, responder } = await startAcmeClient(shared);
  const chain = await client.certificate(['asked-about.localhost']);
  await responder.stop();
  const { serialNumber } = new X509Certificate(chain);
  const probe = await startStatusProbe(shared.pki, serialNumber.toLowerCase());
  try {
    return { probe, load: await startAcmeLoad(shared.pki, clients) };
  } catch (error) {
    await probe.stop();
    throw error;
  }
}
