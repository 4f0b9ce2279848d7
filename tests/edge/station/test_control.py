"""A running watch is changed from outside: no frame is lost, and who did it is on record."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from bundles import normal_frames, with_film
from faults import Fault
from numpy.typing import NDArray
from recipes import make_recipe
from scripted import ScriptedCamera
from scripted_station import Station

from semedge.cameras import Camera
from semedge.core.errors import SemedgeError
from semedge.decision.defect import DecisionSettings, Levels
from semedge.journal.journal import Journal
from semedge.station.camera_setup import SourceChoice
from semedge.station.control import StationPlan
from semedge.station.load import load_cameras
from semedge.station.watch import Watch, WatchSettings
from semedge_calibration import Calibration

NORMAL = normal_frames()[0]
FILMED = with_film(NORMAL)


def defects(station: Station) -> list[tuple[int | None, str]]:
    events = [event for event in station.collector.events if event.kind == "defect"]
    return [(event.sequence, event.phase) for event in events]


def test_levels_move_between_two_frames_and_hold_after_a_restart(station: Station) -> None:
    def move() -> NDArray:
        watch.control.set_levels("left", Levels(1e6), "page")
        return FILMED

    threshold = Calibration.from_json(station.planned.calibration.read_text()).threshold
    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, FILMED, NORMAL, move, NORMAL)
        watch.run()
        assert watch.state.snapshot().cameras["left"].active_setup.levels == Levels(1e6)
        assert defects(station) == [(0, "start"), (0, "end")]
        again = station.watch(journal, FILMED, NORMAL)
        assert again.run().counters.alerts == 0
        assert again.state.snapshot().cameras["left"].active_setup.levels == Levels(1e6)
        # As version 0.1.0 stored it: the levels stand beside the rest of the decision.
        stored = journal.setting("left", "switched")
        assert stored is not None
        assert stored["asked"]["alarm"] == threshold
        assert stored["asked"]["decision"] == {
            "frames_above": 1,
            "of_frames": 1,
            "end_after_frames": 1,
            "cool_down_s": 0.0,
            "update_every_s": 5.0,
            "smallest_um": None,
        }
        # Who asks for the file's own levels again deletes the override.
        again.control.set_levels("left", Levels(threshold), "page")
        assert station.watch(journal, FILMED, NORMAL).run().counters.alerts == 1
    ((who, camera, action, before, after), _) = station.rows(
        "SELECT who, camera, action, before, after FROM audit ORDER BY audit_id"
    )
    assert (who, camera, action) == ("page", "left", "levels")
    assert json.loads(before)["alarm"] == threshold
    assert json.loads(after)["alarm"] == 1e6
    reported = [event for event in station.collector.events if event.kind == "recipe"]
    assert [event.code for event in reported] == ["levels-changed", "levels-changed"]
    assert "page changed the setup of camera left: alarm level" in reported[0].message
    assert station.rows("SELECT threshold FROM runs")[:2] == [(threshold,), (1e6,)]


def test_an_override_gives_way_when_the_station_file_asks_for_something_new(
    station: Station,
) -> None:
    with Journal(station.journal_file) as journal:
        watch = station.watch(journal)
        watch.control.set_levels("left", Levels(1e6), "page")
        station.planned = replace(station.planned, decision=DecisionSettings(alarm=20.0))
        assert station.watch(journal, FILMED, NORMAL).run().counters.alerts == 1


@pytest.mark.fault(Fault.RECIPE)
def test_a_recipe_is_switched_to_without_losing_a_frame(station: Station) -> None:
    strict = make_recipe(station.folder / "strict.recipe", decision={"alarm": 1e6})

    def switch() -> NDArray:
        assert watch.control.recipes() == [strict]
        watch.control.switch_recipe("left", strict, "mqtt")
        return FILMED

    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, NORMAL, FILMED, switch, NORMAL, FILMED)
        summary = watch.run()
        assert summary.counters.frames_seen == summary.counters.frames_inspected == 5
        assert summary.counters.frames_lost == 0
        # The defect that went on ends with what it was judged by.
        assert defects(station) == [(1, "start"), (1, "end")]
        active_setup = watch.state.snapshot().cameras["left"].active_setup
        assert (active_setup.recipe, active_setup.recipe_version) == ("strict", 1)
        again = station.watch(journal, FILMED)
        again.run()
        assert again.state.snapshot().cameras["left"].active_setup == active_setup
    assert station.rows("SELECT who, action FROM audit") == [("mqtt", "recipe")]
    assert [row[0] for row in station.rows("SELECT recipe_sha256 IS NULL FROM runs")] == [
        1,
        0,
        1,
        0,
    ]


@pytest.mark.fault(Fault.RECIPE)
def test_a_bad_recipe_is_refused_and_the_old_one_keeps_running(station: Station) -> None:
    bad = station.folder / "bad.recipe"
    bad.write_bytes(b"no recipe")
    gone = station.folder / "gone.recipe"

    def switch() -> NDArray:
        for path, reason in ((bad, "bad.* zip "), (gone, "gone.*No such file")):
            with pytest.raises(SemedgeError, match=reason):
                watch.control.switch_recipe("left", path, "page")
        with pytest.raises(SemedgeError, match=r"'right'.* left"):
            watch.control.switch_recipe("right", bad, "page")
        with pytest.raises(SemedgeError, match="0" * 32):
            watch.control.acknowledge("0" * 32, "page")
        with pytest.raises(SemedgeError, match="--station"):
            watch.control.reload("page")
        return FILMED

    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, NORMAL, switch, NORMAL)
        assert watch.run().counters.alerts == 1
    assert station.rows("SELECT count(*) FROM audit") == [(0,)]


def test_an_override_by_a_recipe_that_changed_since_is_not_applied(
    station: Station, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_recipe(station.folder / "strict.recipe", decision={"alarm": 1e6})
    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, *[NORMAL] * 3)
        watch.control.switch_recipe("left", path, "page")
        watch.run()
        make_recipe(path, decision={"alarm": 2e6})
        assert station.watch(journal, FILMED, NORMAL).run().counters.alerts == 1
    assert f"{path} has changed" in capsys.readouterr().err


def test_a_recipe_whose_camera_cannot_be_used_is_given_up(station: Station) -> None:
    path = make_recipe(station.folder / "other.recipe", camera={"exposure_us": 100.0})

    @dataclass(frozen=True)
    class Particular(SourceChoice):
        def open(self) -> Camera:
            if self.settings.exposure_us is not None:
                raise SemedgeError("The camera takes no exposure_us; leave it out.")
            return ScriptedCamera(*scripts.pop(0))

    def switch() -> NDArray:
        watch.control.switch_recipe("left", path, "page")
        return NORMAL

    scripts = [(NORMAL, switch), (FILMED, NORMAL)]
    with Journal(station.journal_file) as journal:
        planned = replace(station.planned, camera=Particular("script"))
        cameras = load_cameras([planned])
        settings = WatchSettings(station.folder / "pictures")
        plan = StationPlan({"left": planned})
        watch = Watch(cameras, journal, [station.collector], settings, plan)
        assert watch.run().counters.frames_inspected == 4
        assert watch.state.snapshot().cameras["left"].active_setup.recipe is None
    codes = [event.code for event in station.collector.events if event.kind == "recipe"]
    assert codes == ["recipe-changed", "refused"]
    assert defects(station) == [(0, "start"), (0, "end")]


def test_the_station_file_is_read_again(station: Station) -> None:
    plans = []

    def reload() -> NDArray:
        watch.control.reload("SIGHUP")
        return FILMED

    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, NORMAL, reload, reload, reload=lambda: plans[0])
        planned = watch.control._plan.cameras["left"]
        plans.append(StationPlan({"left": replace(planned, decision=DecisionSettings(alarm=1e6))}))
        plans[0] = replace(plans[0], reload=lambda: plans[0])
        assert watch.run().counters.alerts == 0
    assert station.rows("SELECT who, action FROM audit") == [("SIGHUP", "reload")]
    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, reload=lambda: StationPlan({"right": planned}))
        with pytest.raises(SemedgeError, match=r"right.* left"):
            watch.control.reload("SIGHUP")


@pytest.mark.fault(Fault.BRICK)
def test_a_recipe_that_cannot_judge_the_last_frame_is_refused(station: Station) -> None:
    height_px = NORMAL.shape[0]
    path = make_recipe(station.folder / "short.recipe", camera={"crop_bottom_px": height_px - 18})
    gone = make_recipe(station.folder / "gone.recipe", camera={"crop_bottom_px": height_px})

    def switch() -> NDArray:
        for each in (path, gone):
            with pytest.raises(SemedgeError, match=r"x18\b|leaves nothing"):
                watch.control.switch_recipe("left", each, "page")
        return FILMED

    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, NORMAL, switch, NORMAL)
        assert watch.run().counters.frames_inspected == 3
        assert journal.setting("left", "switched") is None
    assert defects(station) == [(1, "start"), (1, "end")]


@pytest.mark.fault(Fault.BRICK)
def test_a_setup_that_fails_during_its_trial_is_given_up(station: Station) -> None:
    """The first frames that it judges are larger than any that it was tried on."""
    path = make_recipe(station.folder / "strict.recipe", decision={"alarm": 1e6})

    def switch() -> NDArray:
        watch.control.switch_recipe("left", path, "page")
        newest = watch._workers[0].loop.setup
        score = newest.detector.score

        def fails_at_the_second(image: object) -> object:
            if len(judged) == 2:
                raise RuntimeError("the runtime failed")
            judged.append(image)
            return score(image)  # type: ignore[arg-type]

        newest.detector.score = fails_at_the_second  # type: ignore[assignment]
        return FILMED

    judged: list[object] = []
    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, NORMAL, switch, NORMAL, FILMED, NORMAL)
        assert watch.run().counters.frames_inspected == 5
        assert journal.setting("left", "switched") is None
        active = watch.state.snapshot().cameras["left"].active_setup
        assert active is not None
        assert active.recipe is None
    assert len(judged) == 2
    # The frame that failed was judged by the setup before.
    assert defects(station) == [(3, "start"), (3, "end")]
    codes = [event.code for event in station.collector.events if event.kind == "recipe"]
    assert codes == ["recipe-changed", "refused"]


@pytest.mark.fault(Fault.BRICK)
def test_an_override_that_ends_start_after_start_is_dropped(
    station: Station, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_recipe(station.folder / "strict.recipe", decision={"alarm": 1e6})
    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, *[NORMAL] * 3)
        watch.control.switch_recipe("left", path, "page")
        watch.run()
        for _ in range(3):
            # As if the process died before the first frame.
            station.watch(journal).control.restore()
        assert station.watch(journal, FILMED, NORMAL).run().counters.alerts == 1
        assert journal.setting("left", "switched") is None
    assert "3 starts in a row" in capsys.readouterr().err
    codes = [event.code for event in station.collector.events if event.kind == "recipe"]
    assert codes[-1] == "not-restored"


@pytest.mark.fault(Fault.BRICK)
def test_an_override_that_fails_after_a_restart_gives_way_to_the_station_file(
    station: Station,
) -> None:
    path = make_recipe(
        station.folder / "cropped.recipe", camera={"crop_bottom_px": NORMAL.shape[0] - 40}
    )
    small = NORMAL[:-22]
    with Journal(station.journal_file) as journal:
        watch = station.watch(journal, *[NORMAL] * 3)
        watch.control.switch_recipe("left", path, "page")
        watch.run()
        assert journal.setting("left", "switched") is not None
        again = station.watch(journal, small, small, small)
        again.run()
        assert journal.setting("left", "switched") is None
        active = again.state.snapshot().cameras["left"].active_setup
        assert active is not None
        assert active.recipe is None
