import { networks } from '@gigvault/config/networks';
import { secretReference } from '@gigvault/config/secret';
import { z } from 'zod';
import { whyNotUrl } from './delivery/webhook-url.ts';
import { TEMPLATE_NAMES } from './notification/templates.ts';

const NAME = /^[a-z][a-z0-9-]{0,31}$/;

/** Somebody who is told by HTTP. */
const webhook = z.strictObject({
  /** `https:`; in development also `http:`. */
  url: z.url({ protocol: /^https?$/ }).max(2_000),
  /** Place of the key of its signatures, as Standard Webhooks has it: base64 of 24 to 64 octets, with or without `whsec_`. */
  secret: secretReference,
  /** PEM file of the CAs that its certificate may be of, absolute. Default: the public ones. */
  caFile: z.string().startsWith('/').optional(),
  /** Of what it is told. Default: everything. */
  templates: z.array(z.enum(TEMPLATE_NAMES)).min(1).optional(),
});

/** Section `notify` of the configuration. */
export const notifyConfig = z
  .strictObject({
    /** By name. */
    webhooks: z.record(z.string().regex(NAME, 'a name: a-z, 0-9 and dashes'), webhook).default({}),
    /** Networks that webhooks may be in although their use is special: private, loopback and the like. */
    allowedNetworks: networks.default([]),
  })
  .superRefine(({ webhooks, allowedNetworks }, context) => {
    // What the strict profile refuses besides is seen at the start.
    const rules = { development: true, allowedNetworks };
    for (const [name, { url }] of Object.entries(webhooks)) {
      const message = whyNotUrl(url, rules);
      if (message) context.addIssue({ code: 'custom', path: ['webhooks', name, 'url'], message });
    }
  })
  .prefault({});

/** The parsed section. */
export type NotifyConfig = z.infer<typeof notifyConfig>;

/** One entry of `notify.webhooks`. */
export type WebhookConfig = NotifyConfig['webhooks'][string];
