"""Requests of the page, MQTT, OPC UA and Modbus to a running station."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from semedge.core.errors import SemedgeError
from semedge.core.mark import FRAME_ID, LONGEST_NOTE, GivenMark
from semedge.core.section import Section
from semedge.core.view import Rectangle, rectangles_label
from semedge.decision.defect import Levels
from semedge.state.snapshot import camera_label, is_out_of_reach
from semedge.state.state import StationState

LARGEST_REQUEST_BYTES = 16_384
OUT_OF_REACH = (
    "It is so far above the calibration's threshold that hardly any defect can reach it, and the "
    "verdict is not inspecting; move it back."
)

Camera = Annotated[
    str | None,
    Field(default=None, description="The camera's name; needed where there are several."),
]


class LevelsRequest(Section):
    """Move the levels; one that is absent stays."""

    action: Literal["levels"]
    camera: Camera
    alarm: float | None = Field(default=None, strict=True, description="The new alarm level.")
    warn: float | None = Field(
        default=None, strict=True, description="The new warn level; null for none."
    )


class RecipeRequest(Section):
    """Switch to another recipe."""

    action: Literal["recipe"]
    camera: Camera
    recipe: str = Field(
        min_length=1, max_length=200, description="Name of a file in the folder of recipes."
    )


class RegionsRequest(Section):
    """Leave other rectangles out of a camera's frames."""

    action: Literal["regions"]
    camera: Camera
    leave_out_px: tuple[Rectangle, ...] = Field(
        description="All rectangles that are not inspected: left, top, width and height of each "
        "in the whole frame, before it is cropped.",
    )


class AcknowledgeRequest(Section):
    """Record that somebody has seen an event."""

    action: Literal["acknowledge"]
    event_id: str = Field(pattern="^[0-9a-f]{32}$", description="The event's `event_id`.")


class MarkRequest(Section):
    """Mark an alert as real or as a false alarm, or a frame as a defect that was missed."""

    action: Literal["mark"]
    event_id: str | None = Field(
        default=None, pattern="^[0-9a-f]{32}$", description="The `event_id` of the alert."
    )
    frame: str | None = Field(
        default=None, pattern=FRAME_ID, description="The frame that raised no alert."
    )
    mark: GivenMark = Field(description="What it was found to be; `none` takes the mark back.")
    note: str = Field(default="", max_length=LONGEST_NOTE, description="A note of the person.")

    @model_validator(mode="after")
    def _mark_suits_what_is_marked(self) -> MarkRequest:
        if (self.event_id is None) == (self.frame is None):
            raise ValueError("give either event_id or frame")
        if self.event_id is not None and self.mark == "missed":
            raise ValueError("an alert is real or a false-alarm, and only a frame is missed")
        if self.frame is not None and self.mark not in ("missed", "none"):
            raise ValueError("a frame that raised no alert can only be missed")
        return self


Request = LevelsRequest | RecipeRequest | RegionsRequest | AcknowledgeRequest | MarkRequest
_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="action")])


class Control(Protocol):
    """Changes of a running watch: thread-safe, and recorded in the audit trail.

    Every method raises `SemedgeError`, and leaves everything as it was, where the change cannot be
    made. `who` names the person or the interface that requests it, such as `page` or `mqtt`.
    """

    def set_levels(self, camera: str, levels: Levels, who: str) -> None:
        """Judge the camera's frames by these levels from the next one on, across restarts."""

    def set_regions(self, camera: str, rectangles: tuple[Rectangle, ...], who: str) -> float | None:
        """Leave these rectangles out of the camera's frames from the next one on.

        They stay across restarts, until the station file or a recipe names others. Returns the
        share of the last frame that is inspected then; None before the first.
        """

    def switch_recipe(self, camera: str, path: Path, who: str) -> None:
        """Judge the camera's frames by a recipe from the next one on, without losing one."""

    def recipes(self) -> list[Path]:
        """Recipe files in the station's folder of recipes, by name."""

    def acknowledge(self, event_id: str, who: str) -> None:
        """Record that somebody has seen the event."""

    def mark(self, request: MarkRequest, who: str) -> str:
        """Mark an alert or a frame, and keep the frame; a sentence about the result."""

    def reload(self, who: str) -> None:
        """Read the station file again, and apply its changes."""

    def audit_refusal(self, who: str) -> None:
        """Record a request that was refused for its wrong token."""


