"""A bundle comes back as it was written, and whatever is wrong with it is reported."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import tiny_bundle, tiny_manifest, tiny_members

from semedge.core.errors import SemedgeError
from semedge.inference.bundle import (
    BUNDLE,
    MAX_BUNDLE_BYTES,
    array_content,
    frame_sha256,
    members_of,
    parse_bundle,
    read_bundle,
    write_bundle,
)
from semedge.inference.manifest import Manifest

Contents = dict[str, bytes]
Document = dict[str, Any]


def packed(
    document: Document | bytes | None,
    contents: Contents,
    *,
    more: tuple[tuple[str, bytes], ...] = (),
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """A zip archive with no check of what goes in."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore", UserWarning)
        if document is not None:
            text = document if isinstance(document, bytes) else json.dumps(document)
            archive.writestr("manifest.json", text)
        for name, content in [*contents.items(), *more]:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def packed_with(**changes: bytes) -> bytes:
    """The tiny bundle with members replaced and the manifest made to agree."""
    contents = {**tiny_members(), **{f"{name}.npy": value for name, value in changes.items()}}
    return packed(tiny_manifest(contents), contents)


def edited(edit: Callable[[Document], object]) -> bytes:
    document = tiny_manifest(tiny_members())
    edit(document)
    return packed(document, tiny_members())


def flipped(position: Callable[[bytes], int]) -> bytes:
    content = bytearray(packed(tiny_manifest(tiny_members()), tiny_members()))
    content[position(bytes(content))] ^= 0x10
    return bytes(content)


def with_member(name: str) -> bytes:
    return packed(tiny_manifest(tiny_members()), tiny_members(), more=((name, b"#!/bin/sh"),))


def npy(header: str) -> bytes:
    """An array file with a header of one's own and no values."""
    text = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def test_round_trip(tmp_path: Path) -> None:
    path = tiny_bundle(tmp_path / "tiny.semedge")
    bundle = read_bundle(path)
    assert bundle.name == str(path)
    assert dict(bundle.members) == tiny_members()
    assert bundle.manifest == Manifest.model_validate(tiny_manifest(tiny_members()))
    assert bundle.graph("embedding") == tiny_members()["embedding.tflite"]
    assert {name: array.shape for name, array in bundle.arrays().items()} == {
        "h_mean": (4,),
        "h_whitening": (4, 4),
    }


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = tiny_bundle(tmp_path / "one.semedge"), tiny_bundle(tmp_path / "two.semedge")
    assert one.read_bytes() == two.read_bytes()
    assert read_bundle(one).sha256 == read_bundle(two).sha256


NO_ARCHIVE = "zip archive"
UNREADABLE_ARRAY = r"array .*read"
NOT_FINITE = "finite float32"

