"""Every command that a page, a docstring or a help text shows exists, and runs or is marked."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from importlib.resources import files
from pathlib import Path

import click
import cv2
import pytest
from commandline import RunBlock, succeed
from documented import (
    MARKS,
    ROOT,
    Block,
    blocks_of,
    inline_commands,
    is_measured,
    pages,
    starts_with_a_program,
)

from semedge.cameras.simulation import SimulatedLine
from semedge.cli import cli
from semedge.station.config.station import load_station

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OWN_TESTS = {
    "docs/how-to/new-camera.md": "tests/edge/cameras/test_new_camera.py",
    "docs/how-to/new-sink.md": "tests/edge/sinks/test_new_sink.py",
    "docs/how-to/new-detector.md": "tests/trainer/detectors/test_new_detector.py",
    "docs/tutorial/own-material.md": "tests/system/test_tutorial.py",
}
"""Pages whose commands a test of their own runs."""
SHAPE = (96, 128)
TARGETS = re.compile(r"^([\w./$()-]+):", re.MULTILINE)


def commands_of(page: str) -> list[Block]:
    """The page's blocks of commands."""
    return [each for each in blocks_of(page) if each.info in MARKS or is_measured(page)]


@pytest.mark.parametrize("page", pages())
def test_every_block_of_commands_says_how_it_is_run(page: str) -> None:
    for block in blocks_of(page):
        if block.info.partition(" ")[0] in ("sh", "bash", "shell"):
            assert block.info in MARKS, f"{page} has a block {block.info!r}; marks are {MARKS}"
        elif not block.info and not is_measured(page):
            (*unmarked,) = filter(starts_with_a_program, block.lines)
            assert not unmarked, f"{page} shows {unmarked[0]!r} without a mark of {MARKS}"


@pytest.mark.parametrize("page", [each for each in pages() if commands_of(each)])
def test_every_command_of_a_page_exists(page: str) -> None:
    for block in commands_of(page):
        if is_measured(page) and not any(map(starts_with_a_program, block.lines)):
            continue
        for words in block.commands:
            check(words, whole=True)


@pytest.mark.parametrize("page", pages())
def test_every_command_in_the_text_of_a_page_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for words in inline_commands(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        check(words, whole=False)


@pytest.mark.parametrize("package", ["calibration", "edge", "trainer"])
def test_every_command_in_docstrings_and_messages_exists(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        for words in inline_commands(path.read_text(encoding="utf-8")):
            if not any("{" in word for word in words):
                check(words, whole=False)


def check(words: list[str], whole: bool) -> None:
    """Assert that a command exists; `whole`: that it has everything that it requires too."""
    program, *arguments = words
    name = Path(program).name
    if name == "semedge":
        check_semedge(arguments, whole)
    elif name == "make":
        targets = TARGETS.findall((ROOT / "Makefile").read_text())
        named = [each for each in arguments if "=" not in each]
        missing = {each for each in named if each not in targets and not each.startswith(".venv")}
        assert not missing, f"the Makefile has no {missing}"
    elif name == "pip":
        check_extras(" ".join(arguments))
    elif name in ("python", "python3") and arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1]), f"there is no module {arguments[1]}"
    elif name == "python" and arguments[0].endswith(".py"):
        assert (ROOT / arguments[0]).is_file(), f"there is no {arguments[0]}"


def check_semedge(arguments: list[str], whole: bool) -> None:
    """Assert that `semedge` has the command and the options."""
    command: click.Command = cli
    context = click.Context(cli, info_name="semedge")
    rest = arguments
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(rest)
        if not rest or rest[0] == "COMMAND":
            return
        found = command.get_command(context, rest[0])
        assert found is not None, f"`semedge {' '.join(arguments)}`: there is no {rest[0]!r}"
        command, rest = found, rest[1:]
        context = click.Context(command, context, found.name)
    try:
        values, _, _ = command.make_parser(context).parse_args(rest)
    except click.BadOptionUsage:
        assert not whole, f"`semedge {' '.join(arguments)}` lacks a value"
        return
    except click.UsageError as error:
        pytest.fail(f"`semedge {' '.join(arguments)}`: {error.format_message()}")
    if whole and not {"help", "version"} & set(values):
        missing = [
            each.name
            for each in command.params
            if each.required and values.get(each.name) in (None, ())
        ]
        assert not missing, f"`semedge {' '.join(arguments)}` lacks {missing}"


