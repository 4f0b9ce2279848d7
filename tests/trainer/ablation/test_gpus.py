"""Which GPU a cell of an ablation sees, without a GPU at hand."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import tensorflow as tf
from ablations import arguments, make_frames, planned

from semedge.core.errors import SemedgeError
from semedge_trainer.ablation import cluster, local
from semedge_trainer.ablation.cell import cell_environment, visible_gpus
from semedge_trainer.ablation.cluster import run_on_cluster
from semedge_trainer.ablation.local import run_locally
from semedge_trainer.ablation.plan import AblationRequest, CellJob, CellSettings
from semedge_trainer.commands import ablate as ablate_command


@pytest.fixture
def request_(tmp_path: Path) -> AblationRequest:
    return make_frames(tmp_path)


def a_job(settings: CellSettings, folder: Path) -> CellJob:
    return CellJob(
        settings=settings,
        images="normal",
        test_images="test",
        masks="masks",
        run_folder=str(folder / settings.name),
        threads=1,
    )


def test_a_cell_sees_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert cell_environment(2, "1")["CUDA_VISIBLE_DEVICES"] == "1"
    assert cell_environment(2)["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert cell_environment(2)["TF_NUM_INTRAOP_THREADS"] == "2"


@pytest.mark.parametrize(
    ("listed", "gpus"), [(None, ["0", "1"]), ("GPU-a,3,5", ["GPU-a", "3"]), ("2,7", ["2", "7"])]
)
def test_gpus_have_the_names_that_the_environment_gives_them(
    listed: str | None, gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a", "b"])
    if listed is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert visible_gpus() == gpus


def test_cells_are_spread_over_the_gpus(
    request_: AblationRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    class Process:
        def __init__(self, command: list[str], *, env: dict[str, str], **other: object) -> None:
            seen.append(env["CUDA_VISIBLE_DEVICES"])
            Path(command[-1]).write_bytes(b"cell")

        def poll(self) -> int:
            return 0

    monkeypatch.setattr(local.subprocess, "Popen", Process)
    jobs = [a_job(settings, tmp_path) for settings in planned(request_)[:5]]
    ends = list(run_locally(jobs, tmp_path, 3, 10.0, ["0", "1"]))
    assert [end.content for end in ends] == [b"cell"] * 5
    assert seen[:3] == ["0", "1", "0"]


@pytest.mark.parametrize(("resources", "gpus"), [({"CPU": 4.0}, 0), ({"CPU": 4.0, "GPU": 2.0}, 1)])
def test_a_cluster_is_asked_for_a_gpu_where_it_has_some(
    request_: AblationRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    resources: dict[str, float],
    gpus: int,
) -> None:
    asked = []

    class Cluster:
        """A cluster that computes each cell at once."""

        def put(self, value: object) -> object:
            return value

        def cluster_resources(self) -> dict[str, float]:
            return resources

        def remote(self, *given: object, **options: object) -> object:
            if options:
                asked.append(options)
                return lambda function: self
            return "cell"

        def wait(self, pending: list[object], **options: object) -> tuple[list[object], list]:
            return pending, []

        def get(self, reference: object) -> tuple[bytes, str]:
            return b"cell", ""

    monkeypatch.setattr(cluster, "joined_cluster", lambda address: nullcontext(Cluster()))
    jobs = [a_job(settings, tmp_path) for settings in planned(request_)[:1]]
    ends = list(run_on_cluster(jobs, "somewhere", {}, 10.0))
    assert [end.content for end in ends] == [b"cell"]
    assert [options["num_gpus"] for options in asked] == [gpus]


def test_the_process_that_plans_cells_takes_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def need(**options: object) -> None:
        asked.append(options)
        raise SemedgeError("enough")

    monkeypatch.setattr(ablate_command, "need_tensorflow", need)
    with pytest.raises(SemedgeError, match="enough"):
        ablate_command.ablate.main(
            [str(each) for each in arguments(tmp_path)[1:]], standalone_mode=False
        )
    assert asked == [{"gpus": False}]
