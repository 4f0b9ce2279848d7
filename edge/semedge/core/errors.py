"""Errors that a user can act on: one sentence each, with the value received and the remedy."""

from __future__ import annotations

from collections.abc import Iterable


class SemedgeError(Exception):
    """A request that failed; the message is the one sentence that the user reads. Exit status 1."""

    exit_status = 1


class RefusedError(SemedgeError):
    """A request that is refused because the data cannot support it. Exit status 3."""

    exit_status = 3


def unknown_name(lacks: str, name: str, has: str, known: Iterable[str]) -> SemedgeError:
    """The error for a `name` that is none of the `known` ones; it suggests similar ones.

    Examples
    --------
    >>> print(unknown_name("The detector has no score", "im11", "it has", ["im1", "final_1"]))
    The detector has no score 'im11'; it has im1, final_1; did you mean im1?
    """
    from difflib import get_close_matches  # not needed until something is wrong

    names = list(known)
    near = get_close_matches(name, names, n=3)
    question = f"; did you mean {' or '.join(near)}?" if near else "."
    return SemedgeError(f"{lacks} {name!r}; {has} {', '.join(names)}{question}")
