"""What every part of a manifest is made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Name = str
"""Name of a tensor, a graph or an array of a bundle."""


class Record(BaseModel):
    """A part of the manifest: immutable, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
