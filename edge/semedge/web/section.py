"""The page's table in the station file."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from semedge.core.section import Secret, Section


class WebSection(Section):
    """`[web]`: the live page, where the file has this table."""

    host: str = Field(
        default="127.0.0.1",
        description="Address that it listens on; 0.0.0.0 opens the page to the whole network.",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="Port that it listens on.")
    token: Secret | None = Field(
        default=None,
        description="Token that a change requires; without one, nothing can be changed.",
    )
    viewer_token: Secret | None = Field(
        default=None,
        description="Token that reading requires too; by default anyone who can reach the page "
        "reads it. The other tokens may read as well.",
    )
    operator_token: Secret | None = Field(
        default=None,
        description="Token of an operator, who may acknowledge and mark events, and no more.",
    )
    names: tuple[str, ...] = Field(
        default=(),
        description="Further host names of the page, such as that of a proxy; a page that listens "
        "on the machine itself, or that has names here, refuses all others.",
    )
    certificate: Path | None = Field(
        default=None, description="Certificate of the page, for https; a PEM file."
    )
    private_key: Path | None = Field(default=None, description="The key of that certificate.")
