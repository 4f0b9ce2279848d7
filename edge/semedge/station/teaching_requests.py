"""Requests of the page's tab Teach."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from semedge.core.errors import SemedgeError
from semedge.core.section import Section

LEAST_FRAMES = 2
MOST_FRAMES = 5_000


class CollectRequest(Section):
    """Begin a lesson: collect frames of a camera."""

    action: Literal["collect"]
    camera: str | None = Field(default=None, max_length=60)
    name: str = Field(max_length=60)
    frames: int = Field(ge=LEAST_FRAMES, le=MOST_FRAMES)
    every_s: float = Field(default=0.0, ge=0, le=3600)


class ContinueRequest(Section):
    """Collect further frames of the lesson, up to this number."""

    action: Literal["continue"]
    frames: int = Field(ge=LEAST_FRAMES, le=MOST_FRAMES)


class ThrowOutRequest(Section):
    """Leave frames out of what is learned, or take them back."""

    action: Literal["throw-out"]
    frames: tuple[int, ...] = Field(min_length=1, max_length=MOST_FRAMES)
    back: bool = False


class LearnRequest(Section):
    """Learn from the frames that were collected."""

    action: Literal["learn"]
    false_alarm_rate: float = Field(default=0.01, gt=0, lt=1)
    accept_weaker: bool = False


class AgainRequest(Section):
    """Begin a lesson from what was marked: learn the camera's recipe again."""

    action: Literal["again"]
    camera: str | None = Field(default=None, max_length=60)


class StepRequest(Section):
    """Stop to collect or to learn, save the recipe, or end the lesson and delete its frames."""

    action: Literal["stop", "save", "discard"]


TeachingRequest = (
    CollectRequest | AgainRequest | ContinueRequest | ThrowOutRequest | LearnRequest | StepRequest
)
_REQUEST: TypeAdapter[TeachingRequest] = TypeAdapter(
    Annotated[TeachingRequest, Field(discriminator="action")]
)


def parse_teaching_request(document: Any) -> TeachingRequest:
    """The request in a JSON document; `SemedgeError` where it is not valid."""
    try:
        return _REQUEST.validate_python(document)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"][1:])
        reason = fault["msg"][:1].lower() + fault["msg"][1:]
        raise SemedgeError(
            f"The request is not valid ({where + ': ' if where else ''}{reason}); correct it."
        ) from None
