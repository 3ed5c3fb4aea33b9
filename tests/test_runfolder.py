# More than 300 lines: the tests of one folder.
"""The folder of a run: whole or absent, nobody's work replaced, and read back as it was written."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest

from amtl_cvx.cli import main
from amtl_cvx.data import Dataset
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.losses import Squared
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model
from amtl_cvx.runfolder import (
    RunFolder,
    check_replaceable,
    model_from_dict,
    model_to_dict,
    read_history,
    read_run,
    save,
)
from amtl_cvx.solution import Solution, Status, history_columns
from amtl_cvx.transfer import LossWeightedL1

OURS = json.dumps({"program": "amtl_cvx"})


@pytest.fixture(scope="module")
def run() -> tuple[Solution, Dataset]:
    tasks = cases.random_tasks(np.random.default_rng(3), d=3, counts=(7, 9, 8))
    preparation = Preparation.learn(tasks, standardize=True, intercept=True)
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.05), coupling=0.5)
    solution = fit(preparation.apply_tasks(tasks), model, method="curriculum", options=Options())
    return dataclasses.replace(solution, preparation=preparation), Dataset(name="a <b>", train=tasks)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders without pictures and report, which take most of the second that a folder takes."""
    monkeypatch.setattr("amtl_cvx.runfolder.folder.write_pictures", lambda *what: None)


def write(folder: RunFolder, run: tuple[Solution, Dataset], **changes: Any) -> None:
    given: dict[str, Any] = {"dataset": run[1], "arguments": {"tol": 1e-8}, "seed": 5, "scores": {}}
    folder.write(run[0], **{**given, **changes})


@pytest.mark.usefixtures("plain")
def test_nothing_is_there_until_it_is_whole(tmp_path: Path, run: tuple[Solution, Dataset]) -> None:
    place = tmp_path / "deep" / "run"
    with RunFolder(place) as folder:
        assert not place.exists()
        write(folder, run)
        assert place.is_dir()
    assert os.listdir(place.parent) == ["run"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_leaving_early_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "here").mkdir()
    with pytest.raises(type(error)), RunFolder(tmp_path / "here" / "deep" / "run"):
        raise error
    assert os.listdir(tmp_path) == ["here"] and not os.listdir(tmp_path / "here")


