"""`semedge detectors`: every detector of the registry, and what is asked for by a wrong name."""

from __future__ import annotations

import json
import sys

import pytest

from semedge.cli import main
from semedge.core.errors import SemedgeError, unknown_name
from semedge_trainer.detectors import DETECTORS, make_detector
from semedge_trainer.detectors.base import SearchedDetector
from semedge_trainer.detectors.catalogue import catalogue


def listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    monkeypatch.setattr(sys, "argv", ["semedge", "detectors", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_all_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = {entry["name"]: entry for entry in json.loads(listed(monkeypatch, capsys, "--json"))}
    assert list(entries) == list(DETECTORS)
    table = listed(monkeypatch, capsys)
    for name, entry in entries.items():
        assert name in table
        assert entry["thesis_section"] == DETECTORS[name].thesis_section
        assert entry["edge"] == (not issubclass(DETECTORS[name], SearchedDetector))
    anogan, sencebgan = entries["anogan"], entries["sencebgan"]
    assert "500 gradient steps" in anogan["edge_refusal"]
    assert anogan["scores"] == ["inversion", "inversion_cross_entropy"]
    assert sencebgan["edge"]
    assert sencebgan["scores"][0] == "residual_surprise"
    assert sencebgan["schedules"]["appendix"] == {
        "ebgan": 40000,
        "encoder": 40000,
        "reconstruction": 40000,
    }
    assert sencebgan["scores_of_options"]["xx=true"] == ["features_xx"]


def test_every_detector_has_a_score_and_the_default_is_first() -> None:
    for entry in catalogue():
        plan = make_detector(entry.name, {}, "fast").score_plan()
        assert entry.scores
        assert len(set(entry.scores)) == len(entry.scores)
        if entry.edge_refusal is None:
            assert entry.scores[0] == plan.default
            assert set(entry.scores) == set(plan.scores)


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("im11", "it has im1, im2, comb_z; did you mean im1?"),
        ("im", "it has im1, im2, comb_z; did you mean im2 or im1?"),
        ("magic", "it has im1, im2, comb_z."),
    ],
)
def test_near_names_are_asked_for(name: str, ending: str) -> None:
    error = unknown_name("the bundle has no score", name, "it has", ["im1", "im2", "comb_z"])
    assert str(error) == f"the bundle has no score {name!r}; {ending}"


def test_an_unknown_detector_is_one_sentence() -> None:
    with pytest.raises(SemedgeError, match=r"'anogen'.* mean anogan "):
        make_detector("anogen", {}, "fast")
