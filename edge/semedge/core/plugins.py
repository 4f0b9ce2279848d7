"""Plugins: what other packages provide by entry points, such as a kind of camera."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from semedge.core.errors import SemedgeError


@dataclass(frozen=True)
class Plugins:
    """The entry points of a group; only `load` imports what a package provides.

    Attributes
    ----------
    group
        Name of the group, such as `semedge.cameras`.
    noun
        What each of them is called in errors.
    own
        Names of semedge's own, which no other package may use.
    """

    group: str
    noun: str
    own: Collection[str]

    def names(self) -> list[str]:
        """Names of what installed packages provide.

        Raises `SemedgeError` where a package uses a name that is taken.
        """
        return list(self._found())

    def package_of(self, name: str) -> str:
        """Name of the distribution that provides it."""
        return _distribution(self._found()[name])

    def load(self, name: str, kind: type) -> Any:
        """The subclass of `kind` that the entry point `name` refers to.

        Raises `SemedgeError` where it cannot be imported, or is something else.
        """
        entry_point = self._found()[name]
        package = _distribution(entry_point)
        try:
            loaded = entry_point.load()
        except Exception as error:
            raise SemedgeError(
                f"The {self.noun} {name} of the package {package} cannot be imported "
                f"({type(error).__name__}: {error}); repair or uninstall the package."
            ) from error
        if not (isinstance(loaded, type) and issubclass(loaded, kind)):
            raise SemedgeError(
                f"{entry_point.value} of the package {package} is not a subclass of "
                f"{kind.__name__}; let its entry point {name} refer to one."
            )
        return loaded

    def failure(self, name: str, doing: str, error: Exception) -> SemedgeError:
        """The error for an exception of a package that is not a `SemedgeError`."""
        return SemedgeError(
            f"The {self.noun} {name} of the package {self.package_of(name)} failed to {doing} "
            f"({type(error).__name__}: {error}); repair or update the package."
        )

    def _found(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for entry_point in entry_points(group=self.group):
            name = entry_point.name
            if name in self.own or name in found:
                other = _distribution(found[name]) if name in found else "semedge"
                raise SemedgeError(
                    f"The package {_distribution(entry_point)} provides a {self.noun} {name}, as "
                    f"{other} does; rename it or uninstall the package."
                )
            found[name] = entry_point
        return found


def _distribution(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist is not None else entry_point.module
