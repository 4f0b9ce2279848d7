"""Options of learning a material."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from semedge.core.errors import SemedgeError, unknown_name

Speed = Literal["fast", "balanced", "fine"]
Switch = Literal["auto", "on", "off"]

SWITCHES = ("position", "even_light", "bank", "fine", "gray", "colour")

MAGNIFICATIONS: dict[Speed, float] = {"fast": 0.75, "balanced": 1.0, "fine": 1.25}
"""How much each frame is magnified before the network sees it; the cost grows with the square."""


@dataclass(frozen=True)
class LearnOptions:
    """Options of a detector; `auto` leaves the choice to the normal frames.

    Attributes
    ----------
    speed
        Magnification of the frames: 0.75, 1 or 1.25.
    position
        Whether each cell is compared with normal cells at its position, for objects that always
        lie alike.
    even_light
        Whether light and contrast are evened before the network sees the frame.
    bank
        Whether a bank of normal features is used beside the Gaussians, for material of several
        kinds; it needs at least ten frames.
    fine
        Whether the network's earliest output is judged too, for cracks and scratches.
    gray
        Whether brightness, contrast and sharpness are judged too, for films and smears; it needs
        at least ten frames.
    colour
        Whether colours are judged too, for stains that are as bright as the material; where not
        chosen by hand, they are judged where at least ten frames are given and nearly all of them
        have colours.
    seed
        Seed of every random choice.
    """

    speed: Speed = "balanced"
    position: Switch = "auto"
    even_light: Switch = "auto"
    bank: Switch = "auto"
    fine: Switch = "auto"
    gray: Switch = "auto"
    colour: Switch = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in SWITCHES:
            if getattr(self, name) not in get_args(Switch):
                raise SemedgeError(
                    f"The option {name} must be auto, on or off. Received: {getattr(self, name)!r}"
                )
        if self.speed not in MAGNIFICATIONS:
            raise unknown_name("There is no speed", self.speed, "choose one of", MAGNIFICATIONS)

    def settled(self, chosen: Mapping[str, object]) -> LearnOptions:
        """These options, with the choices of the previous detector in place of `auto`."""
        before: dict[str, Any] = {
            name: chosen[name]
            for name in SWITCHES
            if getattr(self, name) == "auto" and chosen.get(name) in ("on", "off")
        }
        return replace(self, **before)


AUTOMATIC = LearnOptions()
"""Every option is chosen by means of the frames."""


def parse_options(texts: Sequence[str], speed: Speed = "balanced") -> LearnOptions:
    """Options from texts such as `position=off`; `SemedgeError` where one is unknown."""
    known = {field.name for field in fields(LearnOptions)} - {"speed", "seed"}
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise SemedgeError(f"An option is NAME=VALUE, such as position=off. Received: {text!r}")
        if name not in known:
            raise unknown_name("There is no option", name, "choose one of", known)
        values[name] = value.strip()
    return LearnOptions(speed=speed, **values)  # type: ignore[arg-type]  # checked by the class
