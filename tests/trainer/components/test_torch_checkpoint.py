"""Checkpoints that are read, and those that are refused."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from semedge.core.errors import SemedgeError
from semedge_trainer.components.efficientnet import find_checkpoint
from semedge_trainer.components.torch_checkpoint import MAGIC, PROTOCOL, read_torch_checkpoint


class _Execute:
    """What a hostile pickle holds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def _write(path: Path, *parts: object) -> Path:
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))
    return path


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return read_torch_checkpoint(find_checkpoint())


def test_holds_every_array(arrays: dict[str, np.ndarray]) -> None:
    assert len(arrays) == 296
    assert sum(array.size for array in arrays.values()) == 4_694_073
    assert arrays["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert arrays["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert all((array >= 0).all() for name, array in arrays.items() if name.endswith("running_var"))


def test_follows_strides(arrays: dict[str, np.ndarray]) -> None:
    """1x1 kernels are stored as channels last; read otherwise, outputs would mix."""
    for name in ("_blocks.0._project_conv.weight", "_blocks.15._expand_conv.weight"):
        assert arrays[name].flags.c_contiguous
        assert arrays[name].shape[2:] == (1, 1)


def test_a_foreign_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    victim = tmp_path / "made-by-the-pickle"
    path = _write(tmp_path / "hostile.pth", MAGIC, PROTOCOL, _Execute(victim))
    with pytest.raises(SemedgeError, match=r"hostile\.pth.*mkdir"):
        read_torch_checkpoint(path)
    assert not victim.exists()


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(find_checkpoint().read_bytes()[:1_000_000])
    with pytest.raises(SemedgeError, match=r"cut\.pth"):
        read_torch_checkpoint(path)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (17,),
        (MAGIC, PROTOCOL + 1),
        (MAGIC, PROTOCOL, {"little_endian": False}),
        (MAGIC, PROTOCOL, {"little_endian": True}, OrderedDict(weight=3), []),
    ],
)
def test_other_files_are_refused(tmp_path: Path, parts: tuple[object, ...]) -> None:
    path = _write(tmp_path / "other.pth", *parts)
    with pytest.raises(SemedgeError, match=r"other\.pth"):
        read_torch_checkpoint(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SemedgeError, match=r"none\.pth"):
        read_torch_checkpoint(tmp_path / "none.pth")
