import type { SecretReference } from '@gigvault/config/secret';

/** A secret's place, taken apart. */
export interface SecretPlace {
  readonly reference: SecretReference;
  readonly scheme: 'vault' | 'aws-sm' | 'aws-ssm';
  /** What stands behind `scheme://`, without what follows. */
  readonly name: string;
  /** By its number or its id; undefined for the latest. */
  readonly version: string | undefined;
  /** Secrets Manager's word for a version, as AWSPREVIOUS. */
  readonly stage: string | undefined;
  /** The member of it, when it has several. */
  readonly field: string | undefined;
}

const PARTS = /^(vault|aws-sm|aws-ssm):\/\/([^?#]+)(?:\?(version|stage)=([^#]+))?(?:#(.+))?$/;

/** The parts of a reference that is not to this machine. */
export function placeOf(reference: SecretReference): SecretPlace {
  const [, scheme, name = '', parameter, value, field] = PARTS.exec(reference) ?? [];
  return {
    reference,
    scheme: scheme as SecretPlace['scheme'],
    name,
    version: parameter === 'version' ? value : undefined,
    stage: parameter === 'stage' ? value : undefined,
    field,
  };
}
