"""The plan of an ablation, its cells' files, and its tables."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from ablations import a_result, finish, make_frames, planned

from semedge.core.errors import SemedgeError
from semedge.core.files import locked
from semedge_trainer.ablation.ablate import Execution, ablate
from semedge_trainer.ablation.cluster import pack_frames
from semedge_trainer.ablation.plan import (
    SUBSETS,
    SWITCHES,
    AblationRequest,
    CellResult,
    CellSettings,
    cell_path,
    chosen_frames,
    read_cells,
)
from semedge_trainer.ablation.tables import as_csv, as_latex, as_markdown
from semedge_trainer.evaluation.masks import MaskedFrame, match_masks


@pytest.fixture
def request_(tmp_path: Path) -> AblationRequest:
    return make_frames(tmp_path)


def some_cell(**settings: object) -> CellSettings:
    return CellSettings.model_validate(
        {
            "detector": "bigan",
            "subset": "Normal",
            "seed": 0,
            "schedule": "fast",
            "steps": 600,
            "quantization": "int8",
            "normal": "n",
            "test": "t",
            "test_frames": 20,
            "patches": None,
            "search_steps": None,
            "crop_bottom_px": 0,
            **settings,
        }
    )


def test_rows_are_the_eight_subsets_of_the_thesis() -> None:
    assert len(set(SUBSETS.values())) == len(SUBSETS) == 8
    assert next(iter(SUBSETS)) == "Normal"
    assert list(SUBSETS)[-1] == "LF + SL + IN"
    options = some_cell(subset="SL + LF").options
    assert options == {"instance_noise": "false", "soft_labels": "true", "label_flipping": "early"}
    assert some_cell(subset="IN").options["label_flipping"] == "none"
    assert some_cell(subset="LF", label_flipping="swap").options["label_flipping"] == "swap"


def test_cells_depend_on_the_frames_and_not_on_where_they_lie(
    request_: AblationRequest, tmp_path: Path
) -> None:
    before = planned(request_)
    assert [cell.subset for cell in before] == list(SUBSETS)
    assert before[0].patches == 8
    assert before[0].search_steps == 1
    assert len({cell.name for cell in before} | {cell.digest for cell in before}) == 16
    (tmp_path / "test").rename(tmp_path / "elsewhere")
    moved = AblationRequest(**{**vars(request_), "test_images": tmp_path / "elsewhere"})
    assert planned(moved) == before
    (tmp_path / "masks" / "1.png").write_bytes((tmp_path / "masks" / "0.png").read_bytes())
    assert planned(moved)[0].test != before[0].test


def test_each_detector_has_its_own_seeds(request_: AblationRequest) -> None:
    several = AblationRequest(**{**vars(request_), "seeds": {"bigan": [0, 1], "anogan": [2]}})
    found = [(cell.detector, cell.seed) for cell in planned(several)]
    assert found == [("bigan", 0), ("bigan", 1)] * 8 + [("anogan", 2)] * 8


def test_test_frames_are_spread() -> None:
    frames = [MaskedFrame(Path(f"{number}.png"), None) for number in range(10)]
    assert [frame.image_path.stem for frame in chosen_frames(frames, 4)] == ["0", "2", "5", "7"]
    assert chosen_frames(frames, None) == frames
    with pytest.raises(SemedgeError, match=r"10 frames.* 11 "):
        chosen_frames(frames, 11)


def test_an_ablation_that_is_finished_computes_nothing(
    request_: AblationRequest, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    finish(out, planned(request_), missing=None)
    ablation = ablate(request_, Execution(out))
    assert [result.auroc for result in ablation.results.values()] == pytest.approx(
        [0.5 + number / 100 for number in range(8)]
    )
    assert (
        "| LF + SL + IN | 0.570 | 0.250 | 0.500 | 0.300 | 0.200 |"
        in (out / "ablation.md").read_text()
    )
    assert not (out / "logs").exists()


def test_cells_of_other_settings_are_refused(request_: AblationRequest, tmp_path: Path) -> None:
    cells = planned(request_)
    finish(tmp_path, cells)
    other = [cell.model_copy(update={"steps": 7}) for cell in cells]
    with pytest.raises(SemedgeError, match=r"anogan_Normal_0\.json.* steps 1, .*7"):
        read_cells(tmp_path, other)
    assert len(read_cells(tmp_path, cells)) == 7


@pytest.mark.parametrize("content", ["", "{}", '{"format_version": 2}'])
def test_what_is_no_cell_is_refused(
    request_: AblationRequest, tmp_path: Path, content: str
) -> None:
    cells = planned(request_)
    finish(tmp_path, cells)
    cell_path(tmp_path, cells[2]).write_text(content)
    with pytest.raises(SemedgeError, match=cell_path(tmp_path, cells[2]).name.replace("+", r"\+")):
        read_cells(tmp_path, cells)


def test_two_ablations_in_one_folder_are_refused(request_: AblationRequest, tmp_path: Path) -> None:
    with locked(tmp_path / "ablation", ""), pytest.raises(SemedgeError, match=str(tmp_path)):
        ablate(request_, Execution(tmp_path))


def test_a_detector_without_the_switches_is_refused(
    request_: AblationRequest, tmp_path: Path
) -> None:
    request = AblationRequest(**{**vars(request_), "seeds": {"ebgan": [0]}})
    with pytest.raises(
        SemedgeError, match=r"ebgan has no option instance_noise\. Received: instance_noise=true"
    ):
        ablate(request, Execution(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_cell_that_takes_too_long_is_ended_and_named(
    request_: AblationRequest, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    finish(out, planned(request_))
    ablation = ablate(request_, Execution(out, timeout_s=0.5))
    assert ablation.failures == {"anogan_IN-SL_0": "it took longer than --timeout-s allows"}
    assert len(ablation.results) == 7
    assert "| IN + SL | - | - | - | - | - |" in (out / "ablation.md").read_text()


def test_packed_frames_keep_their_order_and_their_masks(
    request_: AblationRequest, tmp_path: Path
) -> None:
    packed = pack_frames(request_.images, match_masks(request_.test_images, request_.masks))
    for kind, files in packed.items():
        (tmp_path / "sent" / kind).mkdir(parents=True)
        for name, content in files.items():
            (tmp_path / "sent" / kind / name).write_bytes(content)
    sent = tmp_path / "sent"
    there = AblationRequest(
        **{
            **vars(request_),
            "images": str(sent / "normal"),
            "test_images": sent / "test",
            "masks": sent / "masks",
        }
    )
    assert planned(there) == planned(request_)


def test_markdown_has_mean_and_spread_over_seeds_and_the_thesis_beside() -> None:
    results = {
        some_cell(seed=0): a_result(auroc=0.5, precision=0.1, recall=1.0, f1=0.2),
        some_cell(seed=1): a_result(auroc=0.7, precision=0.3, recall=0.8, f1=0.4),
        some_cell(seed=0, subset="IN"): a_result(auroc=0.6, precision=0.1, recall=1.0, f1=0.2),
        some_cell(seed=1, subset="IN"): a_result(score=None, diverged="loss is nan"),
        some_cell(seed=0, subset="SL"): a_result(score=None, diverged="loss is nan"),
        some_cell(seed=0, subset="LF"): a_result(),
    }
    lines = as_markdown(["bigan"], results).splitlines()
    assert lines[0] == "### Ablation of bigan (thesis, table 52)"
    assert lines[4:8] == [
        "| Normal | 0.600 ± 0.141 | 0.200 ± 0.141 | 0.900 ± 0.141 | 0.300 ± 0.141 | - | 0.396 |",
        "| IN | 0.600 (1 diverged) | 0.100 (1 diverged) | 1.000 (1 diverged) "
        "| 0.200 (1 diverged) | - | 0.593 |",
        "| SL | diverged | diverged | diverged | diverged | diverged | 0.546 |",
        "| LF | undefined | undefined | undefined | undefined | undefined | 0.634 |",
    ]
    assert lines[8] == "| IN + SL | - | - | - | - | - | 0.536 |"
    assert "600 steps; measured on patches at stride 16 of 20 frames" in lines[-5]
    assert "each with probability 0.2, in the first fifth of the training" in lines[-4]
    assert "oracle" in lines[-3]
    assert lines[-2].startswith("- bigan: seeds 0, 1; score inversion on 8 patches")
    assert lines[-1].startswith("- A row of several seeds has their mean and standard deviation.")


def full_table(detector: str, *seeds: int) -> dict[CellSettings, CellResult]:
    """Every row, at 0.5 plus what its switches add (0.03, -0.01, 0.1) and 0.02 for each seed."""
    added = dict(zip(SWITCHES, (0.03, -0.01, 0.1), strict=True))
    return {
        some_cell(detector=detector, subset=subset, seed=seed): a_result(
            auroc=0.5 + sum(added[switch] for switch in chosen) + 0.02 * seed,
            auroc_interval=(0.4, 0.6),
        )
        for subset, chosen in SUBSETS.items()
        for seed in seeds
    }


def test_notes_say_what_each_switch_does_and_what_chance_does() -> None:
    text = as_markdown(["bigan"], full_table("bigan", 0, 1))
    assert (
        "- bigan: effects IN +0.030 ± 0.016, SL -0.010 ± 0.016, LF +0.100 ± 0.016; interactions of "
        "the switches 0.000 (root mean square); standard deviation between seeds 0.014." in text
    )
    assert text.endswith("half its 95 % confidence interval, by the spread between seeds.\n")
    once = as_markdown(["alad"], full_table("alad", 3))
    assert "- alad: seed 3; score" in once
    assert "- alad: effects IN +0.030, SL -0.010, LF +0.100; interactions" in once
    assert once.endswith("less that of the four without.\n")
    assert "several seeds" not in once


def test_an_effect_that_rounds_to_zero_has_no_sign_of_its_own() -> None:
    results = {
        settings: result.model_copy(update={"auroc": 0.5 - 1e-5 * (settings.subset == "IN")})
        for settings, result in full_table("bigan", 0).items()
    }
    assert "effects IN +0.000, SL +0.000, LF +0.000;" in as_markdown(["bigan"], results)


def test_notes_of_tables_with_one_seed_and_with_several_state_both() -> None:
    results = full_table("bigan", 0, 1) | full_table("alad", 0)
    text = as_markdown(["bigan", "alad"], results)
    assert "- bigan: seeds 0, 1; " in text
    assert "- alad: seed 0; " in text
    assert "| Normal | 0.510 ± 0.014 |" in text
    assert "| Normal | 0.500 (0.400-0.600) |" in text
    assert "A row of several seeds has" in text
    assert "A row of one seed has the 95 % bootstrap interval" in text


def test_notes_state_the_sample_and_the_search() -> None:
    cell = some_cell(
        detector="anogan", patches=1500, search_steps=50, quantization=None, mixed_precision=True
    )
    result = a_result(auroc=0.5, auroc_interval=(0.4, 0.6), patches=1500, anomalous=500)
    text = as_markdown(["anogan"], {cell: result})
    assert "| Normal | 0.500 (0.400-0.600) |" in text
    assert "steps, mixed precision; measured" in text
    assert (
        "anogan: seed 0; score inversion on 1,500 patches, a seeded sample with 500 anomalous "
        "ones, of which precision and F1 count the normal ones as often as the frames have them; "
        "50 steps of the search for each latent, in TensorFlow." in text
    )
    scored = {some_cell(patches=1000): a_result(auroc=0.5, patches=1000)}
    assert "on 1,000 patches, a seeded sample, as many of each frame; exported in int8." in (
        as_markdown(["bigan"], scored)
    )


def test_latex_and_csv_hold_the_same_figures() -> None:
    cells = [some_cell(seed=0), some_cell(seed=1)]
    results = {
        cells[0]: a_result(auroc=0.5, auroc_interval=(0.4, 0.6), precision=0.1, recall=1.0, f1=0.2),
        cells[1]: a_result(auroc=0.7, precision=0.3, recall=0.8, f1=0.4),
    }
    latex = as_latex(["bigan"], results)
    row = r"Normal & 0.600 $\pm$ 0.141 & 0.200 $\pm$ 0.141 & 0.900 $\pm$ 0.141 & 0.300 $\pm$ 0.141"
    assert row + r" & - \\" in latex
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") == 1
    rows = list(csv.DictReader(io.StringIO(as_csv(results))))
    assert [(row["subset"], row["seed"], row["auroc"]) for row in rows] == [
        ("Normal", "0", "0.5"),
        ("Normal", "1", "0.7"),
    ]
    assert (rows[0]["auroc_low"], rows[0]["auroc_high"]) == ("0.4", "0.6")
