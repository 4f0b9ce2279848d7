"""Objects that are closed at the end of a `with`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

Resource = TypeVar("Resource", bound="Closing")


class Closing(ABC):
    """An object with a `close()`, which a `with` calls at its end, also after an error."""

    @abstractmethod
    def close(self) -> None:
        """Release what the object uses."""

    def __enter__(self: Resource) -> Resource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
