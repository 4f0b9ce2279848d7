"""Events as HTTP requests."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from semedge.core.errors import SemedgeError
from semedge.core.event import Event
from semedge.core.optional import import_extra
from semedge.core.section import Secret
from semedge.core.version import __version__
from semedge.sinks.base import DeliveryError, RejectedError, Sink
from semedge.sinks.section import SinkSection

LONGEST_WISH_S = 3600.0
"""Longest pause that a receiver may wish."""
NEVER_TAKEN = (400, 413, 415, 422)
"""Statuses that reject this event alone; after any other, the event is sent again."""


class WebhookSection(SinkSection):
    """`[sinks.NAME]` with `kind = "webhook"`: a POST of each event's JSON document."""

    kind: Literal["webhook"] = Field(description="The word `webhook`.")
    url: str | None = Field(
        default=None, description="Where events are sent to, http:// or https://."
    )
    secret_url: Secret | None = Field(
        default=None,
        description="The address, as a secret, where anyone who has it can post there.",
    )
    token: Secret | None = Field(default=None, description="Sent as `Authorization: Bearer`.")
    signing_key: Secret | None = Field(
        default=None,
        description="Signs the body: `X-Semedge-Signature: sha256=` and its HMAC in hexadecimal.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="Certificates to check the receiver's with; by default the system's.",
    )
    proxy: str | None = Field(default=None, description="Address of an HTTP proxy.")
    secret_proxy: Secret | None = Field(
        default=None, description="The same as a secret, where it has a user and a password."
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="Longest time of one request, from start to end."
    )

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "http://absent")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the address must begin with http:// or https:// and a host")
        if parts.password is not None:
            raise ValueError("a password does not belong here; use token or secret_url")
        return url

    @field_validator("proxy")
    @classmethod
    def _has_no_password(cls, proxy: str | None) -> str | None:
        if proxy is not None and urlsplit(proxy).password is not None:
            raise ValueError("a password does not belong here; use secret_proxy")
        return proxy

    def open(self, name: str) -> Sink:
        """The sink."""
        return WebhookSink(name, self)


class WebhookSink:
    """Posts each event, with its key as `Idempotency-Key`; it is delivered with any 2xx status.

    Redirects are not followed: they would carry the token to another host.
    """

    def __init__(self, name: str, section: WebhookSection) -> None:
        self.name = name
        if (section.url is None) == (section.secret_url is None):
            raise SemedgeError(
                f"The webhook {name} needs one address; give either url or secret_url."
            )
        self._httpx = import_extra("httpx", "webhook", "A webhook")
        self._url = section.url or (section.secret_url.read() if section.secret_url else "")
        self._where = urlsplit(self._url).hostname or "its address"
        self._key = section.signing_key.read().encode() if section.signing_key else None
        self._timeout_s = section.timeout_s
        if section.proxy is not None and section.secret_proxy is not None:
            raise SemedgeError(f"The webhook {name} has both proxy and secret_proxy; give one.")
        proxy = section.secret_proxy.read() if section.secret_proxy else section.proxy
        headers = {"User-Agent": f"semedge/{__version__}", "Content-Type": "application/json"}
        if section.token is not None:
            headers["Authorization"] = f"Bearer {section.token.read()}"
        self._loop = asyncio.new_event_loop()
        self._client = self._httpx.AsyncClient(
            headers=headers,
            timeout=section.timeout_s,
            verify=_tls_context(section.ca_file),
            proxy=proxy,
            trust_env=False,
        )

    def deliver(self, event: Event) -> None:
        """Post the event."""
        body = json.dumps(event.to_document(), allow_nan=False).encode()
        headers = {"Idempotency-Key": event.key}
        if self._key is not None:
            digest = hmac.new(self._key, body, hashlib.sha256).hexdigest()
            headers["X-Semedge-Signature"] = f"sha256={digest}"
        try:
            status, given = self._loop.run_until_complete(
                asyncio.wait_for(self._post(body, headers), self._timeout_s)
            )
        except (TimeoutError, asyncio.TimeoutError):
            raise DeliveryError(
                f"{self._where} did not answer within {self._timeout_s:g} s"
            ) from None
        except (self._httpx.HTTPError, self._httpx.InvalidURL) as error:
            # The text of the error may contain the address, which may be a secret.
            raise DeliveryError(f"{self._where}: {_reason(error)}") from None
        if 200 <= status < 300:
            return
        kind = RejectedError if status in NEVER_TAKEN else DeliveryError
        text = f"{self._where} answered {status}"
        if 300 <= status < 400 and (target := urlsplit(given.get("location", "")).hostname):
            text += f" and refers to an address on {target}; give that one, if it is right"
        raise kind(text, _wished_s(given.get("retry-after", "")))

    def close(self) -> None:
        """Close the connection."""
        self._loop.run_until_complete(self._client.aclose())
        self._loop.close()

    async def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, Mapping[str, str]]:
        """Status and headers of the response, whose body is not read."""
        async with self._client.stream(
            "POST", self._url, content=body, headers=headers
        ) as response:
            return response.status_code, response.headers


def _tls_context(ca_file: Path | None) -> Any:
    """The TLS context that checks the receiver's certificate."""
    import ssl

    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise SemedgeError(
            f"The certificates {ca_file} cannot be used ({error}); give a PEM file."
        ) from error


def _wished_s(retry_after: str) -> float:
    """Seconds of the header Retry-After, which has them or a date; at most `LONGEST_WISH_S`."""
    try:
        wished_s = float(retry_after)
    except ValueError:
        try:
            wished_s = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(max(0.0, wished_s), LONGEST_WISH_S) if math.isfinite(wished_s) else 0.0


def _reason(error: Exception) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None or cause.__context__ is not None:
        cause = cause.__cause__ or cause.__context__ or cause
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return type(error).__name__
