"""Shared features on the command line: every option once, every wrong word a line, the files of a run."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.io
from command_line import Answer, D, Run, T, arrays, assert_error
from feature_oracle import Oracle

from amtl_cvx.cli import main
from amtl_cvx.data import read
from amtl_cvx.features import FeatureModel, GoMtlModel
from amtl_cvx.runfolder import folder as run_folder
from amtl_cvx.runfolder import read_run, read_state

WEIGHTS = ("--features", "2", "--mu", "0.05", "--gamma", "0.02", "--decay", "0.05")
AMTFL = ("--method", "amtfl-linear", *WEIGHTS)
GO_MTL = ("--method", "go-mtl", "--features", "2", "--mu", "0.05", "--decay", "0.05")
MODEL = {"features": 2, "mu": 0.05, "gamma": 0.02, "decay": 0.05, "alpha": 1.0}
NAMES = {"task_names": ["a", "b", "c"], "feature_names": ["p", "q", "r", "s"]}


@pytest.fixture(scope="session")
def fitted_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data `a.npz`, and the runs `run` of AMTFL and `gomtl`; not to be changed."""
    folder = tmp_path_factory.mktemp("features")
    np.savez(folder / "a.npz", **arrays(**NAMES))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(run_folder, "write_pictures", lambda *what: None)
        for words, out in ((AMTFL, "run"), (GO_MTL, "gomtl")):
            assert main(["fit", "a.npz", *words, "--out", out, "--quiet"]) == 0
    return folder


@pytest.fixture
def here(run: Run, fitted_once: Path) -> Run:
    """Commands beside copies of them."""
    shutil.copytree(fitted_once, ".", dirs_exist_ok=True)
    return run


def objective(model: FeatureModel, blocks: dict[str, Any], tasks: Any) -> float:
    """J by loops over its definition; A is 0 where there is none."""
    oracle = dataclasses.replace(Oracle.of(tasks, model), mp=mpmath.fp)
    return float(oracle.objective(blocks["L"], blocks["S"], blocks.get("A", np.zeros((tasks.T, 2)))))


def test_a_run_of_amtfl_holds_what_was_solved(here: Run) -> None:
    described = json.loads(Path("run/run.json").read_text())
    assert (described["family"], described["method"], described["level"]) == (
        "features",
        "amtfl-linear",
        "C2",
    )
    assert MODEL.items() <= described["model"].items() and MODEL.items() <= described["arguments"].items()
    assert described["arguments"]["init"] == "svd" and described["chosen"] is None
    others = {"coupling", "transfer", "omega", "sweep", "ridge", "engine"}
    assert not others & set(described["arguments"])
    with np.load("run/solution.npz") as file:
        stored = {name: file[name] for name in file}
    L, S, A, tasks = stored["L"], stored["S"], stored["A"], read("a.npz").train
    assert (L.shape, S.shape, A.shape) == ((D, 2), (2, T), (T, 2))
    losses = [np.mean((task.X @ L @ S[:, t] - task.y) ** 2) for t, task in enumerate(tasks)]
    np.testing.assert_allclose(stored["losses"], losses, rtol=1e-12)
    model = FeatureModel(**MODEL)
    assert float(stored["objective"]) == pytest.approx(objective(model, stored, tasks), rel=1e-12)
    with np.load("gomtl/solution.npz") as file:
        assert "A" not in file and json.loads(Path("gomtl/run.json").read_text())["family"] == "go-mtl"
        found, model = dict(file), GoMtlModel(features=2, mu=0.05, decay=0.05)
        assert float(found["objective"]) == pytest.approx(objective(model, found, tasks), rel=1e-12)


def test_every_option_once(here: Run) -> None:
    options = (
        *("--features", "2", "--alpha", "0.5", "--mu", "0.02", "--gamma", "3", "--gamma-per", "row"),
        *("--decay", "0.03", "--feedback", "nonnegative", "--price-floor", "0.001"),
        *("--reconstruct", "labelled", "--init", "random", "--seed", "3"),
        *("--loss", "huber:2", "--reduction", "sum", "--task-weights", "inverse-sqrt"),
        *("--standardize", "--intercept", "--tol", "1e-7", "--max-rounds", "7", "--solver", "CLARABEL"),
        *("--gpu", "off", "--solve-limit", "60", "--jobs", "1", "--level", "C3", "--test", "0.25"),
    )
    answer = here("fit", "a.npz", "--method", "amtfl-linear", *options, "--out", "new")
    assert answer.code == 0, answer
    said = "huber:2.0 loss (sum), 2 learned features, mu 0.02, decay 0.03, alpha 0.5, gamma 3 by row"
    assert f"{said}, nonnegative" in answer.out
    assert "start: --init random, seed 3" in answer.out
    described = json.loads(Path("new/run.json").read_text())
    model = FeatureModel(
        loss=read_run("new").model.loss, features=2, alpha=0.5, mu=0.02, gamma=3, gamma_per="row",
        decay=0.03, feedback="nonnegative", price_floor=0.001, reconstruct="labelled",
        task_weights="inverse-sqrt",
    )  # fmt: skip
    assert read_run("new").model == model and described["model"]["loss"] == "huber:2.0"
    assert set(described["scores"]) == {
        "amtfl-linear",
        "go-mtl at the same mu and decay",
        "stl with the decay as ridge",
    }
    assert "test, stl with the decay as ridge: rmse" in answer.out
    judged = here("certify", "a.npz", "new", "--json")
    assert judged.code == 0 and json.loads(judged.out)["objective"] == pytest.approx(
        json.loads(Path("new/certificate.json").read_text())["objective"], rel=1e-12
    )
    for words in (("--no-refine", "--max-rounds", "2"), ("--definition",)):
        short = here("fit", "a.npz", *GO_MTL, *words, "--out", "short", "--json", "--force")
        assert short.code == (1 if "--no-refine" in words else 0)
        assert json.loads(Path("short/run.json").read_text())["arguments"]["refine"] is (short.code == 0)


