"""Requests to a station in MQTT messages below `set`."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import time
from collections.abc import Callable
from typing import Any

from semedge.core.errors import SemedgeError
from semedge.core.parts import reason_of
from semedge.core.timing import utc_seconds
from semedge.state.requests import LARGEST_REQUEST_BYTES, RequestHandler

logger = logging.getLogger(__name__)

REQUESTS_QUEUED = 16
REPORT_DROPPED_EVERY_S = 60.0


class MqttRequests:
    """Queues the requests of a broker, and carries them out one by one.

    Parameters
    ----------
    name
        The sink's name.
    handler
        Carries requests out.
    publish
        Publishes the answer to a request, a JSON document.
    """

    def __init__(
        self, name: str, handler: RequestHandler, publish: Callable[[str], object]
    ) -> None:
        self._name = name
        self._handler = handler
        self._publish = publish
        self._queue: queue.Queue[tuple[str, bytes, bool]] = queue.Queue(REQUESTS_QUEUED)
        self._dropped = 0
        self._report_dropped_at_s = 0.0

    def add(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Queue a message; never waits. One too many is dropped."""
        if retained and not payload:
            # Deletes a retained message.
            return
        try:
            self._queue.put_nowait((topic, payload, retained))
        except queue.Full:
            self._dropped += 1
            if time.monotonic() < self._report_dropped_at_s:
                return
            self._report_dropped_at_s = time.monotonic() + REPORT_DROPPED_EVERY_S
            logger.warning(
                f"{self._name}: too many requests at once; {self._dropped:,} were dropped so far.",
                extra={"event": "request-dropped"},
            )

    def carry_out_next(self, timeout_s: float) -> None:
        """Carry out the next request, if one comes within the timeout."""
        with contextlib.suppress(queue.Empty):
            topic, payload, retained = self._queue.get(timeout=timeout_s)
            self._answer(topic.rpartition("/")[2], payload, retained)

    def _answer(self, action: str, payload: bytes, retained: bool) -> None:
        """Carry out the request in a message, and publish the result."""
        request_id: Any = None
        try:
            try:
                document = json.loads(payload[: LARGEST_REQUEST_BYTES + 1])
            except (ValueError, RecursionError):
                raise SemedgeError("The request is not JSON; send an object.") from None
            if not isinstance(document, dict):
                raise SemedgeError("The request is not a JSON object; send one.")
            request_id = document.pop("id", None)
            if retained:
                raise SemedgeError(
                    "The request is retained, and would be carried out again at each start; "
                    "publish it without the retain flag, and delete the retained message."
                )
            _check_valid(document.pop("valid_until", None))
            message, done = self._handler.handle({**document, "action": action}, "mqtt"), True
        except SemedgeError as error:
            message, done = str(error), False
        except Exception as error:
            logger.exception(
                f"{self._name}: a request failed: {action}.", extra={"event": "request-failed"}
            )
            message = f"The request failed ({reason_of(error)}); see the station's log."
            done = False
        self._publish(
            json.dumps({"action": action, "id": request_id, "done": done, "message": message})
        )


def _check_valid(until: Any) -> None:
    """Refuse a request whose time, ISO-8601 with an offset, is over; None is always valid."""
    if until is None:
        return
    try:
        until_s = utc_seconds(until)
    except (ValueError, TypeError, AttributeError):
        raise SemedgeError(
            "valid_until must be a time such as 2026-11-24T16:30:00Z. "
            f"Received: {str(until)[:40]!r}"
        ) from None
    if time.time() > until_s:
        raise SemedgeError(f"The request was valid until {until}; send a new one.")
