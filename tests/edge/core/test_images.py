"""Image files come in as they are: exact, gray, in order, or with one sentence."""

from __future__ import annotations

import contextlib
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from semedge.core.errors import SemedgeError
from semedge.core.images import list_images, read_image, read_mask

RANDOM = np.random.default_rng(5)


def noise(dtype: type, *shape: int) -> NDArray:
    return RANDOM.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def png_of_size(width: int, height: int) -> bytes:
    """A gray PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


def half(suffix: str) -> bytes:
    """A file that lost its second half."""
    return cv2.imencode(suffix, noise(np.uint8, 64, 64))[1].tobytes()[:2000]


END_OF_JPEG = b"\xff\xd9"
LIBJPEG = "Corrupt JPEG data"


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_comes_back_exactly(tmp_path: Path, suffix: str, dtype: type) -> None:
    image = noise(dtype, 37, 53)
    path = tmp_path / f"image{suffix}"
    cv2.imwrite(str(path), image)
    read = read_image(path)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_colour_becomes_luminance_of_the_same_depth(
    tmp_path: Path, dtype: type, channels: int
) -> None:
    image = noise(dtype, 20, 30, channels)
    path = tmp_path / "colour.png"
    cv2.imwrite(str(path), image)
    read = read_image(path)
    luminance = image[..., :3].astype(float) @ [0.114, 0.587, 0.299]
    assert read.dtype == dtype
    np.testing.assert_allclose(read, luminance, atol=2.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int32])
def test_other_pixel_types_are_refused(tmp_path: Path, dtype: type) -> None:
    path = tmp_path / "measured.tif"
    cv2.imwrite(str(path), np.ones((8, 9), dtype))
    with pytest.raises(SemedgeError, match=rf"measured\.tif .*{np.dtype(dtype)}"):
        read_image(path)


NO_IMAGE = "cannot be decoded as an image; save it as PNG or TIFF."
DAMAGED = "is damaged ({}); copy it again or record it again."


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", NO_IMAGE),
        (b"no picture", NO_IMAGE),
        (half(".png"), DAMAGED.format("it ends early")),
        (half(".tif"), DAMAGED.format("it has no page")),
        (half(".bmp"), NO_IMAGE),
        (half(".jpg") + END_OF_JPEG, DAMAGED.format(f"{LIBJPEG}: premature end of data segment")),
        (png_of_size(100_000, 100_000), DAMAGED.format("it ends early")),
    ],
    ids=["empty", "text", "half a PNG", "half a TIFF", "half a BMP", "half a JPEG", "100,000 px"],
)
def test_what_is_no_image_is_named_in_one_sentence_and_nothing_beside_it(
    tmp_path: Path, content: bytes, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(SemedgeError) as caught:
        read_image(path)
    assert str(caught.value) == f"{path} {sentence}"
    assert capfd.readouterr() == ("", "")


def test_a_line_scan_picture_that_is_too_long_is_refused_by_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    path.write_bytes(png_of_size(2048, 2_000_000) + end)
    with pytest.raises(SemedgeError, match=r"2,048x2,000,000 px, and at most 1,048,576 px a side"):
        read_image(path)


HEADS = [
    cv2.imencode(suffix, noise(np.uint8, 4, 4))[1].tobytes()[:40] for suffix in (".png", ".tif")
]


@given(content=st.tuples(st.sampled_from([b"", *HEADS]), st.binary(max_size=200)).map(b"".join))
def test_any_bytes_give_an_image_or_a_sentence(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.png"
    path.write_bytes(content)
    with contextlib.suppress(SemedgeError):
        assert read_image(path).ndim == 2


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(SemedgeError, match=r"folder\.png .*\(Is a directory\)"):
        read_image(tmp_path / "folder.png")
    with pytest.raises(SemedgeError, match=r"absent\.png .*\(No such file"):
        read_image(tmp_path / "absent.png")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("value", [255, 132])
def test_a_mask_is_whatever_is_not_black(tmp_path: Path, channels: int, value: int) -> None:
    truth = np.zeros((40, 50), bool)
    truth[10:20, 5:45] = True
    pixels = np.where(truth, value, 0).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "mask.png"), np.repeat(pixels[..., None], channels, axis=2))
    mask = read_mask(tmp_path / "mask.png")
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, truth)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    (folder / "deeper").mkdir(parents=True)
    for name in ("f10.png", "f2.png", "f1.TIF", "notes.txt", "²1.png", "deeper/f3.png"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["f1.TIF", "f2.png", "f10.png", "²1.png"]),
        ("f*.png", ["f2.png", "f10.png"]),
        ("**/f?.png", ["f3.png", "f2.png"]),
        ("f10.png", ["f10.png"]),
        ("notes.txt", ["notes.txt"]),
    ],
)
def test_images_are_listed_in_natural_order(folder: Path, pattern: str, names: list[str]) -> None:
    source = f"{folder}/{pattern}" if pattern else str(folder)
    assert [path.name for path in list_images(source)] == names


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("absent", "There is no file, folder or match for absent; check the path."),
        ("none*.png", "There is no file, folder or match for none*.png; check the path."),
        ("", "There is no file, folder or match for the empty path; check the path."),
        (
            "frames/deeper/empty",
            "The folder frames/deeper/empty holds no image; semedge reads .bmp",
        ),
        ("frames/above", "holds no image itself, and its subfolder good does; give frames/above"),
        ("x" * 300, "cannot be listed (File name too long); check the path and its permissions."),
    ],
)
def test_a_source_without_images_is_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, sentence: str
) -> None:
    (folder / "deeper" / "empty").mkdir()
    (folder / "above" / "good").mkdir(parents=True)
    (folder / "above" / "good" / "f1.png").touch()
    (folder / "f1.png").touch()
    monkeypatch.chdir(folder.parent)
    with pytest.raises(SemedgeError) as caught:
        list_images(source)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.real_data
def test_the_real_frames_and_masks_are_read(real_data_dir: Path) -> None:
    root = real_data_dir / "nanotwice"
    assert {read_image(path).shape for path in list_images(root / "normal")} == {(700, 1024)}
    masks = [read_mask(path) for path in list_images(root / "anomalous" / "masks")]
    assert len(masks) == 20
    assert all(mask.shape == (696, 1024) and 0 < mask.mean() < 0.5 for mask in masks)
