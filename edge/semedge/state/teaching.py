"""What a page asks of the teaching of a running station."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Teaching(Protocol):
    """Learns a material from the frames of a running station; thread-safe.

    Methods raise `SemedgeError`, and leave everything as it was, where something cannot be done.
    `who` names the person, such as `page: R. Weiss`.
    """

    def document(self) -> dict[str, Any]:
        """The lesson as it stands, as `docs/wiring.md` describes it."""

    def handle(self, document: Any, who: str) -> str:
        """Carry out the request in a JSON document; a sentence about the result."""

    def image(self, number: int) -> NDArray[np.uint8] | None:
        """A collected frame with 8 bits, by its number; None where there is none."""

    def sheet(self) -> bytes | None:
        """PNG of the frames that set the threshold; None where nothing was learned."""

    def try_sample(self, content: bytes, name: str) -> dict[str, Any]:
        """The score of an image file by what was learned, and whether it alarms."""