@pytest.mark.usefixtures("plain")
def test_a_failure_while_writing_keeps_the_old_run(
    tmp_path: Path, run: tuple[Solution, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "run"
    place.mkdir()
    (place / "run.json").write_text(OURS)

    def full(*args: Any, **settings: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(DataError, match="No space left"), RunFolder(place) as folder:
        write(folder, run)
    assert (place / "run.json").read_text() == OURS and os.listdir(tmp_path) == ["run"]


@pytest.mark.usefixtures("plain")
def test_numbers_that_cannot_be_moved_stay_in_the_work_folder(
    tmp_path: Path, run: tuple[Solution, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "run"
    place.mkdir()
    (place / "run.json").write_text(OURS)

    def refuse(source: Any, target: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        with pytest.raises(DataError, match="Input/output error") as failed, RunFolder(place) as folder:
            write(folder, run)
    assert (place / "run.json").read_text() == OURS and os.listdir(tmp_path) == ["run"]
    kept = Path(str(failed.value).rpartition("the numbers are in ")[2])
    np.testing.assert_array_equal(read_run(kept).W, run[0].W)
    with RunFolder(place):
        assert read_run(kept).model == run[0].model  # no later run takes it for litter


@pytest.mark.usefixtures("plain")
def test_work_that_appears_meanwhile_is_left_alone(tmp_path: Path, run: tuple[Solution, Dataset]) -> None:
    place = tmp_path / "run"
    with RunFolder(place) as folder:
        place.mkdir()
        (place / "thesis.tex").write_text("years")
        with pytest.raises(DataError, match="left alone") as failed:
            write(folder, run)
    assert os.listdir(place) == ["thesis.tex"]
    kept = Path(str(failed.value).rpartition("the numbers are in ")[2])
    assert {path.name for path in tmp_path.iterdir()} == {"run", kept.parent.name}
    np.testing.assert_array_equal(read_run(kept).W, run[0].W)


@pytest.mark.parametrize(
    "content, ours",
    [
        ({}, True),
        ({"run.json": OURS}, True),
        ({"run.json": OURS, "notes.txt": "mine"}, True),
        ({"run.json": "{}"}, False),
        ({"run.json": "[1, 2]"}, False),
        ({"run.json": '"amtl_cvx"'}, False),
        ({"run.json": "{'program': 'amtl_cvx'"}, False),
        ({"run.json": "\ud800"}, False),
        ({"solution.npz": "x"}, False),
        ({".hidden": "x"}, False),
    ],
)
def test_what_may_be_replaced(tmp_path: Path, content: dict[str, str], ours: bool) -> None:
    place = tmp_path / "run"
    place.mkdir()
    for name, text in content.items():
        (place / name).write_bytes(text.encode(errors="surrogatepass"))
    if ours:
        check_replaceable(place)
        return
    with pytest.raises(DataError, match="left alone"):
        check_replaceable(place)


@pytest.mark.usefixtures("plain")
def test_a_run_reads_back(tmp_path: Path, run: tuple[Solution, Dataset], rng: np.random.Generator) -> None:
    solution, dataset = run
    with RunFolder(tmp_path / "run") as folder:
        write(folder, run, scores={"curriculum": {"rmse": 1.5}})
    for path in (tmp_path / "run", tmp_path / "run" / "solution.npz"):
        stored = read_run(path)
        np.testing.assert_array_equal(stored.W, solution.W)
        np.testing.assert_array_equal(stored.B, solution.B)
        np.testing.assert_array_equal(stored.losses, solution.losses)
        assert stored.order == solution.order and stored.task_names == solution.task_names
        assert stored.model == solution.model and stored.arguments == {"tol": 1e-8}
        assert stored.data["fingerprint"] == dataset.train.fingerprint()
        assert stored.preparation is not None and solution.preparation is not None
        X = rng.normal(size=(4, 3))
        np.testing.assert_array_equal(stored.preparation.apply(X), solution.preparation.apply(X))
    history = read_history(tmp_path / "run")
    assert [[getattr(r, c) for c in history_columns(("W", "B"))] for r in history] == [
        [getattr(r, c) for c in history_columns(("W", "B"))] for r in solution.history
    ]
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    assert described["seed"] == 5 and described["scores"] == {"curriculum": {"rmse": 1.5}}
    assert {"python", "numpy", "cvxpy", "amtl-cvx"} <= set(described["versions"])
    assert described["seconds"]["total"] > 0


@pytest.mark.usefixtures("plain")
def test_a_file_of_another_run_is_noticed(tmp_path: Path, run: tuple[Solution, Dataset]) -> None:
    with RunFolder(tmp_path / "run") as folder:
        write(folder, run)
    np.savez(tmp_path / "run" / "solution.npz", W=np.ones((3, 5)), B=np.zeros((5, 5)))
    with pytest.raises(DataError, match="5 tasks"):
        read_run(tmp_path / "run")


@pytest.mark.parametrize(
    "arrays",
    [
        {"W": np.ones(3), "B": np.zeros((3, 3))},
        {"W": np.ones((2, 3)), "B": np.zeros((2, 2))},
        {"W": np.full((2, 3), np.inf), "B": np.zeros((3, 3))},
        {"W": np.full((2, 3), "a"), "B": np.zeros((3, 3))},
        {"W": np.ones((2, 3)), "B": np.zeros((3, 3)), "order": [0.5, 1.0, 2.0]},
        {"W": np.ones((2, 3)), "B": np.zeros((3, 3)), "order": np.nan},
        {"W": np.ones((0, 0)), "B": np.zeros((0, 0))},
    ],
)
def test_foreign_solutions(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "solution.npz", **arrays)
    with pytest.raises(DataError):
        read_run(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["{", "\x00", '{"program": "amtl_cvx", "task_names": 3}', '{"program": "amtl_cvx", "task_names": ["a"]}'],
)
def test_damaged_run_json(tmp_path: Path, text: str) -> None:
    np.savez(tmp_path / "solution.npz", W=np.ones((2, 3)), B=np.zeros((3, 3)))
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError):
        read_run(tmp_path)


def test_a_bare_point_has_no_model(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", W=np.ones((2, 3)), B=np.zeros((3, 3)))
    stored = read_run(tmp_path / "p.npz")
    assert stored.task_names == ("task 0", "task 1", "task 2") and stored.preparation is None
    with pytest.raises(DataError, match=r"run\.json"):
        _ = stored.model


@pytest.mark.parametrize("weights", cases.WEIGHT_CASES, ids=cases.weight_id)
@pytest.mark.parametrize("loss", (*cases.LOSS_CASES, *cases.NONSMOOTH_CASES), ids=cases.loss_id)
def test_a_model_survives_json(loss: Any, weights: Any) -> None:
    model = Model(loss=loss, transfer=LossWeightedL1(mu=1 / 3), coupling=np.pi, task_weights=weights)
    assert model_from_dict(json.loads(json.dumps(model_to_dict(model)))) == model


@pytest.mark.parametrize(
    "change", [{"mu": None}, {"coupling": "x"}, {"task_weights": 3}, {"task_weights": ["a"]}]
)
def test_what_is_no_model(change: dict[str, Any]) -> None:
    model = model_to_dict(Model(loss=Squared(), transfer=LossWeightedL1(mu=1.0), coupling=1.0))
    with pytest.raises(DataError):
        model_from_dict({**model, **change})
    with pytest.raises(DataError):
        model_from_dict({})
    with pytest.raises(ModelError, match="unknown loss"):
        model_from_dict({**model, "loss": "x"})


@pytest.mark.sampled(2)
@pytest.mark.parametrize("prepared", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_python_user_saves_reads_back_and_certifies(
    tmp_path: Path, prepared: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks = cases.random_tasks(np.random.default_rng(3), d=3, counts=(7, 9, 8))
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.05), coupling=0.5)
    preparation = Preparation.learn(tasks, standardize=prepared, intercept=prepared)
    solution = fit(preparation.apply_tasks(tasks), model)
    solution = dataclasses.replace(solution, preparation=preparation if prepared else None)
    save(solution, str(tmp_path / "run"), tasks=tasks, name="towns")
    stored = read_run(str(tmp_path / "run"))
    np.testing.assert_array_equal(stored.W, solution.W)
    np.testing.assert_array_equal(stored.B, solution.B)
    assert stored.model == model and stored.data["name"] == "towns"
    assert stored.run["scores"] == {} and "towns" in (tmp_path / "run" / "report.html").read_text()
    X, y, task = tasks.stacked()
    np.savez(tmp_path / "a.npz", X=X, y=y, task=task, task_names=tasks.names)
    assert main(["certify", str(tmp_path / "a.npz"), str(tmp_path / "run")]) == 0
    assert "note:" not in capsys.readouterr().out


def test_save_refuses_the_tasks_of_another_fit(tmp_path: Path, run: tuple[Solution, Dataset]) -> None:
    solution, dataset = run
    assert solution.preparation is not None
    renamed = [dataclasses.replace(task, name=f"x{task.name}") for task in dataset.train]
    for tasks in (
        solution.preparation.apply_tasks(dataset.train),
        dataclasses.replace(dataset.train, tasks=tuple(renamed)),
    ):
        with pytest.raises(DataError):
            save(solution, tmp_path / "run", tasks=tasks)
    assert not os.listdir(tmp_path)


@pytest.mark.usefixtures("plain")
def test_what_is_saved_does_not_replace_something_better(
    tmp_path: Path, run: tuple[Solution, Dataset], caplog: pytest.LogCaptureFixture
) -> None:
    solution, tasks = run[0], run[1].train
    worse = dataclasses.replace(
        solution, status=Status.STALLED, blocks={**solution.blocks, "W": 2 * solution.W}
    )
    assert save(solution, tmp_path / "run", tasks=tasks) == tmp_path / "run" and not caplog.records
    assert save(worse, tmp_path / "run", tasks=tasks) == tmp_path / "run.uncertified"
    assert "run holds a certified run and was left as it is" in caplog.text
    np.testing.assert_array_equal(read_run(tmp_path / "run").W, solution.W)
    assert save(worse, tmp_path / "run", tasks=tasks, force=True) == tmp_path / "run"
    np.testing.assert_array_equal(read_run(tmp_path / "run").W, worse.W)


@pytest.mark.usefixtures("plain")
def test_a_saved_curriculum_remembers_its_start(tmp_path: Path, rng: np.random.Generator) -> None:
    tasks = cases.random_tasks(rng)
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.05), coupling=0.7)
    learned = fit(tasks, model, method="curriculum", options=Options(ridge=0.1, tol=1e-6))
    save(learned, tmp_path / "run", tasks=tasks)
    assert dict(read_run(tmp_path / "run").arguments) == {"tol": 1e-6, "ridge": 0.1}
    X, y, task = tasks.stacked()
    np.savez(tmp_path / "data.npz", X=X, y=y, task=task)
    assert main(["certify", str(tmp_path / "data.npz"), str(tmp_path / "run")]) == 0
    assert main(["certify", str(tmp_path / "data.npz"), str(tmp_path / "run"), "--ridge", "0.2"]) == 1
