"""Regions are drawn while a watch runs: no frame is lost, and they stay after a restart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bundles import normal_frames, with_film
from numpy.typing import NDArray
from recipes import make_recipe
from scripted_station import Station

from semedge.cameras import CameraSettings
from semedge.core.errors import SemedgeError
from semedge.core.view import Rectangle
from semedge.journal.journal import Journal
from semedge.state.snapshot import ActiveSetup
from semedge.station.camera_setup import SourceChoice
from semedge.station.watch import Watch

NORMAL = normal_frames()[0]
FILMED = with_film(NORMAL)
FILM: Rectangle = (90, 60, 64, 64)
CORNER: Rectangle = (0, 0, 40, 20)


def active_setup(watch: Watch) -> ActiveSetup:
    found = watch.state.snapshot().cameras["left"].active_setup
    assert found is not None
    return found


def codes(station: Station) -> list[str]:
    return [event.code for event in station.collector.events if event.kind == "recipe"]


def test_what_is_drawn_is_left_out_from_the_next_frame_on_and_after_a_restart(
    station: Station,
) -> None:
    def draw() -> NDArray:
        shares.append(watch.control.set_regions("left", (FILM,), "page: R. Weiss"))
        return FILMED

    def erase() -> NDArray:
        shares.append(whole.control.set_regions("left", (), "page: R. Weiss"))
        return NORMAL

    shares: list[float | None] = []
    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, FILMED, NORMAL, draw, FILMED, FILMED)
        counters = watch.run().counters
        assert (counters.frames_seen, counters.frames_inspected, counters.alerts) == (5, 5, 1)
        assert (active_setup(watch).leave_out_px, active_setup(watch).is_drawn) == ((FILM,), True)
        again = station.watch(journal, FILMED, NORMAL)
        assert again.run().counters.alerts == 0
        assert active_setup(again) == active_setup(watch)
        whole = station.watch(journal, FILMED, erase, FILMED, NORMAL, NORMAL)
        assert whole.run().counters.alerts == 1
        assert journal.setting("left", "switched") is None
    assert shares[0] is not None
    assert 0.5 < shares[0] < 1
    assert shares[1] == 1
    ((who, camera, action, before, after), _) = station.rows(
        "SELECT who, camera, action, before, after FROM audit ORDER BY audit_id"
    )
    assert (who, camera, action) == ("page: R. Weiss", "left", "regions")
    assert [json.loads(each)["leave_out_px"] for each in (before, after)] == [[], [[*FILM]]]
    changed = [event for event in station.collector.events if event.kind == "recipe"]
    assert [event.code for event in changed] == ["regions-changed"] * 2
    assert "left out: nothing -> 64x64 px at x=90 y=60." in changed[0].message
    assert "left out: 64x64 px at x=90 y=60 -> nothing." in changed[1].message


def test_regions_that_leave_nothing_are_refused(station: Station) -> None:
    def draw() -> NDArray:
        with pytest.raises(SemedgeError, match=r"^script #0 .* nothing is left of it"):
            watch.control.set_regions("left", ((0, 0, 10_000, 10_000),), "page")
        with pytest.raises(SemedgeError, match=r"'right'.* left"):
            watch.control.set_regions("right", (FILM,), "page")
        return FILMED

    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, NORMAL, draw, NORMAL)
        assert watch.run().counters.alerts == 1
    assert station.rows("SELECT count(*) FROM audit") == [(0,)]


def test_regions_with_which_frames_cannot_be_judged_are_given_up(station: Station) -> None:
    def draw() -> NDArray:
        watch.control.set_regions("left", (FILM,), "page")
        detector = watch._workers[0].loop.setup.detector
        score = detector.score

        def fails(frame: object) -> object:
            if getattr(frame, "left_out", None) is not None:
                raise RuntimeError("the runtime failed")
            return score(frame)  # type: ignore[arg-type]

        detector.score = fails  # type: ignore[assignment]
        return FILMED

    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, NORMAL, draw, NORMAL, NORMAL)
        counters = watch.run().counters
        assert (counters.frames_inspected, counters.alerts) == (4, 1)
        assert journal.setting("left", "switched") is None
        assert not active_setup(watch).is_drawn
    assert codes(station) == ["regions-changed", "refused"]


def test_regions_of_the_station_file_that_are_new_replace_those_that_were_drawn(
    station: Station,
) -> None:
    def draw() -> NDArray:
        watch.control.set_regions("left", (FILM,), "page")
        return NORMAL

    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, draw, *[NORMAL] * 3)
        watch.run()
        camera = SourceChoice("script", settings=CameraSettings(leave_out_px=(CORNER,)))
        station.planned = replace(station.planned, camera=camera)
        again = station.watch(journal, FILMED, NORMAL)
        assert again.run().counters.alerts == 1
        assert active_setup(again).leave_out_px == (CORNER,)


def test_a_recipe_that_names_no_regions_keeps_those_that_were_drawn(
    station: Station, tmp_path: Path
) -> None:
    plain = make_recipe(station.folder / "plain.recipe")
    other = make_recipe(station.folder / "other.recipe", camera={"leave_out_px": [[*CORNER]]})

    def switch_and_draw() -> NDArray:
        watch.control.switch_recipe("left", plain, "page")
        # While the recipe is still on trial.
        watch.control.set_regions("left", (FILM,), "page")
        return FILMED

    def switch() -> NDArray:
        again.control.switch_recipe("left", other, "page")
        return NORMAL

    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, NORMAL, switch_and_draw, *[NORMAL] * 3)
        assert watch.run().counters.alerts == 0
        _, settings = watch.control.recipe_settings("left")
        assert settings == CameraSettings(leave_out_px=(FILM,))
        again = station.watch(journal, FILMED, switch, *[NORMAL] * 3)
        assert again.run().counters.alerts == 0
        setup = active_setup(again)
        assert (setup.recipe, setup.leave_out_px, setup.is_drawn) == ("other", (CORNER,), False)


def test_a_camera_is_qualified_with_what_is_left_out(station: Station) -> None:
    with Journal(station.journal_file) as journal:
        watch = station.watch(journal)
        before = watch._workers[0].loop.setup.active_setup
        assert "leave_out_px" not in before.to_document(), "as version 0.1.0 stored it"
        watch.control.set_regions("left", (FILM,), "page")
        after = watch._workers[0].loop.setup.active_setup
        assert after.to_document() == {**before.to_document(), "leave_out_px": [[*FILM]]}
