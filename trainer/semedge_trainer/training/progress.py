"""What a training shows and logs."""

from __future__ import annotations

import csv
import io
import logging
import sys
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from semedge.core.closing import Closing
from semedge.core.files import write_atomically

logger = logging.getLogger(__name__)

LOG_EVERY = 10
SAY_EVERY_S = 30.0


class StageLog(Closing):
    """Losses of one stage: a CSV file, TensorBoard, and a bar on a terminal.

    Where stderr is no terminal, a line every half a minute takes the bar's place.

    Parameters
    ----------
    folder
        The run folder.
    stage_name, steps
        The stage and its length.
    picture_every
        Steps between pictures.
    """

    def __init__(self, folder: Path, stage_name: str, steps: int, picture_every: int) -> None:
        self.picture_every = picture_every
        self._stage_name = stage_name
        self._steps = steps
        self._path = folder / "logs" / f"{stage_name}.csv"
        self._tensorboard_folder = str(folder / "tensorboard" / stage_name)
        self._started_s = time.monotonic()
        self._said_s = self._started_s
        self._first_step = 0
        self._bar: Any = None

    def start(self, step: int) -> None:
        """Open the files; rows of steps that are trained again are dropped."""
        self._first_step = step
        self._started_s = time.monotonic()
        self._drop_rows_after(step)
        self._file = self._path.open("a", newline="")
        self._writer = tf.summary.create_file_writer(self._tensorboard_folder)
        if sys.stderr.isatty():
            self._bar = _open_bar(self._stage_name, self._steps, step)

    def record(self, step: int, losses: dict[str, float]) -> None:
        """Take the losses of one step."""
        if step % LOG_EVERY == 0 or step == self._steps:
            if self._file.tell() == 0:
                csv.writer(self._file).writerow(["step", "seconds", *losses])
            seconds = time.monotonic() - self._started_s
            values = [f"{value:.6g}" for value in losses.values()]
            csv.writer(self._file).writerow([step, f"{seconds:.1f}", *values])
            self._file.flush()
            with self._writer.as_default(step):
                for name, value in losses.items():
                    tf.summary.scalar(name, value)
        text = "  ".join(f"{name} {value:.3f}" for name, value in losses.items())
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=step, losses=text)
        elif time.monotonic() - self._said_s > SAY_EVERY_S or step == self._steps:
            self._said_s = time.monotonic()
            rate = (step - self._first_step) / (self._said_s - self._started_s)
            left_s = (self._steps - step) / rate
            logger.info(f"{self._stage_name} {step}/{self._steps}, {left_s:.0f} s left: {text}")

    def close(self) -> None:
        """Close the files, and take the bar off the screen."""
        self._file.close()
        self._writer.close()
        if self._bar is not None:
            self._bar.stop()

    def _drop_rows_after(self, step: int) -> None:
        rows_before = ""
        if self._path.exists():
            rows = list(csv.reader(io.StringIO(self._path.read_text())))
            buffer = io.StringIO()
            csv.writer(buffer).writerows(
                row for row in rows if row and (row[0] == "step" or int(row[0]) <= step)
            )
            rows_before = buffer.getvalue()
        write_atomically(self._path, rows_before.encode())


def _open_bar(stage_name: str, steps: int, step: int) -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[losses]}"),
        console=Console(stderr=True),
    )
    bar.add_task(stage_name, total=steps, completed=step, losses="")
    bar.start()
    return bar
