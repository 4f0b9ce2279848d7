"""Who may change what: the tokens of the page, and the wrong ones."""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from fastapi import HTTPException, Request

logger = logging.getLogger(__name__)

Role = Literal["viewer", "operator", "engineer"]
"""A viewer reads, which needs no token unless there is one; an operator acknowledges and marks; an
engineer does everything."""

NEEDED: Mapping[str, Role] = {"acknowledge": "operator", "mark": "operator"}
"""The role that an action needs; every other action needs `engineer`."""

MOST_WRONG = 20
"""Wrong tokens of one address in a minute, after which its requests are refused unread."""

WINDOW_S = 60.0
COOKIE = "semedge"
SESSION_S = 12 * 3600.0
MOST_SESSIONS = 1_000
MOST_ADDRESSES = 1_000


@dataclass
class _Wrong:
    """Wrong tokens of one address in the current minute."""

    since_s: float
    count: int = 0


class Access:
    """Checks the tokens of requests; used by the page's event loop alone.

    Parameters
    ----------
    tokens
        The token of each role; none where nothing can be changed.
    audit
        Called with an address, for the first wrong token of a minute.

    A browser that has sent a right token gets a cookie, by which it may read, and nothing else.

    Attributes
    ----------
    refused
        Number of wrong tokens since the start.
    """

    def __init__(self, tokens: Mapping[Role, str], audit: Callable[[str], object]) -> None:
        self._tokens = dict(tokens)
        self._audit = audit
        self._wrong: dict[str, _Wrong] = {}
        self._sessions: dict[str, float] = {}
        self.refused = 0

    def check_reading(self, request: Request) -> None:
        """Refuse a request that may not read; raises `HTTPException`."""
        if "viewer" not in self._tokens:
            return
        expires_s = self._sessions.get(request.cookies.get(COOKIE, ""), 0.0)
        if time.monotonic() >= expires_s:
            self.role(request)

    def begin_session(self) -> str:
        """The value of a new cookie."""
        if len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        session = secrets.token_urlsafe(32)
        self._sessions[session] = time.monotonic() + SESSION_S
        return session

    def role(self, request: Request) -> Role:
        """The role of a request's token; raises `HTTPException` where it has none."""
        if not self._tokens:
            raise _refusal(
                403, "Nothing can be changed: the station file has no web.token; add one."
            )
        address = request.client.host if request.client else ""
        if self._is_throttled(address):
            raise _refusal(429, "Too many wrong tokens came from your address; wait a minute.")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        found: Role | None = None
        for role, token in self._tokens.items():
            # Compared as bytes in constant time, so that the duration does not reveal the token.
            if hmac.compare_digest(given.encode("utf-8", "replace"), token.encode()):
                found = role
        if scheme.lower() == "bearer" and found is not None:
            return found
        if given:
            self._count_wrong(address)
        raise _refusal(
            401,
            "The token is wrong; enter the one of the station file.",
            {"WWW-Authenticate": "Bearer"},
        )

    def check(self, role: Role, action: object) -> None:
        """Refuse an action that the role may not carry out."""
        needed = NEEDED.get(str(action), "engineer")
        if role != needed and role != "engineer":
            raise _refusal(403, f"This is the token of the {role}, and {action} needs another one.")

    def _is_throttled(self, address: str) -> bool:
        wrong = self._wrong.get(address)
        if wrong is None:
            return False
        if time.monotonic() - wrong.since_s > WINDOW_S:
            del self._wrong[address]
            return False
        return wrong.count >= MOST_WRONG

    def _count_wrong(self, address: str) -> None:
        self.refused += 1
        if address not in self._wrong:
            if len(self._wrong) >= MOST_ADDRESSES:
                del self._wrong[next(iter(self._wrong))]
            self._wrong[address] = _Wrong(time.monotonic())
            logger.warning(
                f"A request from {address} to the page has a wrong token; further ones within "
                "this minute are only counted.",
                extra={"event": "token-refused"},
            )
            self._audit(address)
        self._wrong[address].count += 1


def _refusal(status: int, detail: str, headers: Mapping[str, str] | None = None) -> HTTPException:
    # Without this the server would read and discard the body.
    return HTTPException(status, detail, {"Connection": "close", **(headers or {})})
