"""Every variant of one picture is that picture, or is refused by the name of its tag."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from variants import (
    DEFLATE,
    GRAY,
    GRAY_INVERTED,
    JPEG,
    LZW,
    NONE,
    PACKBITS,
    PALETTE,
    RGB,
    chunk,
    exif,
    page,
    picture,
    tiff,
    turned,
)

from semedge.core.errors import SemedgeError
from semedge.core.images import list_frames, read_image, read_mask

PICTURE = picture()
WIDE = PICTURE.astype(np.uint16) * 257
PIXELS = {8: PICTURE, 16: WIDE}


def read(tmp_path: Path, content: bytes, suffix: str = ".tif") -> NDArray:
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(content)
    return read_image(path)


def assert_is_the_picture(image: NDArray, most: float = 1.0) -> None:
    """The same gray values as shares of the range, up to `most` steps of 8 bits."""
    grays = image / np.iinfo(image.dtype).max * 255
    np.testing.assert_allclose(grays, PICTURE, atol=most)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", [NONE, LZW, DEFLATE, PACKBITS])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_every_layout_are_one_picture(
    tmp_path: Path, bits: int, compression: int, order: str
) -> None:
    pixels = PIXELS[bits]
    full = np.iinfo(pixels.dtype).max
    for photometric, tile_px, planes, predictor, extra in product(
        (GRAY_INVERTED, GRAY, RGB), (None, 16), (False, True), (False, True), (None, 0, 1, 2)
    ):
        stored = full - pixels if photometric == GRAY_INVERTED else pixels
        samples = [stored] * (3 if photometric == RGB else 1)
        if extra is not None:
            samples += [np.full_like(stored, full // 2)]
        content = tiff(
            page(
                np.stack(samples, axis=2),
                order=order,
                photometric=photometric,
                compression=compression,
                tile_px=tile_px,
                planes=planes,
                predictor=predictor,
                extra=extra,
            ),
            order=order,
        )
        assert_is_the_picture(read(tmp_path, content))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_shown_upright(tmp_path: Path, orientation: int) -> None:
    stored = turned(PICTURE, orientation)
    assert_is_the_picture(read(tmp_path, tiff(page(stored[..., None], t274=orientation))))
    png = cv2.imencode(".png", stored)[1].tobytes()
    png = png[:33] + chunk(b"eXIf", exif(orientation)) + png[33:]
    assert_is_the_picture(read(tmp_path, png, ".png"))
    jpeg = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    data = b"Exif\0\0" + exif(orientation)
    jpeg = jpeg[:2] + b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data + jpeg[2:]
    assert_is_the_picture(read(tmp_path, jpeg, ".jpg"), most=4)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_the_white_that_a_file_states_is_white(tmp_path: Path, bits: int) -> None:
    few = WIDE >> (16 - bits)
    white = (1 << bits) - 1
    step = 255 / white + 1
    assert_is_the_picture(read(tmp_path, tiff(page(few[..., None], t281=white))), step)
    ome = f'<OME><Pixels SignificantBits="{bits}"/></OME>'.encode()
    assert_is_the_picture(read(tmp_path, tiff(page(few[..., None], t270=ome))), step)
    png = cv2.imencode(".png", few)[1].tobytes()
    png = png[:33] + chunk(b"sBIT", bytes([bits])) + png[33:]
    assert_is_the_picture(read(tmp_path, png, ".png"), step)
    head = b"P5\n# by a camera\n%d %d\n%d\n" % (*few.shape[::-1], white)
    assert_is_the_picture(read(tmp_path, head + few.astype(">u2").tobytes(), ".pgm"), step)
    text = b"P2\n%d %d\n%d\n" % (*few.shape[::-1], white)
    text += b" ".join(b"%d" % value for value in few.ravel()) + b"\n"
    assert_is_the_picture(read(tmp_path, text, ".pgm"), step)


def test_a_white_that_is_stated_for_values_which_fill_their_type_already_changes_nothing(
    tmp_path: Path,
) -> None:
    png = cv2.imencode(".png", WIDE)[1].tobytes()
    png = png[:33] + chunk(b"sBIT", bytes([12])) + png[33:]
    np.testing.assert_array_equal(read(tmp_path, png, ".png"), WIDE)
    brightest = tiff(page(WIDE[..., None], t281=int(WIDE.max())))
    np.testing.assert_array_equal(read(tmp_path, brightest), WIDE)


@pytest.mark.parametrize("white", [100, 15, 1000])
def test_any_largest_value_of_a_pgm_is_white(tmp_path: Path, white: int) -> None:
    few = np.round(PICTURE / 255 * white).astype(">u2" if white > 255 else "u1")
    head = b"P5 %d %d %d\n" % (*few.shape[::-1], white)
    assert_is_the_picture(read(tmp_path, head + few.tobytes(), ".pgm"), 255 / white)


def test_packed_samples_of_12_bits_are_one_picture(tmp_path: Path) -> None:
    few = WIDE >> 4
    digits = (few[..., None] >> np.arange(12)[::-1]) & 1
    packed = np.packbits(digits.reshape(len(few), -1).astype(np.uint8), axis=1)
    whole = page(few[..., None], rows=len(few))
    whole.tags[258] = 12
    assert_is_the_picture(read(tmp_path, tiff(type(whole)(whole.tags, (packed.tobytes(),)))))


def test_palettes_and_jpegs_in_a_tiff_are_one_picture(tmp_path: Path) -> None:
    index = np.argsort(np.random.default_rng(1).permutation(256)).astype(np.uint8)
    colours = np.empty(256, np.int64)
    colours[index] = np.arange(256) * 257
    palette = page(index[PICTURE][..., None], photometric=PALETTE, t320=(*colours,) * 3)
    assert_is_the_picture(read(tmp_path, tiff(palette)))
    gray = page(PICTURE[..., None], compression=JPEG)
    assert_is_the_picture(read(tmp_path, tiff(gray)), most=4)
    colour = page(np.repeat(PICTURE[..., None], 3, 2), compression=JPEG, photometric=6, tile_px=32)
    assert_is_the_picture(read(tmp_path, tiff(colour)), most=6)


@pytest.mark.parametrize("inverted", [False, True])
def test_a_mask_of_one_bit_is_true_where_it_is_white(tmp_path: Path, inverted: bool) -> None:
    mask = PICTURE > 200
    packed = np.packbits(mask ^ inverted, axis=1)
    bits = page(mask[..., None].astype(np.uint8), photometric=int(not inverted), rows=len(mask))
    bits.tags[258] = 1
    (tmp_path / "mask.tif").write_bytes(tiff(type(bits)(bits.tags, (packed.tobytes(),))))
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif"), mask)


def test_a_mask_that_was_compressed_with_losses_is_cut_at_half(tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 24:50] = 255
    cv2.imwrite(str(tmp_path / "mask.jpg"), mask, [cv2.IMWRITE_JPEG_QUALITY, 60])
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.jpg"), mask > 0)
    labels = np.where(mask > 0, 1, 0) + (mask.T > 0) * 2
    cv2.imwrite(str(tmp_path / "labels.png"), labels.astype(np.uint8))
    np.testing.assert_array_equal(read_mask(tmp_path / "labels.png"), labels > 0)


@pytest.mark.parametrize(
    ("tags", "named"),
    [
        ({"t262": 5, "t277": 1}, "PhotometricInterpretation 5"),
        ({"t262": 32803}, "PhotometricInterpretation 32803"),
        ({"t259": 34661}, "Compression 34661"),
        ({"t259": 65000}, "Compression 65000"),
        ({"t277": 2}, "SamplesPerPixel 2"),
        ({"t339": 2}, "SampleFormat 2"),
        ({"t266": 2}, "FillOrder 2"),
        ({"t317": 3, "t259": DEFLATE}, "Predictor 3"),
        ({"t258": 32}, "BitsPerSample 32"),
    ],
)
def test_what_cannot_be_read_is_refused_by_the_name_of_its_tag(
    tmp_path: Path, tags: dict[str, int], named: str
) -> None:
    with pytest.raises(SemedgeError, match=named):
        read(tmp_path, tiff(page(PICTURE[..., None], **tags)))


def test_each_full_page_is_a_frame(tmp_path: Path) -> None:
    small = cv2.resize(PICTURE, (20, 12))[..., None]
    other = 255 - PICTURE
    path = tmp_path / "pages.tif"
    path.write_bytes(
        tiff(page(small, t254=1), page(PICTURE[..., None]), page(other[..., None], t254=2))
    )
    names = [f"{path}#1", f"{path}#2"]
    assert list_frames(path) == names
    assert list_frames(tmp_path) == names
    assert list_frames(names[1]) == names[1:]
    np.testing.assert_array_equal(read_image(names[0]), PICTURE)
    np.testing.assert_array_equal(read_image(names[1]), other)
    np.testing.assert_array_equal(read_image(path), PICTURE)
    with pytest.raises(SemedgeError, match=r"pages\.tif#3 has 2 pages"):
        read_image(f"{path}#3")


def test_a_thumbnail_leaves_the_file_its_own_name(tmp_path: Path) -> None:
    small = cv2.resize(PICTURE, (20, 12))[..., None]
    path = tmp_path / "thumb.tif"
    path.write_bytes(tiff(page(small, t254=1), page(PICTURE[..., None])))
    assert list_frames(path) == [str(path)]
    np.testing.assert_array_equal(read_image(path), PICTURE)


def test_a_file_may_have_a_number_sign_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "part#2"
    path.write_bytes(cv2.imencode(".png", PICTURE)[1].tobytes())
    np.testing.assert_array_equal(read_image(path), PICTURE)
    with pytest.raises(SemedgeError, match="only these have pages; leave #3 out"):
        read_image(f"{path}#3")
