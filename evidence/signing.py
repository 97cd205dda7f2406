"""Signatures of day digests: ed25519 (RFC 8032).

What is signed is the digest behind a tag, so that a signature can't be taken for one of anything else. A public
key is written as the 64 hexadecimal digits of its 32 bytes.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_TAG = b"swept day digest 1\n"


class NotAKey(ValueError):  # noqa: N818 - says what is the case
    """Not an ed25519 key; the message says what it is instead."""


def new_key() -> bytes:
    """A new private key, as PEM."""
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Signer:
    """Signs with a private key; the key has no repr."""

    def __init__(self, pem: bytes) -> None:
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except TypeError:
            raise NotAKey("it has a password; store it without one, readable for swept alone") from None
        except ValueError:
            raise NotAKey("it is no private key in PEM") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise NotAKey("it is a key of another kind")
        self._key = key

    @property
    def public_key(self) -> bytes:
        """The 32 bytes by which anybody can check the signatures."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, digest: bytes) -> bytes:
        """The signature of a digest, 64 bytes."""
        return self._key.sign(_TAG + digest)


def is_signed(public_key: bytes, signature: bytes, digest: bytes) -> bool:
    """Whether the signature of this digest was made with the private half of the key."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _TAG + digest)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key_of(text: bytes) -> bytes:
    """The public key in a PEM, or in hexadecimal digits."""
    try:
        raw = bytes.fromhex(text.decode("ascii").strip())
        if len(raw) == 32:
            return raw
    except ValueError:
        pass
    try:
        key = serialization.load_pem_public_key(text)
    except ValueError:
        raise NotAKey("it is no public key, neither 64 hexadecimal digits nor PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise NotAKey("it is a key of another kind")
    return key.public_bytes_raw()
