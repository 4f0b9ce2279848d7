"""The whole on one machine: a defect before the camera is in all four places within a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import whole_station
from faults import Fault

LONGEST_S = 1.0

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(
        bool(whole_station.what_is_missing()), reason=whole_station.what_is_missing()
    ),
]


@pytest.mark.fault(Fault.WHOLE)
def test_a_defect_is_everywhere_within_a_second(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with whole_station.whole_station(tmp_path, rate_hz=200) as receivers:
        event, latency_s = receivers.next_defect(after=receivers.known())
        shown = receivers.page.locator(f'#events li[data-event="{event.event_id}"]')
        assert "camera" in shown.inner_text()
        assert shown.locator("img").count() == 1
    for sink, after_s in latency_s.items():
        record_property(f"from a defect's first frame to {sink}", f"{after_s:.2f} s")
    assert set(latency_s) == {"mqtt", "webhook", "opcua", "page"}
    assert all(0 < after_s < LONGEST_S for after_s in latency_s.values()), latency_s
    assert "Traceback" not in (tmp_path / "watch.log").read_text()
