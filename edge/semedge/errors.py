"""Errors that a user can act on: one sentence each, with the value received and the remedy."""

from __future__ import annotations


class SemedgeError(Exception):
    """Could not be done; the message is the one sentence that the user reads. Exit status 1."""

    exit_status = 1


class RefusedError(SemedgeError):
    """Refused, because the data cannot support the request. Exit status 3."""

    exit_status = 3
