"""A detector's options, from the texts of `--option NAME=VALUE`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from semedge.core.errors import SemedgeError, unknown_name
from semedge_trainer.components.blocks import PATCH_PX, PATCH_SIDES_PX


@dataclass(frozen=True)
class PatchOptions:
    """Options of a detector whose networks exist for patches of both sides of 4.1.

    Attributes
    ----------
    patch_px
        Side of the patches: 32, as in appendix A, or 28, with which the thesis saw GANs collapse.
    """

    patch_px: int = field(default=PATCH_PX, metadata={"choices": PATCH_SIDES_PX})


def parse_options(options_class: type, settings: Mapping[str, str]) -> Any:
    """An options dataclass from `name=value` texts; one sentence for what does not fit."""
    known = {field.name: field for field in dataclasses.fields(options_class)}
    values: dict[str, Any] = {}
    for name, text in settings.items():
        if name not in known:
            raise unknown_name("There is no option", name, "the detector has", known)
        default = known[name].default
        values[name] = _parse_option(name, text, default, known[name].metadata.get("choices"))
    return options_class(**values)


def _parse_option(name: str, text: str, default: Any, choices: tuple[Any, ...] | None) -> Any:
    if isinstance(default, bool):
        if text.lower() in ("true", "yes", "on", "1"):
            return True
        if text.lower() in ("false", "no", "off", "0"):
            return False
        raise SemedgeError(f"Option {name} must be true or false. Received: {text!r}")
    if choices is not None:
        known = {str(choice): choice for choice in choices}
        if text in known:
            return known[text]
        raise SemedgeError(f"Option {name} must be one of {', '.join(known)}. Received: {text!r}")
    try:
        return type(default)(text)
    except ValueError as error:
        raise SemedgeError(f"Option {name} must be a number. Received: {text!r}") from error
