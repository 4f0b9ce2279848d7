"""The calibration's file: round trip, and every kind of damage."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semedge_calibration import Appearance, Calibration, CalibrationError, ScoredGrid

CALIBRATION = Calibration(
    threshold=0.1 + 0.2,
    method="tolerance",
    false_alarm_rate=0.01,
    confidence=0.95,
    proved_rate=0.0099,
    rank=2,
    groups=500,
    frames=1000,
    guarantee="With 95 % confidence, at most 1 % of normal groups of frames raise an alarm.",
    group_by="^(scene)",
    group_every_s=None,
    fields=None,
    detector_sha256="0123456789abcdef" * 4,
    grid=ScoredGrid(32, 16, (700, 1024)),
    score_name="im1",
    runtime="ai-edge-litert",
    quantiles={"0": -1.0, "0.5": 0.1, "1": 0.4},
    appearance=Appearance(0.4, 0.5, 0.9, 0.01, 0.2),
    created_at="2024-05-06T07:08:09+00:00",
    warnings=("one", "two"),
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(min_size=1)


def altered(**changes: object) -> str:
    return json.dumps({**json.loads(CALIBRATION.to_json()), **changes})


@given(
    threshold=FLOATS,
    quantiles=st.lists(FLOATS, min_size=3, max_size=3).map(sorted),
    guarantee=TEXTS,
    score_name=TEXTS,
    runtime=TEXTS,
    warnings=st.lists(st.text()).map(tuple),
    fields=st.none() | st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    group_every_s=st.none() | st.floats(1e-300, 1e300),
)
def test_round_trip_is_exact(quantiles, **changes) -> None:
    calibration = replace(
        CALIBRATION, quantiles=dict(zip(("0", "0.5", "1"), quantiles, strict=True)), **changes
    )
    assert Calibration.from_json(calibration.to_json()) == calibration


def test_the_largest_group_is_written_where_groups_differ() -> None:
    unequal = replace(CALIBRATION, largest_group=2.5)
    assert Calibration.from_json(unequal.to_json()) == unequal
    assert "largest_group" not in CALIBRATION.to_json()
    assert unequal.false_alarms_per_hour(10) == pytest.approx(900)
    assert replace(unequal, largest_group=1e6).false_alarms_per_hour(10) == 36_000


def test_conformal_has_no_confidence() -> None:
    conformal = replace(CALIBRATION, method="conformal", confidence=None)
    assert Calibration.from_json(conformal.to_json()) == conformal


def test_a_calibration_whose_threshold_is_nan_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        replace(CALIBRATION, threshold=float("nan")).to_json()


@pytest.mark.parametrize(
    ("score", "alarm"),
    [
        (0.1 + 0.2, False),
        (math.nextafter(0.1 + 0.2, 1), True),
        (0.3, False),
        (float("-inf"), False),
        (float("inf"), True),
        (float("nan"), True),
    ],
)
def test_exceeds_is_strict(score: float, alarm: bool) -> None:
    assert CALIBRATION.exceeds(score) is alarm


def test_false_alarms_per_hour() -> None:
    assert CALIBRATION.false_alarms_per_hour(10) * 24 == pytest.approx(8640)


@pytest.mark.parametrize(
    ("changes", "field", "received"),
    [
        ({"format_version": 1}, "format version", "1"),
        ({"format_version": "2"}, "format version", "'2'"),
        ({"format_version": True}, "format version", "True"),
        ({"threshold": None}, "threshold", "None"),
        ({"threshold": "0.3"}, "threshold", "'0.3'"),
        ({"threshold": True}, "threshold", "True"),
        ({"threshold": 10**400}, "threshold", "too large"),
        ({"method": "pot"}, "method", "tolerance, conformal, and is 'pot'"),
        ({"method": ["tolerance"]}, "method", "['tolerance']"),
        ({"false_alarm_rate": 0}, "false_alarm_rate", "between 0 and 1, and is 0.0"),
        ({"false_alarm_rate": 1.0}, "false_alarm_rate", "1.0"),
        ({"confidence": 1.5}, "confidence", "1.5"),
        ({"confidence": None}, "confidence is None", "tolerance"),
        ({"method": "conformal"}, "confidence is 0.95", "conformal"),
        ({"proved_rate": 0.02}, "proved_rate 0.02", "false_alarm_rate 0.01"),
        ({"rank": 0}, "rank", "at least 1, and is 0"),
        ({"rank": 501}, "rank 501", "groups 500"),
        ({"groups": 2.0}, "groups", "2.0"),
        ({"groups": 1001}, "groups 1001", "frames 1000"),
        ({"frames": True}, "frames", "True"),
        ({"frames": 10**30}, "frames", "too large"),
        ({"guarantee": ""}, "guarantee", "''"),
        ({"group_by": 3}, "group_by", "3"),
        ({"largest_group": 1}, "largest_group", "above 1, and is 1.0"),
        ({"group_every_s": -1}, "group_every_s", "above 0, and is -1.0"),
        ({"fields": [256]}, "fields", "[256]"),
        ({"fields": [256, 0]}, "fields", "[256, 0]"),
        ({"fields": {"width": 3}}, "fields", "{'width': 3}"),
        ({"detector_sha256": "ABC"}, "detector_sha256", "64 hex digits, and is 'ABC'"),
        ({"grid": None}, "grid", "None"),
        ({"grid": {"patch_px": 32}}, "grid.stride_px", "missing"),
        (
            {"grid": {"patch_px": 32, "stride_px": 0, "frame_shape": [9, 9]}},
            "grid.stride_px",
            "0",
        ),
        (
            {"grid": {"patch_px": 32, "stride_px": 8, "frame_shape": [9, 9], "x": 1}},
            "unknown",
            "['x']",
        ),
        ({"quantiles": {}}, "quantiles", "probabilities, such as 0.5"),
        ({"quantiles": {"median": 1.0}}, "quantiles", "0.5"),
        ({"quantiles": {"nan": 1.0}}, "quantiles", "0.5"),
        ({"quantiles": {"1.5": 1.0}}, "quantiles", "0.5"),
        ({"quantiles": {"0": "a"}}, "quantiles.0", "'a'"),
        ({"quantiles": {"0": 2, "1": 1}}, "quantiles", "must not fall"),
        ({"appearance": None}, "appearance", "None"),
        ({"appearance": {"lowest_mean_gray": "a"}}, "appearance.lowest_mean_gray", "'a'"),
        ({"created_at": "yesterday"}, "created_at", "ISO date, and is 'yesterday'"),
        ({"created_at": "2024-05-06T07:08:09"}, "created_at", "UTC offset, and is '2024-05-06T07"),
        ({"warnings": "none"}, "warnings", "'none'"),
        ({"warnings": [1]}, "warnings", "[1]"),
        ({"surprise": 1}, "unknown", "['surprise']"),
    ],
)
def test_damaged_field(changes: dict[str, object], field: str, received: str) -> None:
    with pytest.raises(CalibrationError) as error:
        Calibration.from_json(altered(**changes))
    message = str(error.value)
    assert field in message.partition(received)[0], message
    assert received in message
    assert "\n" not in message


@pytest.mark.parametrize("name", sorted(json.loads(CALIBRATION.to_json())))
def test_missing_field(name: str) -> None:
    document = json.loads(CALIBRATION.to_json())
    del document[name]
    with pytest.raises(CalibrationError, match=f"{name} is missing"):
        Calibration.from_json(json.dumps(document))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("[]", id="list"),
        pytest.param("null", id="null"),
        pytest.param('{"threshold": 1', id="cut"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param('{"threshold": ' + "9" * 5000 + "}", id="digits"),
        pytest.param(altered(threshold=1).replace('"threshold": 1', '"threshold": NaN'), id="nan"),
        pytest.param(
            altered(threshold=1).replace('"threshold": 1', '"threshold": 1e999'), id="overflow"
        ),
    ],
)
def test_not_a_calibration(text: str) -> None:
    with pytest.raises(CalibrationError) as error:
        Calibration.from_json(text)
    assert len(str(error.value)) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300)
@given(name=st.sampled_from(sorted(json.loads(CALIBRATION.to_json()))), value=JSON)
def test_any_value_in_any_field_is_read_or_named(name, value) -> None:
    try:
        read = Calibration.from_json(altered(**{name: value}))
    except CalibrationError:
        return
    assert Calibration.from_json(read.to_json()) == read


@settings(max_examples=300)
@given(data=st.data())
def test_a_cut_or_flipped_document_is_read_or_named(data) -> None:
    text = CALIBRATION.to_json()
    at = data.draw(st.integers(0, len(text) - 1))
    tail = data.draw(st.sampled_from(["", text[at + 1 :]]))
    try:
        read = Calibration.from_json(text[:at] + data.draw(st.text(max_size=2)) + tail)
    except CalibrationError:
        return
    assert math.isfinite(read.threshold)
