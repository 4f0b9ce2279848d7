"""Packages that only some stations need, imported when they are first needed."""

from __future__ import annotations

import importlib
from typing import Any

from semedge.core.errors import SemedgeError


def import_extra(module: str, extra: str, purpose: str) -> Any:
    """The module; `SemedgeError` names the extra to install where it is absent.

    Parameters
    ----------
    module
        Name to import.
    extra
        The extra of this distribution that installs it.
    purpose
        Who needs it, as the subject of the sentence.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise SemedgeError(
            f"{purpose} needs {error.name}, which is not installed here; install it with pip "
            f"install 'semedge[{extra}]'."
        ) from error
