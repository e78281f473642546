/** What the REST API answers, as far as the command reads it. Times are RFC 3339. */

/** A certificate in a list. */
export interface CertificateItem {
  readonly serialNumber: string;
  readonly issuerId: string;
  readonly commonName: string;
  readonly names: readonly string[];
  readonly profile: string;
  readonly status: 'valid' | 'revoked' | 'expired';
  readonly notBefore: string;
  readonly notAfter: string;
  readonly revokedAt?: string;
  readonly reason?: string;
  readonly requester: string;
}

/** A certificate with its PEM texts. */
export interface CertificateDocument extends CertificateItem {
  /** Missing when it was never released. */
  readonly certificate?: string;
  readonly chain: string;
}

/** An enrolment request. */
export interface EnrolmentDocument {
  readonly requestId: string;
  readonly status: 'pending' | 'approved' | 'issued' | 'rejected' | 'denied' | 'failed';
  readonly requester: string;
  readonly requesterName?: string;
  readonly profile: string;
  readonly commonName: string;
  readonly names: readonly string[];
  readonly createdAt: string;
  readonly reason: string;
  readonly decision: {
    readonly outcome: string;
    readonly policy: string;
    readonly rules: readonly { readonly outcome: string; readonly message: string }[];
  };
  readonly approvalsNeeded: number;
  readonly votes: readonly {
    readonly actor: string;
    readonly actorName?: string;
    readonly approve: boolean;
    readonly comment: string;
    readonly at: string;
  }[];
  readonly serialNumber?: string;
  readonly certificate?: string;
  readonly chain?: string;
  readonly error?: { readonly code: string; readonly message: string };
}

/** A key of the key manager. */
export interface KeyDocument {
  readonly keyId: string;
  readonly keyType: string;
  /** The current one. */
  readonly version: number;
  /** AES and HMAC keys have none. */
  readonly publicKey?: string;
  readonly usage?: 'sign' | 'encrypt';
  readonly state: string;
  /** When it will be destroyed. */
  readonly destroyAt?: string;
  readonly createdAt: string;
  readonly owner: string;
  readonly purposes: readonly string[];
  readonly backend: string;
  /** Its private key is gone for good. */
  readonly lost?: boolean;
}

/** A key with its versions, the newest first. */
export interface KeyWithVersionsDocument extends KeyDocument {
  readonly versions: readonly {
    readonly version: number;
    readonly publicKey?: string;
    readonly createdAt: string;
    readonly backend: string;
  }[];
}

/** Who may use a key besides its owner. */
export interface GrantsDocument {
  /** Of the list: counts its changes. */
  readonly version: number;
  readonly grants: readonly { readonly user: string; readonly uses: readonly string[] }[];
}

/** The destruction that a key waits for. */
export interface DestructionDocument {
  readonly destroyAt: string;
  readonly requestedBy?: string;
  readonly approvedBy: readonly string[];
  /** Besides who asked. */
  readonly approvalsNeeded: number;
}

/** A signature of a key. */
export interface SignatureDocument {
  readonly keyId: string;
  readonly version: number;
  readonly algorithm: string;
  /** Base64. */
  readonly signature: string;
}

/** What a key encrypted. */
export interface CiphertextDocument {
  readonly keyId: string;
  readonly version: number;
  readonly algorithm: string;
  /** Base64. */
  readonly ciphertext: string;
}

/** What it was. */
export interface PlaintextDocument {
  readonly keyId: string;
  readonly version: number;
  /** Base64. */
  readonly plaintext: string;
}

/** Whether a key verifies a signature. */
export interface VerdictDocument {
  readonly valid: boolean;
  readonly version?: number;
  readonly state: string;
}

/** An issuing CA, by one of its keys. */
export interface IssuerDocument {
  readonly issuerId: string;
  /** The CA through all of its keys. */
  readonly line: string;
  readonly generation: number;
  readonly state: 'prepared' | 'current' | 'superseded' | 'retired';
  readonly subject: string;
  readonly keyType: string;
  readonly notAfter: string;
}

/** How far the rotation of a CA's key has come. */
export interface RotationDocument {
  readonly issuerId: string;
  readonly line: string;
  readonly generation: number;
  readonly state: 'requested' | IssuerDocument['state'];
  /** PEM, for the root; missing when it has signed. */
  readonly certificationRequest?: string;
  /** PEM: the root that has to sign it. A server from before does not say. */
  readonly rootCertificate?: string;
}

/** A user. */
export interface UserDocument {
  readonly userId: string;
  readonly name: string;
  readonly displayName: string;
  readonly roles: readonly string[];
  readonly status: string;
  readonly createdAt: string;
}

/** A user with the token to hand over. */
export interface InvitedUserDocument extends UserDocument {
  readonly setupToken: string;
  readonly setupTokenExpiresAt: string;
}

/** An API key, without its secret. */
export interface ApiKeyDocument {
  readonly keyId: string;
  readonly label: string;
  readonly createdAt: string;
  readonly expiresAt?: string;
  readonly lastUsedAt?: string;
  readonly revokedAt?: string;
}

/** Who the access token speaks for. */
export interface WhoamiDocument {
  readonly userId: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly tenantId: string;
}

/** Where the key manager keeps keys. What only one that answers can say is missing otherwise. */
export interface BackendDocument {
  readonly name: string;
  /** New keys are made there. */
  readonly default: boolean;
  readonly healthy: boolean;
  readonly problem?: string;
  readonly latencyMs: number;
  readonly type: string;
  readonly description?: string;
  readonly keyTypes?: readonly string[];
  readonly abilities?: readonly string[];
  /** A server from before does not say. */
  readonly uses?: readonly { readonly keyType: string; readonly uses: readonly string[] }[];
  readonly hardware?: boolean;
  readonly fips?: boolean;
}

/** What came of testing a backend. */
export interface BackendTestDocument {
  readonly keyType: string;
  readonly usage: 'sign' | 'encrypt';
  readonly generationMs: number;
  readonly useMs: number;
}

/** An entry of the audit log; the event is null where it was damaged. */
export interface AuditEntryDocument {
  readonly leafIndex: number;
  readonly event: {
    readonly producer: string;
    readonly type: string;
    /** RFC 3339, UTC. */
    readonly occurredAt: string;
    readonly actor: string;
    readonly subject: string;
  } | null;
}

/** The master keys of a backend. */
export interface MasterKeyDocument {
  readonly current: string;
  readonly earlier: readonly string[];
  readonly keys: number;
  /** Of these, the ones that are not under the current one yet. */
  readonly keysUnderEarlier: number;
}