def shuffled(blocks: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """The same point with tasks and features in another order, and its names."""
    tasks, features = [2, 0, 1], [3, 1, 0, 2]
    found = {"L": blocks["L"][features], "S": blocks["S"][:, tasks]}
    if "A" in blocks:
        found["A"] = blocks["A"][tasks]
    return found, {
        "task_names": [NAMES["task_names"][t] for t in tasks],
        "feature_names": [NAMES["feature_names"][j] for j in features],
    }


def in_npz(blocks: Any, names: Any) -> str:
    np.savez("point.npz", **blocks, **names)
    return "point.npz"


def in_json(blocks: Any, names: Any) -> str:
    Path("point.json").write_text(
        json.dumps({name: block.tolist() for name, block in blocks.items()} | names)
    )
    return "point.json"


def in_folder(blocks: Any, names: Any) -> str:
    Path("point").mkdir()
    for name, block in blocks.items():
        np.save(f"point/{name}.npy", block)
    Path("point/names.json").write_text(json.dumps(names))
    return "point"


@pytest.mark.parametrize("write", [in_npz, in_json, in_folder])
@pytest.mark.parametrize("place, words", [("run", AMTFL), ("gomtl", GO_MTL)])
def test_a_point_from_elsewhere_is_judged_in_its_order(
    here: Run, write: Callable[[Any, Any], str], place: str, words: tuple[str, ...]
) -> None:
    words = tuple(word for word in words if word not in ("--features", "2"))  # as many as the point has
    judged = here("certify", "a.npz", write(*shuffled(dict(read_run(place).blocks))), *words, "--json")
    assert judged.code == 0, judged
    first = json.loads(Path(place, "certificate.json").read_text())
    assert json.loads(judged.out)["objective"] == pytest.approx(first["objective"], rel=1e-12)


def test_a_point_in_a_mat_is_in_the_order_of_the_data(here: Run) -> None:
    blocks = dict(read_run("run").blocks)
    scipy.io.savemat("point.mat", blocks)
    assert here("certify", "a.npz", "point.mat", *AMTFL).code == 0
    scipy.io.savemat("point.mat", {**blocks, "S": blocks["S"][:, ::-1]})
    assert here("certify", "a.npz", "point.mat", *AMTFL).code == 1
    assert_error(here("certify", "a.npz", "point.mat", "--method", "amtfl-linear"), "needs --mu")
    scipy.io.savemat("point.mat", {**blocks, "S": blocks["S"].T})
    assert_error(here("certify", "a.npz", "point.mat", *AMTFL), "S", "shape")
    scipy.io.savemat("point.mat", blocks)
    said = "point.mat holds L and S and A, blocks of AMTFL: say --method amtfl-linear"
    assert_error(here("certify", "a.npz", "point.mat"), said)
    assert_error(here("fit", "a.npz", "--start", "point.mat", "--out", "new"), said)
    scipy.io.savemat("point.mat", {name: blocks[name] for name in "LS"})
    assert_error(here("certify", "a.npz", "point.mat"), "holds L and S, blocks of GO-MTL")
    scipy.io.savemat("point.mat", {"L": blocks["L"]})
    assert_error(here("certify", "a.npz", "point.mat"), "variables W and B")


def test_certify_judges_by_what_is_said_now(here: Run) -> None:
    first, other = (
        json.loads(here("certify", "a.npz", "run", "--json", *words).out) for words in ((), ("--mu", "0.06"))
    )
    assert first["passes"] and not other["passes"]
    S = read_run("run").blocks["S"]
    assert other["objective"] - first["objective"] == pytest.approx(0.01 * np.abs(S).sum(), rel=1e-9)
    proved = here("certify", "a.npz", "run", "--level", "C4", "--digits", "12", "--figures")
    J = next(line for line in proved.out.splitlines() if line.startswith("J = "))
    assert proved.code == 0 and float(J[4:]) == pytest.approx(first["objective"], rel=1e-11)
    assert "S[0, c] = " in proved.out and here("certify", "a.npz", "run", "--level", "C5").code == 1
    for words in (
        ("--coupling", "1"),
        ("--mu", "auto"),
        ("--method", "go-mtl"),
        ("--proof", "p", "--level", "C5"),
    ):
        assert_error(
            here("certify", "a.npz", "run", *words), words[0] if words[0] != "--method" else "go-mtl"
        )


def test_predictions_are_those_of_L_S(here: Run) -> None:
    data, blocks = arrays(), read_run("run").blocks
    np.savez("rows.npz", X=data["X"][:5], feature_names=NAMES["feature_names"])
    lines = here("predict", "run", "rows.npz").out.splitlines()
    assert lines[0] == "row,a,b,c"
    found = np.array([[float(cell) for cell in line.split(",")[1:]] for line in lines[1:]])
    np.testing.assert_allclose(found, data["X"][:5] @ blocks["L"] @ blocks["S"], rtol=1e-12)


def test_points_from_many_starts_are_a_run(here: Run) -> None:
    answer = here("explore", "a.npz", *AMTFL, "--starts", "3", "--out", "points")
    assert answer.code == 0 and "3 starts" in answer.out
    said = json.loads(Path("points/run.json").read_text())["arguments"]
    assert (said["starts"], said["mu"], said["method"]) == (3, 0.05, "amtfl-linear") and "init" not in said
    assert here("certify", "a.npz", "points").code == 0
    assert_error(here("explore", "a.npz", *AMTFL, "--coupling", "1", "--out", "new"), "--coupling is of AMTL")


def test_an_exported_problem_is_fitted_by_its_settings(here: Run) -> None:
    assert here("export", "a.npz", "run", "--out", "problem").code == 0
    assert here("export", "a.npz", *AMTFL, "--out", "second").code == 0
    about, second = (json.loads(Path(f"{name}/problem.json").read_text()) for name in ("problem", "second"))
    assert about["sha256"] == second["sha256"] and MODEL.items() <= about.items()
    assert here("certify", "problem", "run").code == 0
    answer = here("fit", "problem", "--method", "amtfl-linear", "--start", "run", "--out", "new", "--json")
    assert answer.code == 0 and json.loads(answer.out)["certificate"]["passes"]


def test_a_fit_begins_at_a_run_and_goes_on_after_an_interrupt(
    here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    methods = import_module("amtl_cvx.features.methods")
    note, calls = methods.Run.note, [0]

    def stop(self: Any, *what: Any) -> None:
        note(self, *what)
        calls[0] += 1
        if calls[0] == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(methods.Run, "note", stop)
        stopped: Answer = here("fit", "a.npz", *AMTFL, "--out", "stopped", "--quiet")
    assert stopped.code == 130
    state = read_state(Path("stopped"))
    assert state is not None and len(state.history) == 4
    answer = here("fit", "a.npz", "--start", "stopped", "--out", "stopped")
    assert answer.code == 0 and "goes on from stopped, after 4 steps" in answer.out
    for name, block in read_run("run").blocks.items():
        np.testing.assert_array_equal(read_run("stopped").blocks[name], block)
    for start, words, said in (
        ("run", ("--init", "random"), "--init and --start"),
        ("run", ("--method", "stl"), "run is a run of AMTFL, --method stl is of another family"),
        ("gomtl", AMTFL, "gomtl is a run of GO-MTL"),
        ("run", ("--features", "3"), "L must have shape (4, 3)"),
        ("run/run.json", AMTFL, "--start"),
    ):
        assert_error(here("fit", "a.npz", "--start", start, *words, "--out", "new"), said)
    again = here("fit", "a.npz", "--start", "run/solution.npz", "--out", "again")
    assert again.code == 0 and "begins at L and S and A of run" in again.out


def test_csv_and_classes(here: Run) -> None:
    """Missing labels, class weights, names of a table."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 3)).round(3)
    y = np.where(X @ [1.0, -1.0, 0.5] + rng.normal(size=60) > 0, "yes", "no")
    lines = ["kind,x,y,z,label"]
    lines += [f"{'ab'[i % 2]},{','.join(map(str, X[i]))},{y[i] if i != 7 else ''}" for i in range(60)]
    Path("t.csv").write_text("\n".join(lines))
    columns = ("--task", "kind", "--target", "label")
    table = ("t.csv", *columns, "--missing", "drop", "--class-weight", "balanced")
    answer = here("fit", *table, *AMTFL, "--mu", "0.02", "--validation", "0.2", "--out", "classes")
    assert answer.code == 0 and "logistic loss (mean), 2 learned features" in answer.out, answer
    assert 'rows without a label, left out of the losses, but reconstructed: 1 of "b"' in answer.out
    assert "validation, amtfl-linear: accuracy" in answer.out
    assert here("certify", "t.csv", "classes").code == 0
    predicted = here("predict", "classes", "t.csv", *columns)
    decided = {line.split(",")[2] for line in predicted.out.splitlines()[1:]}
    assert predicted.code == 0 and decided == {"yes", "no"}