DAMAGES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", NO_ARCHIVE),
    "text": (lambda: b"I am a text file\n" * 99, NO_ARCHIVE),
    "first half": (lambda: packed_with()[: len(packed_with()) // 2], NO_ARCHIVE),
    "flipped byte in a graph": (
        lambda: flipped(lambda content: content.index(b"TFL3") + 500),
        NO_ARCHIVE,
    ),
    "foreign archive": (
        lambda: packed(None, {}, more=(("word/document.xml", b"<xml/>"),)),
        "'word/document.xml'",
    ),
    "empty archive": (lambda: packed(None, {}), r"manifest\.json"),
    "no manifest": (lambda: packed(None, tiny_members()), r"manifest\.json"),
    "manifest no JSON": (lambda: packed(b"{", tiny_members()), "manifest .*JSON"),
    "manifest no text": (lambda: packed(b"\xff\xfe{}", tiny_members()), "manifest .*JSON"),
    "manifest a list": (lambda: packed(b"[]", tiny_members()), "manifest .*object"),
    "manifest empty": (lambda: packed(b"{}", tiny_members()), "format_version.*[Ff]ield required"),
    "later version": (
        lambda: edited(lambda document: document.update(format_version=5)),
        r"\b5\b.* 1, 2, 3, 4\b",
    ),
    "unknown field": (
        lambda: edited(lambda document: document.update(hook="run.sh")),
        r"\bhook\b",
    ),
    "unknown score": (
        lambda: edited(lambda document: document["score"].update(weights={"magic": 1.0})),
        "'magic'",
    ),
    "score without its tensor": (
        lambda: edited(lambda document: document["score"].update(weights={"im1": 1.0})),
        r"\['y'\].*computes",
    ),
    "node without its input": (
        lambda: edited(lambda document: document["nodes"][0].update(inputs=["z"])),
        r"'h_x'.*\['z'\]",
    ),
    "node without its graph": (
        lambda: edited(lambda document: document["nodes"][0].update(graph="absent")),
        r"'h_x'.*graph",
    ),
    "stride beyond a patch": (
        lambda: edited(lambda document: document.update(stride_px=33)),
        "stride .*patch",
    ),
    "infinite weight": (
        lambda: packed(
            json.dumps(tiny_manifest(tiny_members()))
            .replace('"embedding_gaussian": 2.0', '"embedding_gaussian": 1e999')
            .encode(),
            tiny_members(),
        ),
        "manifest .*finite",
    ),
    "member too many": (lambda: with_member("extra.npy"), r"\['extra.npy'\]"),
    "member missing": (
        lambda: packed(
            tiny_manifest(tiny_members()),
            {name: value for name, value in tiny_members().items() if name != "h_mean.npy"},
        ),
        r"\['h_mean.npy'\]",
    ),
    "wrong digest": (
        lambda: packed(
            tiny_manifest(tiny_members()),
            {**tiny_members(), "h_mean.npy": array_content(np.zeros(4, np.float32))},
        ),
        r"digest of h_mean\.npy",
    ),
    "member twice": (lambda: with_member("h_mean.npy"), r"h_mean\.npy .*twice"),
    "manifest twice": (lambda: with_member("manifest.json"), r"manifest\.json .*twice"),
    "parent folder": (lambda: with_member("../h_mean.npy"), r"'\.\./h_mean\.npy'"),
    "absolute path": (lambda: with_member("/etc/h_mean.npy"), r"'/etc/h_mean\.npy'"),
    "backslashes": (lambda: with_member("..\\h_mean.npy"), "h_mean.npy'"),
    "folder": (lambda: with_member("folder/"), "'folder/'"),
    "executable": (lambda: with_member("run.py"), r"'run\.py'"),
    "trailing newline": (lambda: with_member("h_mean.npy\n"), r"'h_mean\.npy\\n'"),
    "many members": (
        lambda: packed(
            tiny_manifest(tiny_members()),
            tiny_members(),
            more=tuple((f"a{number}.npy", b"") for number in range(BUNDLE.most_members)),
        ),
        r"\b36\b.*\b32\b",
    ),
    "compressed": (
        lambda: packed(
            tiny_manifest(tiny_members()), tiny_members(), compression=zipfile.ZIP_DEFLATED
        ),
        r"\.\w+ .*compressed",
    ),
    "NaN": (
        lambda: packed_with(h_mean=array_content(np.full(4, np.nan, np.float32))),
        NOT_FINITE,
    ),
    "double precision": (
        lambda: packed_with(h_mean=npy("{'descr':'<f8','fortran_order':False,'shape':(0,)}")),
        NOT_FINITE,
    ),
    "pickled objects": (
        lambda: packed_with(h_mean=npy("{'descr':'|O','fortran_order':False,'shape':(1,)}")),
        UNREADABLE_ARRAY,
    ),
    "array cut short": (
        lambda: packed_with(h_mean=tiny_members()["h_mean.npy"][:-3]),
        UNREADABLE_ARRAY,
    ),
    "array beyond all memory": (
        lambda: packed_with(h_mean=npy("{'descr':'<f4','fortran_order':False,'shape':(1<<50,)}")),
        UNREADABLE_ARRAY,
    ),
    "array of 2**50 values": (
        lambda: packed_with(
            h_mean=npy(f"{{'descr':'<f4','fortran_order':False,'shape':({2**50},)}}")
        ),
        UNREADABLE_ARRAY,
    ),
    "array without a header": (
        lambda: packed_with(h_mean=npy("{{{")),
        UNREADABLE_ARRAY,
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_reported_in_one_sentence(damage: str, tmp_path: Path) -> None:
    make, reason = DAMAGES[damage]
    path = tmp_path / "damaged.semedge"
    path.write_bytes(make())
    with pytest.raises(SemedgeError, match=reason) as caught:
        read_bundle(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert len(message) < 600


def test_a_bundle_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SemedgeError, match=r"absent\.semedge .*`semedge export`"):
        read_bundle(tmp_path / "absent.semedge")
    with pytest.raises(SemedgeError, match=rf"{tmp_path} .*directory"):
        read_bundle(tmp_path)


def test_a_file_too_large_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.semedge"
    with path.open("wb") as file:
        file.truncate(MAX_BUNDLE_BYTES + 1)
    with pytest.raises(SemedgeError, match=rf"{path} .*{MAX_BUNDLE_BYTES + 1} bytes"):
        read_bundle(path)


def test_mutations_give_the_same_bundle_or_one_sentence() -> None:
    original = packed(tiny_manifest(tiny_members()), tiny_members())
    whole = parse_bundle(original, "original")
    rng = np.random.default_rng(300)
    refusals: list[str] = []
    for _ in range(300):
        content = bytearray(original)
        kind = rng.integers(4)
        at = int(rng.integers(len(content)))
        if kind == 0:
            content[at] = int(rng.integers(256))
        elif kind == 1:
            del content[at : at + int(rng.integers(1, 64))]
        elif kind == 2:
            content[at:at] = rng.bytes(int(rng.integers(1, 64)))
        else:
            content[-int(rng.integers(1, 600)) :] = rng.bytes(int(rng.integers(0, 600)))
        try:
            bundle = parse_bundle(bytes(content), "mutated")
        except SemedgeError as error:
            refusals.append(str(error))
        else:
            # What a mutation cannot hurt: unused fields of the archive, and prose in the manifest.
            assert dict(bundle.members) == dict(whole.members)
    assert len(refusals) > 200
    assert not [refusal for refusal in refusals if "\n" in refusal]


def test_directory_mutations_give_one_sentence() -> None:
    original = packed(tiny_manifest(tiny_members()), tiny_members())
    start = original.index(b"PK\x01\x02")
    refusals: list[str] = []
    for at in range(start, len(original)):
        for value in (0x00, 0x7F, 0xFF):
            content = bytearray(original)
            content[at] = value
            try:
                parse_bundle(bytes(content), "mutated")
            except SemedgeError as error:
                refusals.append(str(error))
    assert refusals
    assert not [refusal for refusal in refusals if "\n" in refusal]


def test_writing_leaves_no_part_behind(tmp_path: Path) -> None:
    members = tiny_members()
    manifest = Manifest.model_validate(tiny_manifest(members))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SemedgeError, match=r"file/tiny\.semedge .*another folder"):
        write_bundle(tmp_path / "file" / "tiny.semedge", manifest, members)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_frame_digest_knows_pixels_type_and_shape() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    digests = {
        frame_sha256(image),
        frame_sha256(image.reshape(4, 3)),
        frame_sha256(image.astype(np.uint16)),
        frame_sha256(image + 1),
    }
    assert len(digests) == 4
    assert frame_sha256(np.asfortranarray(image)) == frame_sha256(image)


def test_members_of_counts_bytes() -> None:
    assert members_of({"a.npy": b"abc"})["a.npy"].size_bytes == 3
