"""A detector on magnetic tiles, cross-validated over the tiles; as Markdown.

::

    python benchmarks/magnetic_tiles.py DIR --detector texture-gaussian --option even_light=true

`DIR` holds `normal/images`, and `images` and `masks` of each class below `anomalous`. Photographs
of one tile at several exposures have neighbouring numbers and stay in one fold. Each fold of the
normal frames, which the detector has not seen, stands against all frames of a class.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from comparison import semedge

ONE_TILE = 200
"""Numbers that lie closer show the same tile."""
FIGURES = ("image AUROC", "pixel AUROC", "AUPRO")
Figures = tuple[float, ...]


def tiles_of(files: Sequence[Path]) -> list[list[Path]]:
    """The photographs of each tile, by the numbers in their names."""
    tiles: list[list[Path]] = []
    last = -ONE_TILE
    for number, path in sorted((_number(path), path) for path in files):
        if number - last >= ONE_TILE:
            tiles.append([])
        tiles[-1].append(path)
        last = number
    return tiles


def folds_of(tiles: Sequence[Sequence[Path]], count: int) -> list[list[Path]]:
    """Each tile in the fold that has the fewest photographs so far."""
    folds: list[list[Path]] = [[] for _ in range(count)]
    for tile in tiles:
        min(folds, key=len).extend(tile)
    return folds


def measured(
    fit: Sequence[Path], held_out: Sequence[Path], anomalous: Path, options: argparse.Namespace
) -> Iterator[tuple[str, Figures]]:
    """Figures of each class, by a detector of the frames in `fit`."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for part, files in (("fit", fit), ("held_out", held_out)):
            (folder / part).mkdir()
            for path in files:
                (folder / part / path.name).symlink_to(path.resolve())
        variants = [word for option in options.option for word in ("--option", option)]
        run, bundle = folder / "run", folder / "tiles.semedge"
        semedge(
            *("train", "--detector", options.detector, "--images", folder / "fit"),
            *("--out", run, *variants),
        )
        semedge("export", run, "--out", bundle)
        for defect in sorted(path for path in anomalous.iterdir() if path.is_dir()):
            printed = semedge(
                *("evaluate", "--detector", bundle, "--protocol", "pixel", "--json"),
                *("--images", defect / "images", "--masks", defect / "masks"),
                *("--normal", folder / "held_out"),
            )
            score = json.loads(printed)["protocols"]["pixel"]["scores"][0]
            yield (
                defect.name,
                (
                    score["frames"]["auroc"],
                    score["items"]["auroc"],
                    score["items"]["aupro"],
                ),
            )


def main() -> None:
    """Read the command line, and print a row a class."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tiles", type=Path)
    parser.add_argument("--detector", default="texture-gaussian")
    parser.add_argument("--option", action="append", default=[], help="as of semedge train")
    parser.add_argument("--folds", type=int, default=4)
    options = parser.parse_args()
    tiles = tiles_of(list((options.tiles / "normal" / "images").iterdir()))
    folds = folds_of(tiles, options.folds)
    found: dict[str, list[Figures]] = {}
    for held_out in folds:
        fit = [path for fold in folds if fold is not held_out for path in fold]
        for defect, figures in measured(fit, held_out, options.tiles / "anomalous", options):
            found.setdefault(defect, []).append(figures)
    variants = ", ".join([options.detector, *options.option])
    sizes = ", ".join(str(len(fold)) for fold in folds)
    print(f"{variants}; {len(tiles)} tiles, {options.folds} folds of {sizes} normal frames\n")
    print(f"| defect | {' | '.join(FIGURES)} | image AUROC, fold by fold |")
    print("|---|---:|---:|---:|---|")
    means = {defect: tuple(map(mean, zip(*rows, strict=True))) for defect, rows in found.items()}
    for defect, rows in found.items():
        print(_line(defect, means[defect], [row[0] for row in rows]))
    by_fold = [mean(rows[fold][0] for rows in found.values()) for fold in range(len(folds))]
    print(_line("mean", tuple(map(mean, zip(*means.values(), strict=True))), by_fold))


def _line(name: str, figures: Figures, folds: Sequence[float]) -> str:
    cells = [*(f"{value:.3f}" for value in figures), ", ".join(f"{each:.3f}" for each in folds)]
    return f"| {name} | {' | '.join(cells)} |"


def _number(path: Path) -> int:
    found = re.search(r"num_(\d+)", path.name)
    if found is None:
        raise SystemExit(f"The name of a tile holds num_ and its number. Received: {path.name}")
    return int(found[1])


if __name__ == "__main__":
    main()
