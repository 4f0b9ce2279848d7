"""Pixels as cameras send them become gray images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from semedge.cameras.pixel_formats import decoded
from semedge.core.errors import SemedgeError
from semedge.core.frame import GrayImage
from semedge.core.images import to_gray


def gray_from(
    data: NDArray, pixel_format: str, shape: tuple[int, int], row_padding_bytes: int = 0
) -> GrayImage:
    image, _ = decoded(data, pixel_format, shape, row_padding_bytes)
    return image


def gives_colours(data: NDArray, pixel_format: str, shape: tuple[int, int]) -> bool:
    image, colours = decoded(data, pixel_format, shape)
    if colours is not None:
        assert colours.dtype == image.dtype
        np.testing.assert_array_equal(to_gray(colours), image)
    return colours is not None


def test_mono8_rows_with_padding() -> None:
    raw = np.array([1, 2, 3, 99, 4, 5, 6], np.uint8)
    image = gray_from(raw, "Mono8", (2, 3), row_padding_bytes=1)
    np.testing.assert_array_equal(image, [[1, 2, 3], [4, 5, 6]])
    assert image.dtype == np.uint8


@pytest.mark.parametrize(("pixel_format", "shift"), [("Mono16", 0), ("Mono14", 2), ("Mono10", 6)])
def test_two_bytes_fill_the_range(pixel_format: str, shift: int) -> None:
    values = np.array([0, 1, 2 ** (16 - shift) - 1], "<u2")
    image = gray_from(values.view(np.uint8), pixel_format, (1, 3))
    np.testing.assert_array_equal(image, [[0, 1 << shift, (2 ** (16 - shift) - 1) << shift]])
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(gray_from(values, pixel_format, (1, 3)), image)


def packed_lsb(values: list[int], bits: int) -> NDArray[np.uint8]:
    """Without gaps, the lowest bit first: PFNC's `p`."""
    whole = sum(value << (bits * at) for at, value in enumerate(values))
    return np.frombuffer(whole.to_bytes((len(values) * bits + 7) // 8, "little"), np.uint8)


def packed_gige(values: list[int], bits: int) -> NDArray[np.uint8]:
    """GigE Vision's `Packed`: upper bytes left and right, the lower bits between them."""
    low = bits - 8
    if len(values) % 2:
        values = [*values, 0]
    triples = [
        (first >> low, first & (2**low - 1) | (second & (2**low - 1)) << 4, second >> low)
        for first, second in zip(values[::2], values[1::2], strict=True)
    ]
    return np.array(triples, np.uint8).reshape(-1)


@given(
    st.sampled_from([10, 12]).flatmap(
        lambda bits: st.tuples(
            st.just(bits), st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=17)
        )
    )
)
def test_packed_values_are_found_again(case: tuple[int, list[int]]) -> None:
    bits, values = case
    expected = [[value << (16 - bits) for value in values]]
    shape = (1, len(values))
    for pixel_format, raw in (
        (f"Mono{bits}p", packed_lsb(values, bits)),
        (f"Mono{bits}Packed", packed_gige(values, bits)),
    ):
        image = gray_from(raw, pixel_format, shape)
        assert image.dtype == np.uint16
        np.testing.assert_array_equal(image, expected, err_msg=pixel_format)


@pytest.mark.parametrize(
    ("pixel_format", "pixel", "gray"),
    [
        ("RGB8", (255, 0, 0), 76),
        ("BGR8", (255, 0, 0), 29),
        ("RGB8Packed", (255, 0, 0), 76),
        ("RGBa8", (255, 0, 0, 255), 76),
        ("BGRA8Packed", (255, 0, 0, 255), 29),
    ],
)
def test_colours(pixel_format: str, pixel: tuple[int, ...], gray: int) -> None:
    raw = np.array([pixel] * 6, np.uint8)
    np.testing.assert_array_equal(gray_from(raw, pixel_format, (2, 3)), np.full((2, 3), gray))


@pytest.mark.parametrize("mosaic", ["BayerRG", "BayerGR", "BayerGB", "BayerBG"])
@pytest.mark.parametrize(("bits", "kind"), [("8", "u1"), ("12", "<u2")])
def test_a_mosaic_of_red_alone_is_as_gray_as_red(mosaic: str, bits: str, kind: str) -> None:
    red = {"BayerRG": (0, 0), "BayerGR": (0, 1), "BayerGB": (1, 0), "BayerBG": (1, 1)}[mosaic]
    white = 2 ** int(bits) - 1
    pixels = np.zeros((8, 8), kind)
    pixels[red[0] :: 2, red[1] :: 2] = white
    image = gray_from(pixels, f"{mosaic}{bits}", (8, 8))
    full = np.iinfo(image.dtype).max
    np.testing.assert_allclose(image[2:6, 2:6] / full, 0.299, atol=0.005)


FORMATS_OF_COLOUR = ("RGB8", "BGRa8", "BayerRG8", "BayerGR12", "BayerGB8", "BayerBG16")


def sent_as(pixel_format: str, colours: NDArray[np.uint8]) -> NDArray:
    """A picture `(height, width, 3)` in red, green and blue as a camera sends it."""
    if pixel_format == "RGB8":
        return colours
    if pixel_format == "BGRa8":
        return np.dstack([colours[..., ::-1], np.full(colours.shape[:2], 255, np.uint8)])
    plain = colours[..., 1].copy()
    (red,) = [
        place
        for mosaic, place in (("RG", (0, 0)), ("GR", (0, 1)), ("GB", (1, 0)), ("BG", (1, 1)))
        if mosaic == pixel_format[5:7]
    ]
    for channel, (row, column) in ((0, red), (2, (1 - red[0], 1 - red[1]))):
        plain[row::2, column::2] = colours[row::2, column::2, channel]
    bits = int(pixel_format[7:])
    return plain if bits == 8 else plain.astype("<u2") << (bits - 8)


@pytest.mark.parametrize("pixel_format", FORMATS_OF_COLOUR)
def test_colours_are_noticed_where_there_are_some(pixel_format: str) -> None:
    random = np.random.default_rng(4)
    gray = np.repeat(random.integers(90, 166, (197, 261, 1), np.uint8), 3, axis=2)
    assert not gives_colours(sent_as(pixel_format, gray), pixel_format, (197, 261))
    tinted = gray // 2
    tinted[20:90, 30:120, 0] += 100
    assert gives_colours(sent_as(pixel_format, tinted), pixel_format, (197, 261))


@pytest.mark.parametrize("pixel_format", FORMATS_OF_COLOUR)
def test_colours_come_as_blue_green_and_red(pixel_format: str) -> None:
    even = np.full((40, 60, 3), (200, 90, 30), np.uint8)
    image, colours = decoded(sent_as(pixel_format, even), pixel_format, (40, 60))
    assert colours is not None
    shares = colours[4:-4, 4:-4] / np.iinfo(image.dtype).max
    np.testing.assert_allclose(shares.mean(axis=(0, 1)) * 255, (30, 90, 200), atol=1)


@pytest.mark.parametrize("pixel_format", ["Mono8", "Mono12Packed", "Mono16"])
def test_gray_values_have_no_colours(pixel_format: str) -> None:
    assert not gives_colours(np.zeros(400, np.uint8), pixel_format, (10, 10))


@pytest.mark.parametrize("pixel_format", ["YUV422_8", "Mono1p", "Coord3D_ABC32f", "BayerRG", ""])
def test_a_format_that_is_not_known_is_named(pixel_format: str) -> None:
    with pytest.raises(SemedgeError, match=f"{pixel_format}.* pixel_format to Mono8"):
        gray_from(np.zeros(100, np.uint8), pixel_format, (2, 2))


@pytest.mark.parametrize("pixel_format", ["Mono8", "Mono16", "Mono12p", "Mono12Packed", "RGB8"])
def test_a_buffer_that_is_too_short_is_refused(pixel_format: str) -> None:
    with pytest.raises(SemedgeError, match=r" 10 bytes .* \d\d+"):
        gray_from(np.zeros(10, np.uint8), pixel_format, (10, 10))


@pytest.mark.parametrize("padding_bytes", [0, 1, 3, 8])
@pytest.mark.parametrize("width", [8, 9, 11])
@pytest.mark.parametrize("pixel_format", ["Mono10p", "Mono12p", "Mono10Packed", "Mono12Packed"])
def test_packed_rows_with_padding_are_the_same_picture(
    pixel_format: str, width: int, padding_bytes: int
) -> None:
    """Each row begins at a whole byte, and is followed by bytes that mean nothing."""
    bits = int(pixel_format[4:6])
    values = np.random.default_rng(1).integers(0, 1 << bits, (5, width), np.uint16)
    rows = []
    for row in values:
        if pixel_format.endswith("p"):
            digits = sum(int(value) << (bits * at) for at, value in enumerate(row))
            content = digits.to_bytes((width * bits + 7) // 8, "little")
        else:
            low = bits - 8
            pairs = np.append(row, [0] * (width % 2)).reshape(-1, 2).astype(int)
            content = b"".join(
                bytes([a >> low, (a & ((1 << low) - 1)) | (b & ((1 << low) - 1)) << 4, b >> low])
                for a, b in pairs
            )
        rows.append(content + b"\xa5" * padding_bytes)
    data = np.frombuffer(b"".join(rows), np.uint8)
    image = gray_from(data, pixel_format, (5, width), padding_bytes)
    np.testing.assert_array_equal(image, values << (16 - bits))


@pytest.mark.parametrize(
    "pixel_format", ["Mono8", "Mono16", "Mono12", "Mono12p", "Mono10Packed", "RGB8", "BayerRG8"]
)
def test_data_about_the_frame_behind_its_pixels_is_no_picture(pixel_format: str) -> None:
    """Chunk data of GenICam, which no emulator of the tests sends."""
    pixels = np.random.default_rng(2).integers(0, 256, 4096, np.uint8)
    chunks = np.random.default_rng(3).integers(0, 256, 333, np.uint8)
    picture = gray_from(pixels, pixel_format, (16, 24))
    sent = np.append(pixels[: _bytes_of(pixel_format, 16 * 24)], chunks)
    np.testing.assert_array_equal(gray_from(sent, pixel_format, (16, 24)), picture)


def _bytes_of(pixel_format: str, count: int) -> int:
    """Bytes of so many pixels."""
    bits = {"Mono12p": 12, "Mono10Packed": 12, "RGB8": 24, "Mono16": 16, "Mono12": 16}
    return count * bits.get(pixel_format, 8) // 8
