# More than 300 lines: the tests of three options that share their data.
"""Validation and test rows: taken before anything is learned, the same again for a stored run, and scored."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import GIVEN, ROWS, D, Run, T, arrays, assert_error, labels, write_csv

from amtl_cvx.cli import main
from amtl_cvx.data import read
from amtl_cvx.errors import DataError
from amtl_cvx.experiment import COUPLING_PATH, choose
from amtl_cvx.holdout import draw
from amtl_cvx.losses import Squared
from amtl_cvx.problem import Model
from amtl_cvx.runfolder import read_run
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import LossWeightedL1

NAMES = ("ash", "birch", "cedar")
COLUMNS = ("--task", "kind", "--target", "price")


def described(folder: str = "run") -> dict[str, Any]:
    return dict(json.loads(Path(folder, "run.json").read_text()))


def write_marked(path: Path, words: list[str], data: dict[str, Any] | None = None) -> None:
    """A table with one more column, `use`."""
    write_csv(path, data or arrays(), NAMES)
    rows = list(csv.reader(path.read_text().splitlines()))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([*row, word] for row, word in zip(rows, ["use", *words], strict=True))


def rmse(folder: str, X: np.ndarray, y: np.ndarray, task: np.ndarray) -> float:
    """Mean over tasks of the root mean squared error, of raw rows, from the files alone."""
    W, learned = np.load(f"{folder}/solution.npz")["W"], described(folder)["preparation"]
    rows = np.column_stack([(X - learned["center"]) / learned["scale"], np.ones(len(X))])
    errors = ((rows @ W)[np.arange(len(y)), task] - y) ** 2
    return float(np.mean([np.sqrt(errors[task == t].mean()) for t in np.unique(task)]))


USE = ["test" if i % 4 == 1 else "validation" if i % 4 == 3 else "train" for i in range(T * ROWS)]


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table whose column marks the parts, `run`, and the same rows as three files."""
    folder, data = tmp_path_factory.mktemp("marked"), arrays()
    write_marked(folder / "a.csv", USE)
    for part in ("train", "validation", "test"):
        chosen = np.array(USE) == part
        write_csv(folder / f"{part}.csv", {key: data[key][chosen] for key in ("X", "y", "task")}, NAMES)
    column = ("--validation", "column:use", "--test", "column:use")
    options = (*COLUMNS, *GIVEN, "--standardize", "--intercept", "--quiet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("amtl_cvx.runfolder.folder.write_pictures", lambda *what, **more: None)
        assert main(["fit", str(folder / "a.csv"), "--out", str(folder / "run"), *column, *options]) == 0
    return folder


def test_a_column_marks_rows_and_is_no_feature(
    marked: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(marked)
    data, use = arrays(), np.array(USE)
    stored, content = read_run("run"), described()
    assert stored.feature_names == tuple(f"x{j}" for j in range(D)) and content["data"]["rows"] == [6] * T
    train = data["X"][use == "train"]
    assert stored.preparation is not None  # learned from the training rows alone
    np.testing.assert_allclose(stored.preparation.center, train.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(stored.preparation.scale, train.std(axis=0), rtol=1e-12)
    for part, key in (("test", "rmse"), ("validation", "validation rmse")):
        chosen = use == part
        expected = rmse("run", data["X"][chosen], data["y"][chosen], data["task"][chosen])
        assert content["scores"]["alternating"][key] == pytest.approx(expected, rel=1e-12)
    answer = run("certify", "a.csv", "run")  # the same rows are taken out again
    assert answer.code == 0 and "not the data of the run" not in answer.out
    predicted = run("predict", "run", "a.csv", *COLUMNS)
    assert predicted.code == 0 and len(predicted.out.splitlines()) == 1 + T * ROWS


def test_files_are_the_parts_that_a_column_marks(marked: Path, run: Run, tmp_path: Path) -> None:
    files = {part: marked / f"{part}.csv" for part in ("train", "validation", "test")}
    parts = ("--validation", files["validation"], "--test", files["test"])
    options = (*COLUMNS, *GIVEN, "--standardize", "--intercept")
    answer = run("fit", files["train"], "--out", "run", *parts, *options)
    assert answer.code == 0 and "(9 for validation, 9 for test)" in answer.out
    one, other = described(), described(str(marked / "run"))
    assert one["scores"] == other["scores"] and one["data"]["fingerprint"] == other["data"]["fingerprint"]
    for part, name in (("validation", "alternating"), ("test", "stl at the same coupling")):
        assert f"\n{part}, {name}: rmse " in answer.out
    raw = read(files["test"], task="kind", target="price").train
    X, y, task = raw.stacked()
    assert one["scores"]["alternating"]["rmse"] == pytest.approx(rmse("run", X, y, task), rel=1e-12)


def test_a_share_is_drawn_within_tasks_and_classes_by_the_seed(run: Run) -> None:
    data = labels()
    np.savez("a.npz", **data)
    options = ("--test", "0.25", "--validation", ".25", *GIVEN, "--quiet")
    assert run("fit", "a.npz", "--out", "one", "--seed", 3, *options).code == 0
    counts = [np.unique(data["y"][data["task"] == t], return_counts=True)[1] for t in range(T)]
    kept = [int(n - int(0.25 * n) - int(0.25 * n)) for pair in counts for n in pair]
    assert sum(described("one")["data"]["rows"]) == pytest.approx(sum(kept), abs=2 * T)
    answer = run("certify", "a.npz", "one")  # draws the same rows again
    assert answer.code == 0 and "not the data of the run" not in answer.out
    np.savez("a.npz", **{**data, "y": -data["y"]})  # other rows: nothing is taken out of them
    assert "not the data of the run" in run("certify", "a.npz", "one").out


@pytest.mark.parametrize("one_vs_rest", [False, True])
def test_a_draw_is_a_partition(rng: np.random.Generator, one_vs_rest: bool) -> None:
    X, classes = rng.normal(size=(40, 3)), rng.integers(3, size=40)
    tasks = TaskSet.one_vs_rest(X, classes)
    if not one_vs_rest:
        parts = [slice(0, 21), slice(21, 22), slice(22, 40)]
        tasks = TaskSet(tasks=tuple(Task(X=X[p], y=X[p, 0], name=str(t)) for t, p in enumerate(parts)))
    train, held = draw(tasks, 0.3, rng)
    for task in tasks:
        rows = [part[part.index(task.name)] for part in (train, held) if task.name in part.names]
        together = np.vstack([np.column_stack([row.X, row.y]) for row in rows])
        alone = np.column_stack([task.X, task.y])
        assert sorted(map(tuple, together)) == sorted(map(tuple, alone))
    if one_vs_rest:
        assert all(task.X is held[0].X for task in held) and all(task.X is train[0].X for task in train)
        counts = np.bincount(classes)
        assert [int((task.y > 0).sum()) for task in held] == [int(0.3 * n) for n in counts]
    else:
        assert held.names == ("0", "2") and held.counts.tolist() == [6, 5]  # one row cannot be spared


def test_auto_is_judged_on_the_validation_rows(run: Run) -> None:
    data = arrays()
    np.savez("a.npz", **data)
    np.savez("v.npz", X=data["X"], y=np.zeros(len(data["y"])), task=data["task"])
    answer = run("fit", "a.npz", "--out", "run", "--validation", "v.npz")
    chosen = described()["chosen"]
    assert answer.code == 0 and "values on the validation rows" in answer.out
    # nothing predicts zeros better than W = 0: the largest coupling, and the path goes on in vain
    couplings = [trial["coupling"] for trial in chosen["trials"]]
    assert chosen["coupling"] == max(couplings) and len(couplings) == len(COUPLING_PATH) + 3
    assert max(couplings) == pytest.approx(1e3 * couplings[len(COUPLING_PATH) - 1], rel=1e-9)
    assert "at the end of the path: give --coupling" in answer.out


def test_features_of_uneven_size_are_named_where_the_path_ends(run: Run) -> None:
    data = arrays()
    np.savez("a.npz", **{**data, "X": data["X"] * np.r_[1e6, np.ones(data["X"].shape[1] - 1)]})
    np.savez("v.npz", X=data["X"], y=np.zeros(len(data["y"])), task=data["task"])
    options = ("--validation", "v.npz", "--method", "stl", "--mu", "1")
    answer = run("fit", "a.npz", "--out", "run", *options)
    assert "at the end of the path" in answer.out and "features differ in size by a factor of" in answer.out
    assert "--standardize brings them to one size" in answer.out
    again = run("fit", "a.npz", "--out", "run", "--standardize", *options)
    assert "differ in size" not in again.out


def test_the_path_ends_once_its_best_is_inside(rng: np.random.Generator) -> None:
    w = np.ones(4)
    X = [rng.normal(size=(12, 4)) for _ in range(3)]
    y = [x @ w + rng.normal(scale=100.0, size=12) for x in X]  # noise: hardly any W is worth it
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=1.0), coupling=1.0)
    found = choose(TaskSet.from_arrays(X, y), model, coupling=True, mu=True, rng=np.random.default_rng(0))
    couplings = [trial.coupling for trial in found.trials]
    assert couplings == sorted(couplings) and len(COUPLING_PATH) < len(couplings)
    losses = [trial.held_out_loss for trial in found.trials]
    place = couplings.index(found.model.coupling)
    assert losses[place] == min(losses)
    ended = place in (0, len(losses) - 1)
    assert ended == ("at the end" in found.sentence()) and (not ended or len(losses) == 9)


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "share of 1": (("--test", "1"), "between 0 and 1"),
    "negative": (("--test", "-0.2"), "between 0 and 1"),
    "all": (("--test", "0.6", "--validation", "0.6"), "less than 1"),
    "no column": (("--test", "column:"), "name of a column"),
    "other column": (("--test", "column:sort"), "sort"),
    "a feature": (("--test", "column:x0"), "must hold 0 and 1"),
    "the task": (("--test", "column:kind"), "the task or the target"),
    "half of the words": (("--test", "column:use"), "say --validation column:use as well"),
    "a decimal comma": (("--test", "0,2"), "--test as a share needs a decimal point, got 0,2: say 0.2"),
    "more than all": (("--test", "120%"), "--test as a share must lie between 0 and 1, got 120%"),
    "0 and 1 for two parts": (("--test", "column:use", "--validation", "column:use"), "mark one part only"),
    "no file": (("--test", "none.csv"), "there is no file"),
    "no file, by option": (("--test", "none.csv"), "error: --test: expected a "),
    "other tasks": (("--test", "oak.csv"), "'oak'"),
    "other columns": (("--validation", "a.npz"), "4 features"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_parts_are_one_line(run: Run, kind: str) -> None:
    options, word = BAD[kind]
    write_marked(Path("a.csv"), USE)
    write_csv(Path("oak.csv"), arrays(), ("ash", "birch", "oak"))
    if kind == "0 and 1 for two parts":
        write_marked(Path("a.csv"), [str(i % 2) for i in range(T * ROWS)])
    np.savez("a.npz", **arrays(X=arrays()["X"][:, :2]))
    data = "a.csv" if kind in ("other column", "half of the words", "0 and 1 for two parts") else "plain.csv"
    write_csv(Path("plain.csv"), arrays(), NAMES)
    assert_error(run("fit", data, "--out", "run", *COLUMNS, *GIVEN, *options), word)
    assert not Path("run").exists()


def test_bad_column_of_what_is_no_table(run: Run) -> None:
    np.savez("a.npz", **arrays())
    assert_error(run("fit", "a.npz", "--out", "run", "--test", "column:use", *GIVEN), "FRACTION")


def test_parquet_and_folders_have_parts_too(run: Run) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    data = arrays()
    table = {"kind": [NAMES[t] for t in data["task"]], "price": data["y"]}
    table["use"] = [i % 4 == 1 for i in range(T * ROWS)]
    table |= {f"x{j}": data["X"][:, j] for j in range(D)}
    parquet.write_table(pyarrow.table(table), "a.parquet")
    write_marked(Path("a.csv"), [str(i % 4 == 1) for i in range(T * ROWS)])
    Path("rows").mkdir()
    for name in ("X", "y", "task"):
        np.save(f"rows/{name}.npy", data[name])
    options = (*GIVEN, "--quiet")
    for file in ("a.parquet", "a.csv"):
        assert run("fit", file, "--out", file[2:], *COLUMNS, "--test", "column:use", *options).code == 0
    assert run("certify", "a.parquet", "parquet").code == 0
    assert described("csv")["scores"] == described("parquet")["scores"]
    assert run("fit", "rows", "--out", "run", "--test", "0.25", *options).code == 0
    assert described()["data"]["rows"] == [9] * T and run("certify", "rows", "run").code == 0


def test_a_solution_scores_raw_tasks(marked: Path) -> None:
    import dataclasses

    from amtl_cvx import Preparation, fit

    tasks = read(marked / "train.csv", task="kind", target="price").train
    test = read(marked / "test.csv", task="kind", target="price").train
    preparation = Preparation.learn(tasks, standardize=True, intercept=True)
    model = read_run(marked / "run").model
    solution = fit(preparation.apply_tasks(tasks), model)
    solution = dataclasses.replace(solution, preparation=preparation)
    found = solution.score(test)
    assert found["rmse"] == pytest.approx(described(str(marked / "run"))["scores"]["alternating"]["rmse"])
    pooled = np.concatenate([solution.predict(task.name, task.X) - task.y for task in test])
    assert found["pooled rmse"] == pytest.approx(np.sqrt(np.mean(pooled**2)), rel=1e-12)
    some = TaskSet(tasks=(test[2], test[0]), feature_names=test.feature_names)
    errors = [solution.predict(task.name, task.X) - task.y for task in some]
    expected = np.mean([np.sqrt(np.mean(e**2)) for e in errors])
    assert solution.score(some)["rmse"] == pytest.approx(expected, rel=1e-12)
    with pytest.raises(DataError, match="'oak'"):
        solution.score(TaskSet(tasks=(Task(X=test[0].X, y=test[0].y, name="oak"),)))
    with pytest.raises(DataError, match="4 features"):
        solution.score(TaskSet.from_arrays([np.ones((2, 3))], [np.ones(2)], names=["ash"]))


def test_features_of_very_different_sizes_are_named_where_a_fit_stalls(run: Run) -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(size=4)
    X = [rng.normal(size=(20, 4)) for _ in range(3)]
    y = [x @ (w + 0.3 * rng.normal(size=4)) + 0.3 * rng.normal(size=20) for x in X]
    stacked = {"X": np.vstack(X) * [1, 1, 1e3, 1e6], "y": np.concatenate(y)}
    np.savez("a.npz", **stacked, task=np.repeat([0, 1, 2], 20))
    options = ("--coupling", "3.3e9", "--mu", "3.4e-4", "--no-refine", "--max-rounds", "1")
    answer = run("fit", "a.npz", "--out", "run", *options)
    assert answer.code == 1 and "next: --standardize: the features differ in size" in answer.out
    assert run("fit", "a.npz", "--out", "other", "--standardize", *options).code == 0


def test_a_tolerance_below_rounding_says_so(run: Run) -> None:
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", "--tol", "1e-17", *GIVEN)
    assert answer.code == 1 and "next: a --tol above about 1e-13" in answer.out and "rounding" in answer.out


def test_explore_keeps_the_test_rows_of_a_column_out(marked: Path, run: Run) -> None:
    column = ("--validation", "column:use")
    prepared = (*GIVEN, "--standardize", "--intercept", "--starts", "1")
    options = ("explore", marked / "a.csv", "--out", "out", *COLUMNS, *prepared, *column)
    assert_error(run(*options), "say --test column:use as well")
    answer = run(*options, "--test", "column:use")
    assert answer.code == 0 and "18 rows to train on (9 for validation, 9 for test)" in answer.out
    data, use = arrays(), np.array(USE) == "validation"
    expected = rmse("out", *(data[key][use] for key in ("X", "y", "task")))
    assert described("out")["scores"]["lowest J"]["validation rmse"] == pytest.approx(expected, rel=1e-12)
    assert described("out")["data"]["fingerprint"] == described(str(marked / "run"))["data"]["fingerprint"]


def test_a_run_that_goes_on_holds_the_same_rows_out(run: Run) -> None:
    np.savez("a.npz", **arrays())
    assert run("fit", "a.npz", "--out", "run", "--test", "25%", "--seed", "5", *GIVEN).code == 0
    answer = run("fit", "a.npz", "--out", "new", "--start", "run")
    assert answer.code == 0 and "its data were others" not in answer.out
    assert described("new")["data"]["fingerprint"] == described("run")["data"]["fingerprint"]
    for part, value in described("run")["scores"]["alternating"].items():
        assert described("new")["scores"]["alternating"][part] == pytest.approx(value, rel=1e-9)


def test_a_part_may_have_some_of_the_tasks(run: Run) -> None:
    data = arrays()
    use = [str(int(data["task"][i] == 2 and i % 3 == 0)) for i in range(T * ROWS)]
    write_marked(Path("a.csv"), use)
    options = (*COLUMNS, *GIVEN, "--standardize", "--intercept", "--quiet")
    assert run("fit", "a.csv", "--out", "run", "--test", "column:use", *options).code == 0
    chosen = np.array(use) == "1"
    expected = rmse("run", data["X"][chosen], data["y"][chosen], data["task"][chosen])
    assert described()["scores"]["alternating"]["rmse"] == pytest.approx(expected, rel=1e-12)
    assert run("certify", "a.csv", "run").code == 0


def test_scores_on_the_rows_that_are_trained_on_come_with_a_warning(run: Run) -> None:
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", "--test", "a.npz", *GIVEN)
    assert answer.code == 0 and answer.err.startswith("warning: --test a.npz has rows that are trained on")
    data = arrays()
    write_csv(Path("part.csv"), {key: values[::3] for key, values in data.items()})
    columns = (*COLUMNS, *GIVEN)
    write_csv(Path("all.csv"), data)
    answer = run("fit", "all.csv", "--out", "some", "--test", "part.csv", *columns)
    n = len(data["y"][::3])
    assert answer.err.startswith(f"warning: --test part.csv has rows that are trained on ({n} of {n}): its")
    lines = [line.split(",") for line in Path("part.csv").read_text().splitlines()]
    Path("less.csv").write_text("\n".join(",".join([*line[:1], *line[2:]]) for line in lines))
    words = f"--test must have the {D} features of DATA, it has {D - 1}, not 'x0'"
    assert_error(run("fit", "all.csv", "--out", "no", "--test", "less.csv", *columns), words)
    few = {key: np.concatenate([values[:1], values[::3]]) for key, values in data.items()}
    few["y"][1:] += 1.0
    write_csv(Path("few.csv"), few)
    assert run("fit", "all.csv", "--out", "few", "--test", "few.csv", *columns).err.count("trained on") == 0
