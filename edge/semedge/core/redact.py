"""Addresses without the secrets in them."""

from __future__ import annotations

import re

IP_ADDRESS = r"(?:\[[^\]]*\]|\d{1,3}(?:\.\d{1,3}){3})(?::\d*)?(?:[/?#]|$)"
NAME = r"[\w.-]+(?:[/?#]|$)"
"""A host without a port; with one, it may be a user and a password of digits."""
USER = re.compile(rf"(?<=://)(?:[^/?#@]*@(?!.*@)|(?!{IP_ADDRESS}|{NAME}).*@)")
SECRETS = re.compile(
    r"(?i)((?:^|[?&;/_,]|%26)[\w.%-]*?(?:pass|pwd|psw|user|usr|login|token|key|secret|auth|cred|sig"
    r"|session|sid|pin|code)\w*?=)[^&;#/]*"
)
UNENCODED = re.compile(r"://[^/?#@]*:(?P<password>.*)@")
MUST_BE_ENCODED = "#/?@"


def redact(source: str) -> str:
    """A camera's address without its user and its passwords, whatever characters they have."""
    scheme, separator, _ = source.partition("://")
    if not separator:
        return source
    without_user = USER.sub("", source)
    head = len(scheme) + len(separator)
    return without_user[:head] + SECRETS.sub(r"\1***", without_user[head:])


def encoding_hint(address: str) -> str:
    """What to do about a password whose characters end the address early; empty where none do."""
    found = UNENCODED.search(address)
    if found is None or not USER.search(address):
        return ""
    if not any(letter in found["password"] for letter in MUST_BE_ENCODED):
        return ""
    return "; in a password, write # as %23, / as %2F, ? as %3F, @ as %40 and % as %25"
