"""The manual says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from wiring_tables import PAGE, filled

from semedge.core.event import KINDS
from semedge.decision.drift import DRIFT_TESTS
from semedge.decision.health import Problem
from semedge.sinks.registry import AnySection

ROOT = Path(__file__).parents[3]
OPERATION = (ROOT / "docs" / "how-to" / "operation.md").read_text(encoding="utf-8")
WIRING = PAGE.read_text(encoding="utf-8")


def test_the_tables_of_wiring_are_those_of_the_code() -> None:
    assert filled(WIRING) == WIRING, "run tests/edge/wiring_tables.py"


def test_every_kind_of_sink_is_documented() -> None:
    for section in get_args(AnySection):
        (kind,) = get_args(section.model_fields["kind"].annotation)
        assert f"| `{kind}` |" in WIRING


def log_words() -> set[str]:
    code = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "edge" / "semedge").rglob("*.py")
    )
    # As `extra={"event": WORD}`, as the last argument of `_log`, and where nothing is given.
    patterns = (r'"event": "([a-z-]+)"', r'_log\(.*, "([a-z-]+)"\)', r'DEFAULT_EVENT = "([a-z-]+)"')
    return {word for pattern in patterns for word in re.findall(pattern, code)}


def test_every_word_of_the_log_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", OPERATION.split("## Logs")[1], re.MULTILINE))
    assert documented - set(KINDS) - {"event"} == log_words() - {"event"}


@pytest.mark.parametrize("code", [*get_args(Problem), *DRIFT_TESTS, *KINDS])
def test_every_code_of_health_and_drift_is_documented(code: str) -> None:
    assert f"`{code}`" in OPERATION or code == "defect"
