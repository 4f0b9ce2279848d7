"""What is left out of a camera's frames, as the page shows and edits it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, HTTPException

from semedge.state.snapshot import ActiveSetup, Inspected
from semedge.state.state import StationState
from semedge.web.history import READING


def add_regions(app: FastAPI, state: StationState) -> None:
    """Serve the rectangles of each camera; `/api/ask` changes them."""

    @app.api_route("/api/regions", methods=READING)
    def regions(camera: str) -> Any:
        known = state.snapshot().cameras.get(camera)
        if known is None or known.active_setup is None or known.last is None:
            raise HTTPException(404, "This camera has no frame yet.")
        return regions_document(known.active_setup, known.last)


def regions_document(setup: ActiveSetup, last: Inspected) -> dict[str, Any]:
    """The document that `docs/reference/interfaces.md` describes."""
    frame = last.frame
    top, _, left, _ = (0, 0, 0, 0) if frame.shown is None else frame.shown.cropped_px
    height, width = frame.shape
    return {
        "leave_out_px": setup.leave_out_px,
        "drawn": setup.is_drawn,
        "masked": last.view.leave_out_mask is not None,
        "reach_px": setup.reach_px,
        "shown_px": (left, top, width, height),
    }
