/** The services that read this service's event log. */
export const EVENT_CONSUMERS = ['audit', 'ocsp', 'crl', 'notify'] as const;
