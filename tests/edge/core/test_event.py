"""An event's document is what its schema says, and the event comes back from it."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import get_args

import jsonschema
import pytest
from events import EVENT
from hypothesis import given
from hypothesis import strategies as st

from semedge.core.event import KINDS, NOT_FIELDS, Event, Level, Phase, Region, event_schema
from semedge.core.timing import utc_seconds, utc_text

STORED = replace(EVENT, number=12)
BARE = Event(
    event_id="1f" * 16,
    kind="health",
    phase="start",
    code="no-frame",
    message="No frame came for 3 s.",
    station="line 4",
    camera="left",
    started_at_s=0.0,
    raised_at_s=0.0,
    number=1,
)


def valid(document: dict) -> None:
    jsonschema.Draft202012Validator(event_schema()).validate(document)


def test_the_schema_is_a_schema_with_every_field_described() -> None:
    schema = event_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    names = {field.name for field in fields(Event)}
    times = {"started_at", "raised_at", "captured_at"}
    timed = {
        name.removesuffix("_s") if name.removesuffix("_s") in times else name for name in names
    }
    assert set(schema["properties"]) == timed | set(NOT_FIELDS)
    assert all(entry["description"].endswith(".") for entry in schema["properties"].values())
    assert schema["properties"]["kind"]["enum"] == list(KINDS)
    assert schema["properties"]["phase"]["enum"] == list(get_args(Phase))
    assert schema["properties"]["level"]["enum"] == [*get_args(Level), None]
    region = schema["$defs"]["region"]
    assert list(region["properties"]) == [field.name for field in fields(Region)]


def test_a_document_has_its_times_in_utc() -> None:
    document = json.loads(json.dumps(STORED.to_document(), allow_nan=False))
    valid(document)
    assert document["captured_at"] == "2023-11-14T22:13:20.250000Z"
    assert document["started_at"] == "2023-11-14T22:13:20.500000Z"
    assert document["raised_at"] == "2023-11-14T22:13:20.750000Z"
    assert document["key"] == f"{'0' * 32}-12"
    assert document["peak_px"] == [40, 24]
    assert document["overlay_picture"] is None


def test_what_does_not_apply_is_null_or_empty() -> None:
    document = json.loads(json.dumps(BARE.to_document()))
    valid(document)
    assert Event.from_document(document) == BARE
    absent = {name for name, value in document.items() if value in (None, [], {})}
    assert absent >= {"level", "frame_score", "peak_px", "regions", "captured_at", "details"}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "smell"},
        {"event_id": "short"},
        {"number": 0},
        {"raised_at": "yesterday"},
        {"details": {"deep": {"er": 1}}},
        {"duration_s": -1},
        {"more": 1},
        {"regions": [{"left_px": 0}]},
    ],
)
def test_the_schema_refuses_what_is_no_event(change: dict) -> None:
    with pytest.raises(jsonschema.ValidationError):
        valid({**json.loads(json.dumps(STORED.to_document())), **change})


POINTS = st.tuples(st.integers(0, 9999), st.integers(0, 9999))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(
    time_s=st.floats(0, 4e9),
    score=FINITE,
    source=TEXTS,
    kind=st.sampled_from(KINDS),
    regions=st.lists(
        st.builds(
            Region,
            *[st.integers(0, 99)] * 2,
            *[st.integers(1, 99)] * 3,
            POINTS,
            FINITE,
        ),
        max_size=3,
    ),
    details=st.dictionaries(TEXTS, TEXTS | FINITE | st.booleans() | st.none(), max_size=3),
)
def test_an_event_comes_back_from_its_document(
    time_s: float, score: float, source: str, kind: str, regions: list, details: dict
) -> None:
    original = replace(
        STORED,
        captured_at_s=time_s,
        frame_score=score,
        source=source,
        kind=kind,
        regions=tuple(regions),
        details=details,
    )
    document = json.loads(json.dumps(original.to_document()))
    valid(document)
    again = Event.from_document(document)
    assert again.captured_at_s == pytest.approx(time_s, abs=1e-6)
    assert replace(again, captured_at_s=time_s) == original


def test_times_are_written_to_the_microsecond() -> None:
    assert utc_text(0.000001) == "1970-01-01T00:00:00.000001Z"
    assert utc_seconds("1970-01-01T00:00:00.000001Z") == 0.000001
