"""Ed25519 signatures of files: `NAME.sig` beside a file shows who made it."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.files import write_atomically
from semedge.core.optional import import_extra

PURPOSE = b"semedge file, SHA-256: "
"""Precedes the digest that is signed, so that no other signature of the key can be used here."""

LONGEST_SIGNATURE_BYTES = 1_000


def signature_of(path: Path) -> Path:
    """Path of a file's signature."""
    return path.with_name(f"{path.name}.sig")


def sign(path: Path, sha256: str, private_key: Path) -> Path:
    """Sign a file with this digest, and return the path of the signature."""
    key = _read_key(private_key, "load_pem_private_key", "Ed25519PrivateKey", password=None)
    content = base64.b64encode(key.sign(PURPOSE + sha256.encode())) + b"\n"
    write_atomically(signature_of(path), content)
    return signature_of(path)


def verify_signature(path: Path, sha256: str, public_key: Path) -> None:
    """Check the signature of a file with this digest; `SemedgeError` where it is not by the key."""
    key = _read_key(public_key, "load_pem_public_key", "Ed25519PublicKey")
    file = signature_of(path)
    remedy = f"sign {path.name} with `semedge recipe sign`, or take it from a source that you trust"
    try:
        with file.open("rb") as opened:
            signature = base64.b64decode(opened.read(LONGEST_SIGNATURE_BYTES), validate=False)
    except (OSError, binascii.Error) as error:
        reason = getattr(error, "strerror", None) or "it is not base64"
        raise SemedgeError(
            f"{path} must be signed, and its signature {file.name} cannot be read ({reason}); "
            f"{remedy}."
        ) from error
    invalid = import_extra("cryptography.exceptions", "signing", "A signature").InvalidSignature
    try:
        key.verify(signature, PURPOSE + sha256.encode())
    except invalid:
        raise SemedgeError(
            f"The signature {file} was not made for {path.name} with the key of {public_key}; "
            f"{remedy}."
        ) from None


def _read_key(path: Path, loader: str, kind: str, **options: Any) -> Any:
    serialization = import_extra(
        "cryptography.hazmat.primitives.serialization", "signing", "A signature"
    )
    ed25519 = import_extra(
        "cryptography.hazmat.primitives.asymmetric.ed25519", "signing", "A signature"
    )
    try:
        key = getattr(serialization, loader)(path.read_bytes(), **options)
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or "it is not an unencrypted PEM file of a key"
        raise SemedgeError(
            f"The key {path} cannot be read ({reason}); make one with "
            "`openssl genpkey -algorithm ed25519`."
        ) from error
    if not isinstance(key, getattr(ed25519, kind)):
        raise SemedgeError(
            f"The key {path} is not an Ed25519 key; make one with "
            "`openssl genpkey -algorithm ed25519`."
        )
    return key