def check_extras(arguments: str) -> None:
    """Assert that the extras of an installation exist."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"\[([a-z,-]+)\]", arguments):
        missing = set(extras.split(",")) - set(project["optional-dependencies"])
        assert not missing, f"there is no extra {missing}"


RUN_HERE = [
    page
    for page in pages()
    if page not in OWN_TESTS and any(each.info == "sh" for each in blocks_of(page))
]


def test_pages_with_tests_of_their_own_have_them() -> None:
    for page, test in OWN_TESTS.items():
        assert page.removeprefix("docs/") in (ROOT / test).read_text(), (page, test)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a station has: good frames, a detector, a calibration, a journal."""
    folder = tmp_path_factory.mktemp("station")
    shutil.copy(str(files("semedge").joinpath("data/demo.semedge")), folder / "fibre.semedge")
    line = SimulatedLine(4, shape=SHAPE)
    for name, count in (("good", 40), ("archive", 3)):
        (folder / name).mkdir()
        for number in range(count):
            cv2.imwrite(str(folder / name / f"{number}.png"), line.frame(number).image)
    shutil.copy(folder / "archive" / "0.png", folder / "defect.png")
    (folder / "recipes").mkdir()
    (folder / "semedge.toml").write_text('[journal]\nfile = "alerts.sqlite"\n')
    detector = ("--detector", "fibre.semedge")
    succeed(
        folder,
        *("calibrate", *detector, "--images", "good", "--false-alarm-rate", "0.1"),
        *("--out", "fibre.json"),
    )
    succeed(
        folder,
        *("recipe", "make", "--name", "fibre", "--recipe-version", "3", *detector),
        *("--calibration", "fibre.json", "--out", "recipes/fibre-3.recipe"),
    )
    succeed(
        folder,
        *("watch", "--recipe", "recipes/fibre-3.recipe", "--camera", "archive"),
        *("--station", "semedge.toml"),
    )
    return folder


@pytest.fixture
def shell(station: Path, tmp_path: Path) -> Path:
    """A copy of the folder that a page's commands may change, with `semedge` on the path."""
    folder = tmp_path / "station"
    shutil.copytree(station, folder)
    return folder


@pytest.mark.parametrize("page", RUN_HERE)
def test_the_commands_of_a_page_run(page: str, shell: Path, run_block: RunBlock) -> None:
    if page == "docs/how-to/recipes.md":
        (shell / "recipes" / "fibre-3.recipe").unlink()
    for block in blocks_of(page):
        if block.info == "sh":
            run_block(shell, block.text)


@pytest.mark.parametrize("page", [each for each in pages() if each not in OWN_TESTS])
def test_the_station_files_of_a_page_are_valid(page: str, tmp_path: Path) -> None:
    for block in blocks_of(page):
        if block.info == "toml":
            file = tmp_path / "semedge.toml"
            file.write_text(block.text)
            load_station(file)


def test_a_wrong_command_is_found() -> None:
    check(["semedge", "watch", "--recipe", "FILE"], whole=True)
    for wrong in (
        ["semedge", "wach"],
        ["semedge", "watch", "--recepy", "FILE"],
        ["semedge", "recipe", "unmake"],
        ["make", "tests"],
        ["pip", "install", ".[mqtt,kafka]"],
        ["python", "benchmarks/none.py"],
    ):
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            check(wrong, whole=True)
    with pytest.raises(AssertionError, match="lacks"):
        check(["semedge", "collect", "--camera", "sim:"], whole=True)
