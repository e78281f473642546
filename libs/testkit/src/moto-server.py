"""
moto's server, with three things that KMS does and moto 5.2.5 does not: it signs what is said to be a digest (MessageType DIGEST) as it is
instead of hashing it again, refuses a digest of the wrong length, and refuses keys that are disabled or wait for deletion.

Usage: moto-server.py <port>, with moto on PYTHONPATH. Listens on 127.0.0.1.
"""

import base64
import json
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.core.exceptions import JsonRESTError
from moto.kms.exceptions import ValidationException
from moto.kms.responses import KmsResponse
from moto.server import main

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
sign_message = KmsResponse.sign
get_public_key = KmsResponse.get_public_key


def usable_key(response):
    response._validate_key_id(response._get_param("KeyId"))
    key = response.kms_backend.describe_key(response._get_param("KeyId"))
    if key.key_state == "Enabled":
        return key
    if key.key_state == "Disabled":
        raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")
    words = "is pending deletion" if key.key_state == "PendingDeletion" else key.key_state
    raise JsonRESTError("KMSInvalidStateException", f"{key.arn} {words}.")


def sign(self):
    key = usable_key(self)
    if self._get_param("MessageType") != "DIGEST":
        return sign_message(self)
    digest = self._get_param("Message")
    algorithm = self._get_param("SigningAlgorithm")
    if algorithm not in key.signing_algorithms:
        raise ValidationException(f"Algorithm {algorithm} and key spec {key.key_spec} are incompatible.")
    hash_algorithm = HASHES[algorithm[-3:]]
    if len(digest) != hash_algorithm.digest_size:
        raise ValidationException(f"Digest is invalid length for algorithm {algorithm}.")
    prehashed = Prehashed(hash_algorithm)
    how = (ec.ECDSA(prehashed),) if algorithm.startswith("ECDSA") else (padding.PKCS1v15(), prehashed)
    signature = key.private_key.private_key.sign(digest, *how)
    return json.dumps(
        {
            "KeyId": key.arn,
            "Signature": base64.b64encode(signature).decode(),
            "SigningAlgorithm": algorithm,
        }
    )


def public_key(self):
    usable_key(self)
    return get_public_key(self)


KmsResponse.sign = sign
KmsResponse.get_public_key = public_key
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
