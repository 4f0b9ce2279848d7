"""The page of the station file is what the file's own descriptions say."""

from __future__ import annotations

from pathlib import Path

from semedge.station.config.reference import station_reference

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "station-file.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == station_reference(), (
        "run `python -m semedge.station.config.reference > docs/reference/station-file.md`"
    )
