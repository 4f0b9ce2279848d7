"""Settings: each table of the station file is a class, which the code uses as it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from semedge.core.errors import SemedgeError

LONGEST_SECRET_BYTES = 65_536


class Section(BaseModel):
    """A table of the station file: immutable, without unknown keys.

    A key's default, bounds and description are declared in its field and nowhere else; the page
    docs/reference/station-file.md and the options of commands are generated from them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class WrittenAs:
    """Marks a field whose value has another type in the file, which the reference names."""

    type_name: str


def table_of(annotation: Any) -> type[BaseModel]:
    """The class of the table in a field of this type, which may be optional."""
    tables = (each for each in (annotation, *get_args(annotation)) if hasattr(each, "model_fields"))
    found: type[BaseModel] = next(tables)
    return found


class Secret(Section):
    """Where a password or token is stored: `{ env = "NAME" }` or `{ file = "PATH" }`.

    It is never in the station file, which many can read; only its location is ever printed.
    """

    env: str | None = Field(default=None, description="Name of the variable that holds it.")
    file: Path | None = Field(
        default=None, description="A file that holds it, which only the service's user can read."
    )

    @model_validator(mode="after")
    def _has_one_place(self) -> Secret:
        if (self.env is None) == (self.file is None):
            raise ValueError('give either { env = "NAME" } or { file = "PATH" }')
        return self

    def read(self) -> str:
        """The secret; the message of a `SemedgeError` names its location, never its content."""
        if self.file is not None:
            return _read_file(self.file)
        assert self.env is not None
        value = os.environ.get(self.env, "").strip()
        if not value:
            raise SemedgeError(
                f"The variable {self.env} holds no secret; set it where the service is started, "
                "or name a file."
            )
        return value


def _read_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            value = file.read(LONGEST_SECRET_BYTES).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SemedgeError(
            f"The secret in {path} cannot be read ({reason}); create the file with mode 0600."
        ) from None
    if mode & 0o007:
        raise SemedgeError(
            f"Everyone on this machine can access the secret in {path} (mode {mode & 0o777:04o}); "
            f"run `chmod 600 {path}`."
        )
    if not value:
        raise SemedgeError(f"The file {path} holds no secret; write it there.")
    return value
