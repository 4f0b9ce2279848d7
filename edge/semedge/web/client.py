"""A request to the running station of a station file, by its page."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException

from semedge.core.errors import SemedgeError
from semedge.web.section import WebSection

TIMEOUT_S = 60.0
"""Longest wait for a response: a recipe's detector is loaded meanwhile."""

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
LONGEST_ANSWER_BYTES = 65_536


class NoStationError(SemedgeError):
    """No station responds at the address of the page."""


def send_request(section: WebSection, request: Mapping[str, str]) -> str:
    """Request a change; the station's sentence about the result.

    The token is the engineer's, or the operator's where there is no other. Raises `NoStationError`
    where the station cannot be reached, and `SemedgeError` where it refuses.
    """
    token = section.token or section.operator_token
    if token is None:
        raise SemedgeError(
            "The station file has no web.token, without which nothing can be changed; add one."
        )
    host = EVERYWHERE.get(section.host, section.host)
    shown = f"[{host}]" if ":" in host else host
    scheme = "https" if section.certificate else "http"
    address = f"{scheme}://{shown}:{section.port}"
    post = urllib.request.Request(
        f"{address}/api/ask",
        json.dumps(request).encode(),
        {"Authorization": f"Bearer {token.read()}", "Content-Type": "application/json"},
    )
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if section.certificate:
        handlers.append(urllib.request.HTTPSHandler(context=_tls_context(section)))
    try:
        with urllib.request.build_opener(*handlers).open(post, timeout=TIMEOUT_S) as answer:
            message = json.loads(answer.read(LONGEST_ANSWER_BYTES))["message"]
    except urllib.error.HTTPError as error:
        raise SemedgeError(_detail(error)) from None
    except (OSError, HTTPException, ValueError, KeyError) as error:
        reason = getattr(error, "reason", None) or error
        raise NoStationError(
            f"No station responds at {address} ({reason}); start it, or correct the table [web]."
        ) from None
    return str(message)


def _tls_context(section: WebSection) -> ssl.SSLContext:
    """A TLS context that accepts only the station's certificate, for any host name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(section.certificate)
    return context


def _detail(error: urllib.error.HTTPError) -> str:
    """The reason of a refusal, as the station gives it."""
    try:
        detail = str(json.loads(error.read(LONGEST_ANSWER_BYTES))["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        detail = f"The station responded with status {error.code}."
    return detail