class RequestHandler:
    """Checks a request, carries it out, and returns a sentence about the result.

    Parameters
    ----------
    state
        The cameras and their active levels.
    control
        Carries requests out, and keeps the audit trail.
    """

    def __init__(self, state: StationState, control: Control) -> None:
        self._state = state
        self._control = control

    def recipes(self) -> list[str]:
        """Names of the recipes in the folder of recipes."""
        return [path.stem for path in self._control.recipes()]

    def audit_refusal(self, address: str) -> None:
        """Record that a request from this address had a wrong token."""
        self._control.audit_refusal(f"page: {address}")

    def handle(self, document: Any, who: str) -> str:
        """Carry out the request in a JSON document; `SemedgeError` where it is refused."""
        try:
            request = _REQUEST.validate_python(document)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in fault["loc"][1:])
            reason = fault["msg"].removeprefix("Value error, ")
            reason = reason[:1].lower() + reason[1:]
            raise SemedgeError(
                f"The request is not valid ({where + ': ' if where else ''}{reason}); correct it."
            ) from None
        if isinstance(request, LevelsRequest):
            return self._set_levels(request, who)
        if isinstance(request, RecipeRequest):
            return self._switch_recipe(request, who)
        if isinstance(request, RegionsRequest):
            return self._set_regions(request, who)
        if isinstance(request, MarkRequest):
            return self._control.mark(request, who)
        self._control.acknowledge(request.event_id, who)
        return f"Event {request.event_id} is acknowledged."

    def _set_levels(self, request: LevelsRequest, who: str) -> str:
        camera = self._camera(request.camera)
        active_setup = self._state.snapshot().cameras[camera].active_setup
        if active_setup is None:
            raise SemedgeError(
                f"{_capital(camera_label(camera))} has no levels yet; try again when it inspects."
            )
        before = active_setup.levels
        alarm = before.alarm if request.alarm is None else request.alarm
        warn = request.warn if "warn" in request.model_fields_set else before.warn
        self._control.set_levels(camera, Levels(alarm=alarm, warn=warn), who)
        warned = "no warn level" if warn is None else f"warn level {warn:g}"
        far = f" {OUT_OF_REACH}" if is_out_of_reach(alarm, active_setup.threshold) else ""
        return f"{_capital(camera_label(camera))} has alarm level {alarm:g} and {warned}.{far}"

    def _switch_recipe(self, request: RecipeRequest, who: str) -> str:
        camera = self._camera(request.camera)
        # Only a listed name is opened, so that a request cannot leave the folder.
        paths = {path.stem: path for path in self._control.recipes()}
        if request.recipe not in paths:
            known = ", ".join(paths) or "none"
            raise SemedgeError(
                f"There is no recipe {request.recipe!r}; in the folder of recipes are: {known}."
            )
        self._control.switch_recipe(camera, paths[request.recipe], who)
        return f"{_capital(camera_label(camera))} inspects by recipe {request.recipe}."

    def _set_regions(self, request: RegionsRequest, who: str) -> str:
        camera = self._camera(request.camera)
        active_setup = self._state.snapshot().cameras[camera].active_setup
        before = () if active_setup is None else active_setup.leave_out_px
        share = self._control.set_regions(camera, request.leave_out_px, who)
        inspected = "" if share is None else f"; {share:.0%} of the picture is inspected"
        return (
            f"{_capital(camera_label(camera))} leaves out {rectangles_label(request.leave_out_px)}"
            f"{inspected}. Before: {rectangles_label(before)}."
        )

    def _camera(self, name: str | None) -> str:
        known = list(self._state.snapshot().cameras)
        if name is None and len(known) == 1:
            return known[0]
        if name not in known:
            raise SemedgeError(
                f"There is no camera {name!r}; the station has {', '.join(known) or 'none'}."
            )
        return name


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
