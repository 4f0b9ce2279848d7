"""The one way to declare settings: a table of the station file, which is what the code works by."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from semedge.core.errors import SemedgeError

LONGEST_SECRET_BYTES = 65_536


class Section(BaseModel):
    """A table of the file: immutable, and no key that is not known.

    A key's default, bounds and description stand in its field and nowhere else; the page
    docs/station-file.md and the options of commands are made from them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class WrittenAs:
    """Marks a field whose value is of another type in the file, which is named for people."""

    type_name: str


def table_of(annotation: Any) -> type[BaseModel]:
    """The table that a field of this type holds, whether it may be absent or not."""
    tables = (each for each in (annotation, *get_args(annotation)) if hasattr(each, "model_fields"))
    found: type[BaseModel] = next(tables)
    return found


class Secret(Section):
    """Where a password or token is: `{ env = "NAME" }` or `{ file = "PATH" }`, never in the file.

    The station file is read by many; what is printed of it names the place alone.
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
        """The secret; `SemedgeError` says where it was looked for, never what was found."""
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
            f"The secret in {path} cannot be read ({reason}); make the file, with mode 0600."
        ) from None
    if mode & 0o007:
        raise SemedgeError(
            f"Everyone on this machine can use the secret in {path} (mode {mode & 0o777:04o}); run "
            f"`chmod 600 {path}`."
        )
    if not value:
        raise SemedgeError(f"The file {path} holds no secret; write it there.")
    return value
