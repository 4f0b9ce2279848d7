"""Frames that are collected: lossless, screened, interrupted, and on a full disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from learned import simulated

from semedge.core.errors import SemedgeError
from semedge.core.frame import Frame, GrayImage
from semedge.learning.collect import CollectPlan, collect_frames
from semedge.learning.frame_store import FrameStore
from semedge.learning.screening import Screening


def frames_of(images: list[GrayImage], first: int = 0, every_s: float = 1.0) -> Iterator[Frame]:
    for number, image in enumerate(images, first):
        yield Frame(image, number, 1000 + number * every_s, f"top#{number}")


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    return FrameStore(tmp_path / "good", "top")


@pytest.mark.parametrize("factor", [1, 257])
def test_frames_come_back_as_they_were(store: FrameStore, factor: int) -> None:
    images = [
        image.astype(np.uint16 if factor > 1 else np.uint8) * factor for image in simulated(3)
    ]
    collect_frames(frames_of(images), store, CollectPlan(), None)
    again = FrameStore(store.folder, "top")
    assert len(again) == 3
    for number, frame in enumerate(again):
        np.testing.assert_array_equal(frame.image, images[number])
        assert frame.image.dtype == images[number].dtype
        assert (frame.sequence, frame.captured_at_s) == (number, 1000.0 + number)
        assert frame.source == f"top#{number}"


def test_an_interrupted_collection_goes_on(store: FrameStore) -> None:
    images = list(simulated(6))
    collect_frames(frames_of(images[:3]), store, CollectPlan(), None)
    again = FrameStore(store.folder, "top")
    collect_frames(frames_of(images), again, CollectPlan(), None)
    assert [entry.sequence for entry in again.entries] == list(range(6))


def test_a_live_camera_goes_on_with_new_frames(store: FrameStore) -> None:
    images = list(simulated(6))
    collect_frames(frames_of(images[:3]), store, CollectPlan(frames=3), None)
    plan = CollectPlan(frames=6, continues=True)
    collect_frames(frames_of(images[3:]), FrameStore(store.folder, "top"), plan, None)
    assert len(FrameStore(store.folder, "top")) == 6


@pytest.mark.parametrize("torn", ['{"camera": "top", "fi', "[1]", "null"])
def test_a_torn_line_loses_one_frame(store: FrameStore, torn: str) -> None:
    collect_frames(frames_of(list(simulated(3))), store, CollectPlan(), None)
    sidecar = store.folder / "frames.jsonl"
    lines = sidecar.read_text().splitlines()
    sidecar.write_text("\n".join([*lines[:2], torn]))
    again = FrameStore(store.folder, "top")
    assert len(again) == 2
    collect_frames(frames_of(list(simulated(3))), again, CollectPlan(), None)
    assert [json.loads(line)["sequence"] for line in sidecar.read_text().splitlines()] == [0, 1, 2]


def test_a_file_that_was_deleted_counts_no_more(store: FrameStore) -> None:
    collect_frames(frames_of(list(simulated(3))), store, CollectPlan(), None)
    (store.folder / "000001.png").unlink()
    again = FrameStore(store.folder, "top")
    assert [entry.sequence for entry in again.entries] == [0, 2]
    collect_frames(frames_of(list(simulated(4))), again, CollectPlan(), None)
    last = FrameStore(store.folder, "top")
    assert [entry.file for entry in last.entries] == ["000000.png", "000002.png", "000003.png"]
    np.testing.assert_array_equal(last[2].image, simulated(4)[3])


def test_a_process_that_was_killed_before_the_first_line_goes_on(store: FrameStore) -> None:
    (store.folder / "000000.png").write_bytes(b"half a frame")
    again = FrameStore(store.folder, "top")
    collect_frames(frames_of(list(simulated(2))), again, CollectPlan(), None)
    assert len(FrameStore(store.folder, "top")) == 2


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.png").write_bytes(b"sea")
    with pytest.raises(SemedgeError, match="has files already"):
        FrameStore(tmp_path, "top")
    assert (tmp_path / "holiday.png").read_bytes() == b"sea"


def test_a_folder_of_another_camera_is_refused(store: FrameStore) -> None:
    collect_frames(frames_of(list(simulated(1))), store, CollectPlan(), None)
    with pytest.raises(SemedgeError, match="frames of top, not of side"):
        FrameStore(store.folder, "side")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SemedgeError, match=str(tmp_path)):
        FrameStore(tmp_path / "file" / "good", "top")


def test_frames_that_do_not_fit_on_the_disk_are_refused_at_once(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(300 * 2**20))
    plan = CollectPlan(frames=10_000)
    with pytest.raises(SemedgeError, match=r"300 MiB free.*549 MiB"):
        collect_frames(frames_of(list(simulated(2))), store, plan, None)
    assert len(store) == 0


def test_a_disk_that_is_full_keeps_the_frames_before(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semedge.learning.frame_store.SPARE_BYTES", -(2**40))
    random = np.random.default_rng(0)
    noise = [random.integers(0, 256, (1024, 1024), dtype=np.uint8) for _ in range(8)]
    store = FrameStore(small_disk / "good", "top")
    with pytest.raises(SemedgeError, match=r"could not be written.*No space left"):
        collect_frames(frames_of(noise), store, CollectPlan(), None)
    kept = FrameStore(small_disk / "good", "top")
    assert 1 <= len(kept) < 8
    np.testing.assert_array_equal(kept[len(kept) - 1].image, noise[len(kept) - 1])


def test_frames_are_taken_at_the_pace_that_was_asked_for(store: FrameStore) -> None:
    frames = frames_of(list(simulated(10)), every_s=0.5)
    collect_frames(frames, store, CollectPlan(every_s=2.0), None)
    assert [entry.sequence for entry in store.entries] == [0, 4, 8]


def test_collecting_ends_when_the_time_is_over(store: FrameStore) -> None:
    def endless() -> Iterator[Frame]:
        number = 0
        while True:
            yield Frame(simulated(1)[0], number, 1000.0 + number)
            number += 1

    collect_frames(endless(), store, CollectPlan(seconds=0.05), None)
    assert len(store) >= 1


def test_a_source_that_stops_names_what_it_gave(store: FrameStore) -> None:
    def stops() -> Iterator[Frame]:
        yield from frames_of(list(simulated(2)))
        raise SemedgeError("no frame came within 5 s; check that it is on.")

    with pytest.raises(SemedgeError, match=r"after 2 of 9 frames: no frame.*good.*to continue"):
        collect_frames(stops(), store, CollectPlan(frames=9), None)
    assert len(FrameStore(store.folder, "top")) == 2


class TestScreening:
    """What is left out, and why."""

    def reasons(self, images: list[GrayImage]) -> list[str]:
        screening = Screening()
        for frame in frames_of(images):
            screening.takes(frame)
        found = [*screening.left_out, *screening.unlike_the_others().values()]
        return [f"{each.source} {each.reason}" for each in found]

    def test_normal_frames_are_taken(self) -> None:
        assert self.reasons(list(simulated(10))) == []

    @pytest.mark.parametrize(
        ("spoilt", "reason"),
        [
            (np.zeros((160, 192), np.uint8), "is dark"),
            (np.full((160, 192), 255, np.uint8), "is white"),
            (np.full((160, 192), 120, np.uint8), "shows a single gray value"),
            (simulated(4)[3], "repeats the frame before it"),
            (simulated(1, 50, (100, 192))[0], "has 192x100 px, where most have 192x160 px"),
        ],
    )
    def test_frames_that_show_no_material_are_left_out(
        self, spoilt: GrayImage, reason: str
    ) -> None:
        images = list(simulated(8))
        found = self.reasons([*images[:4], spoilt, *images[4:]])
        assert len(found) == 1
        assert found[0].startswith("top#4 ")
        assert reason in found[0]

    def test_a_blurred_frame_is_left_out(self) -> None:
        import cv2

        images = list(simulated(8))
        images[2] = np.asarray(cv2.GaussianBlur(images[2], (0, 0), 6))
        (found,) = self.reasons(images)
        assert found.startswith("top#2 is out of focus")

    def test_a_camera_with_its_cap_on_ends_the_collection(self, store: FrameStore) -> None:
        def dark() -> Iterator[Frame]:
            number = 0
            while True:
                yield Frame(np.zeros((40, 40), np.uint8), number, 1000.0, f"top#{number}")
                number += 1

        with pytest.raises(SemedgeError, match=r"last 200 frames.*is dark"):
            collect_frames(dark(), store, CollectPlan(frames=5), Screening())

    def test_frames_of_an_interrupted_collection_are_looked_at(self, store: FrameStore) -> None:
        images = list(simulated(6))
        collect_frames(frames_of(images[:3]), store, CollectPlan(), None)
        again = FrameStore(store.folder, "top")
        screening = Screening()
        odd_size = simulated(1, 50, (100, 192))[0]
        collect_frames(frames_of([*images, odd_size]), again, CollectPlan(), screening)
        assert list(screening.unlike_the_others()) == [6]


def test_what_is_left_out_and_the_size_of_a_pixel_come_back(store: FrameStore) -> None:
    left_out = np.zeros((24, 32), bool)
    left_out[2:9, 4:20] = True
    image = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32)
    store.add(Frame(image, left_out=left_out, pixel_size_um=0.0035))
    store.add(Frame(image + 1, left_out=left_out))
    again = FrameStore(store.folder, "top")
    for frames in (store, again):
        assert [frame.pixel_size_um for frame in frames] == [0.0035, None]
        for frame in frames:
            np.testing.assert_array_equal(frame.left_out, left_out)
