"""Streaming: factors say what the rows say, in any chunks; memory stays; certificates answer to the rows."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest
from command_line import ROWS, D, Run, arrays, assert_error, labels, listing, point
from command_line import T as TASKS

from amtl_cvx import data
from amtl_cvx.certificate import RowSums, certify, confirm
from amtl_cvx.commands.rows import confirmed_solution
from amtl_cvx.data import ChunkedRows, Dataset, evaluate, factor, hold_out, read, read_features
from amtl_cvx.data import rows as rows_module
from amtl_cvx.data import stream as stream_module
from amtl_cvx.errors import DataError
from amtl_cvx.experiment import COUPLING_PATH, score
from amtl_cvx.experiment import hold_out as hold_out_in_memory
from amtl_cvx.losses import Loss, Squared
from amtl_cvx.methods import fit
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model, Problem
from amtl_cvx.solution import Status
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import LossWeightedL1

Stacked = dict[str, Any]
COUNTS = (400, 3, 7, 1)
GIVEN = ("--coupling", "1", "--mu", "0.01")
MODEL = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)


@pytest.fixture
def stacked(rng: np.random.Generator) -> Stacked:
    """Rows of four tasks in any order; the third has one row more than d + 2, the last has one."""
    task = rng.permutation(np.repeat(np.arange(4), COUNTS))
    X = rng.normal(size=(len(task), 4)) * [1.0, 10.0, 1e-3, 1.0] + [0.0, 100.0, 5.0, -3.0]
    return {"X": X, "y": X @ [1.0, 0.1, 0.0, 2.0] + rng.normal(size=len(task)), "task": task}


def chunked(stacked: Stacked, size: int = 7, **names: Any) -> ChunkedRows:
    def make() -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(stacked["y"]), size):
            yield tuple(stacked[key][start : start + size] for key in ("X", "y", "task"))

    return ChunkedRows(make=make, **names)


def in_memory(stacked: Stacked, **names: Any) -> TaskSet:
    return TaskSet.from_stacked(stacked["X"], stacked["y"], stacked["task"], **names)


def gram(task: Task, ones: Any = None) -> np.ndarray:
    """[1 X y]'[1 X y]."""
    ones = np.ones(len(task.y)) if ones is None else ones
    rows = np.column_stack([ones, task.X, task.y])
    return rows.T @ rows


def assert_same_gram(got: TaskSet, expected: TaskSet, tol: float = 1e-13) -> None:
    assert got.names == expected.names and list(got.counts) == list(expected.counts)
    for mine, rows in zip(got, expected, strict=True):
        G = gram(rows)
        size = np.sqrt(np.outer(np.diag(G), np.diag(G)))  # Cauchy-Schwarz: what an entry can be at most
        assert np.abs(gram(mine, mine.ones) - G).max(initial=0.0, where=size <= 0) <= 0
        np.testing.assert_array_less(np.abs(gram(mine, mine.ones) - G)[size > 0], tol * size[size > 0])


def write(folder: Path, stacked: Stacked, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for key, value in {**stacked, **changes}.items():
        np.save(folder / f"{key}.npy", value)
    return folder


# ---- factors


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_factors_have_the_gram_matrices_of_the_rows(stacked: Stacked, size: int) -> None:
    got, expected = factor(chunked(stacked, size)), in_memory(stacked)
    assert_same_gram(got, expected)
    assert [len(task.y) for task in got] == [6, 3, 6, 1]  # d + 2 rows at most
    assert [task.compressed for task in got] == [True, False, True, False]
    for t in (1, 3):
        np.testing.assert_array_equal(got[t].X, expected[t].X)
        np.testing.assert_array_equal(got[t].y, expected[t].y)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses_and_gradients_are_those_of_the_rows(
    stacked: Stacked, reduction: str, rng: np.random.Generator
) -> None:
    model = dataclasses.replace(MODEL, loss=Squared(reduction=reduction))  # type: ignore[arg-type]
    got, expected, W = factor(chunked(stacked)), in_memory(stacked), rng.normal(size=(4, 4))
    for tasks in (got, model.compress(got)):
        np.testing.assert_allclose(model.losses(tasks, W), model.losses(expected, W), rtol=1e-12)
        np.testing.assert_allclose(
            model.loss_gradient(tasks, W), model.loss_gradient(expected, W), rtol=1e-9, atol=1e-9
        )
    assert max(len(task.y) for task in model.compress(got)) == 5


def test_the_fingerprint_is_that_of_the_rows(stacked: Stacked) -> None:
    seen = {factor(chunked(stacked, size)).fingerprint() for size in (1, 10, 5000)}
    assert len(seen) == 1
    prepared = Preparation.learn(factor(chunked(stacked)), standardize=True, intercept=True)
    assert prepared.apply_tasks(factor(chunked(stacked))).fingerprint() in seen
    changes = {key: stacked[key].copy() for key in ("X", "y", "task")}
    changes["X"][-1, 0] += 1e-9
    changes["y"][0] += 1e-9
    changes["task"][np.flatnonzero(stacked["task"] == 2)[0]] = 0
    seen |= {factor(chunked({**stacked, key: value})).fingerprint() for key, value in changes.items()}
    seen.add(factor(chunked(stacked, task_names=tuple("abcd"))).fingerprint())
    seen.add(factor(chunked(stacked, feature_names=tuple("abcd"))).fingerprint())
    assert len(seen) == 6


# ---- preparation


def test_a_preparation_learned_from_factors_is_that_of_the_rows(stacked: Stacked) -> None:
    stacked["X"] = np.column_stack([stacked["X"], np.full(len(stacked["y"]), 1e9 + 0.1)])
    got, expected = factor(chunked(stacked)), in_memory(stacked)
    mine = Preparation.learn(got, standardize=True, intercept=True)
    theirs = Preparation.learn(expected, standardize=True, intercept=True)
    np.testing.assert_allclose(mine.center, theirs.center, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(mine.scale, theirs.scale, rtol=1e-13)
    assert theirs.center[-1] == 1e9 + 0.1 and mine.scale[-1] == 1.0  # constant: centred, not scaled
    for learned, tasks in ((mine, got), (theirs, got), (theirs, expected), (mine, expected)):
        assert not any(task.X[:, -2].any() for task in learned.apply_tasks(tasks))
    assert_same_gram(theirs.apply_tasks(got), theirs.apply_tasks(expected), tol=1e-12)


@pytest.mark.parametrize("mean", [1e3, 1.6e9, 1e12])
def test_a_large_mean_costs_the_deviations_nothing(mean: float, rng: np.random.Generator) -> None:
    deviations = np.round(rng.normal(size=(3000, 1)) * 1e5)  # whole, so that mean + deviation is exact
    stacked = {"X": mean + deviations, "y": rng.normal(size=3000), "task": np.arange(3000) % 2}
    found = Preparation.learn(factor(chunked(stacked, 100)), standardize=True, intercept=False)
    assert found.scale[0] == pytest.approx(deviations.std(), rel=1e-11)
    assert found.center[0] == pytest.approx(mean + deviations.mean(), rel=1e-14, abs=1e-9)


def test_a_small_deviation_is_still_one(rng: np.random.Generator) -> None:
    X = 1.0 + 2.0**-43 * rng.integers(-1, 2, size=(3000, 1))  # 1e-13, above rounding
    stacked = {"X": X, "y": rng.normal(size=3000), "task": np.arange(3000) % 2}
    found = Preparation.learn(factor(chunked(stacked, 100)), standardize=True, intercept=False)
    assert found.scale[0] == pytest.approx((X - 1.0).std(), rel=1e-2)


def test_a_factor_without_ones_cannot_be_prepared(stacked: Stacked) -> None:
    small = MODEL.compress(factor(chunked(stacked)))
    with pytest.raises(DataError, match="compressed"):
        Preparation.learn(small, standardize=True, intercept=False)
    with pytest.raises(DataError, match="ones of 'a' must have shape"):
        Task(X=np.ones((3, 1)), y=np.ones(3), name="a", ones=np.ones(2))


# ---- passes over rows


@pytest.mark.parametrize("loss", cases.LOSS_CASES, ids=cases.loss_id)
@pytest.mark.parametrize("prepare", [False, True])
def test_sums_over_the_rows_are_those_in_memory(loss: Loss, prepare: bool, rng: np.random.Generator) -> None:
    tasks = cases.tasks_for(loss, rng)
    preparation = Preparation.learn(tasks, standardize=prepare, intercept=prepare)
    W = rng.normal(size=(tasks.d + prepare, tasks.T))
    X, y, task = tasks.stacked()
    order = rng.permutation(len(y))
    sums = evaluate(chunked({"X": X[order], "y": y[order], "task": task[order]}, 5), W, loss, preparation)
    assert list(sums.counts) == list(tasks.counts)
    for t, part in enumerate(preparation.apply_tasks(tasks)):
        for at, w in enumerate((W[:, t], 0 * W[:, t])):
            assert loss.scale(part) * sums.losses[at, t] == pytest.approx(loss.value(part, w), rel=1e-12)
            np.testing.assert_allclose(
                loss.scale(part) * sums.gradients[at, :, t], loss.gradient(part, w), rtol=1e-10, atol=1e-12
            )


def test_held_out_rows_are_a_fifth_and_the_rest_is_the_training_part(stacked: Stacked) -> None:
    def drawn(size: int, seed: int) -> tuple[TaskSet, TaskSet | None, tuple[int, ...]]:
        return hold_out(chunked(stacked, size), np.random.default_rng(seed))

    train, held, index = drawn(9, 0)
    whole = in_memory(stacked)
    assert held is not None and train.T == 4
    for t, task in enumerate(whole):
        out = gram(held[index.index(t)], held[index.index(t)].ones) if t in index else 0.0
        np.testing.assert_allclose(gram(train[t], train[t].ones) + out, gram(task), rtol=1e-9, atol=1e-9)
    counts = dict(zip(index, held.counts, strict=True))
    assert all(train[t].n + counts.get(t, 0) == n for t, n in enumerate(COUNTS)) and 3 not in index
    assert abs(counts[0] - 80) < 4 * np.sqrt(400 * 0.2 * 0.8)  # four standard deviations
    other = drawn(400, 0)[1]
    assert other is not None and list(other.counts) == list(held.counts)
    grams = [gram(drawn(9, seed)[0][0], drawn(9, seed)[0][0].ones) for seed in (0, 1)]
    assert not np.allclose(*grams, rtol=1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_every_task_keeps_a_row(seed: int) -> None:
    stacked = {"X": np.ones((40, 1)), "y": np.arange(40.0), "task": np.arange(40) % 20}
    assert hold_out(chunked(stacked), np.random.default_rng(seed))[0].T == 20


def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "CHUNK", 1 << 12)
    monkeypatch.setattr(stream_module, "_BLOCK", 1 << 10)
    peaks = []
    for n in (20_000, 160_000):
        X = rng.normal(size=(n, 4))
        folder = write(tmp_path / str(n), {"X": X, "y": X[:, 0], "task": np.arange(n) % 3})
        del X
        rows = data.ArrayRows.open(folder)
        tracemalloc.start()
        evaluate(rows, np.ones((4, 3)), Squared())
        factor(rows)
        hold_out(rows, np.random.default_rng(0))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] < 0.5 * (160_000 * 4 * 8)


def test_observers_hear_every_row(stacked: Stacked) -> None:
    heard: list[int] = []
    factor(chunked(stacked, 100), observe=heard.append)
    assert heard == [100, 200, 300, 400, 411]


# ---- the certificate answers to the rows


def fitted(stacked: Stacked) -> tuple[Any, TaskSet, RowSums]:
    tasks = factor(chunked(stacked))
    solution = fit(tasks, MODEL)
    return solution, tasks, evaluate(chunked(stacked), solution.W, MODEL.loss)


def test_the_certificate_of_factors_stands_on_their_rows(stacked: Stacked) -> None:
    solution, tasks, sums = fitted(stacked)
    found = confirm(solution.certificate, tasks, MODEL.loss, sums)
    on_rows = certify(Problem(in_memory(stacked), MODEL).at(solution.W, solution.B))
    assert found.passes and found.level == "C2" and on_rows.passes
    assert solution.certificate.relative <= found.relative <= solution.certificate.relative + 1e-11
    assert on_rows.relative <= found.relative + 1e-13
    assert "411 rows" in found.reasons["rows"]


@pytest.mark.parametrize("change", ["y", "X", "row twice", "zero row", "moved", "lost task"])
def test_a_factor_of_other_rows_is_found_out(stacked: Stacked, change: str) -> None:
    solution, tasks, _ = fitted(stacked)
    X, y, task = (stacked[key].copy() for key in ("X", "y", "task"))
    first = np.flatnonzero(task == 0)[0]
    if change == "y":
        y[first] += 1e-3
    elif change == "X":
        X[first, 2] *= 1 + 1e-2
    elif change == "row twice":
        X, y, task = (np.concatenate([part, part[first, None]]) for part in (X, y, task))
    elif change == "zero row":  # no sum changes, only the count
        X, y, task = np.vstack([X, 0 * X[:1]]), np.append(y, 0.0), np.append(task, 0)
    elif change == "moved":
        task[first] = 2
    else:
        X, y, task = (part[task != 1] for part in (X, y, task))
    sums = evaluate(chunked({"X": X, "y": y, "task": task}), solution.W, MODEL.loss)
    found = confirm(solution.certificate, tasks, MODEL.loss, sums)
    assert solution.certificate.passes and not found.passes and found.level == "C0"
    assert "worst" in found.reasons["rows"]
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_perfect_fit_is_no_disagreement(rng: np.random.Generator) -> None:
    X = rng.normal(size=(300, 4))
    stacked = {"X": X, "y": X @ [1.0, 2.0, 3.0, 4.0], "task": np.arange(300) % 3}
    tasks = factor(chunked(stacked))
    W, B = np.tile([[1.0], [2.0], [3.0], [4.0]], (1, 3)), np.zeros((3, 3))
    found = confirm(
        certify(Problem(tasks, MODEL).at(W, B)), tasks, MODEL.loss, evaluate(chunked(stacked), W, MODEL.loss)
    )
    assert "worst" not in found.reasons["rows"]


def test_an_interrupt_while_judging_leaves_an_unjudged_point(stacked: Stacked) -> None:
    solution, tasks, _ = fitted(stacked)

    def stopped() -> Iterator[Any]:
        raise KeyboardInterrupt
        yield

    dataset = Dataset(name="a", train=tasks, rows=ChunkedRows(make=stopped))
    same = Preparation.learn(tasks, standardize=False, intercept=False)
    found = confirmed_solution(solution, dataset, same, lambda text: lambda seen: None)
    assert found.status is Status.INTERRUPTED and not found.certificate.passes
    assert found.certificate.level == "C0" and "interrupted" in found.certificate.reasons["rows"]


# ---- what needs the rows says so


def test_what_needs_the_rows_says_so(stacked: Stacked) -> None:
    tasks = factor(chunked(stacked))
    with pytest.raises(DataError, match="keep_rows"):
        dataclasses.replace(MODEL, loss=cases.LOSS_CASES[2]).check(tasks)
    with pytest.raises(DataError, match=r"data\.hold_out"):
        hold_out_in_memory(tasks, Squared(), np.random.default_rng(0))


def test_scores_from_factors_are_those_of_the_rows(stacked: Stacked) -> None:
    solution, tasks, _ = fitted(stacked)
    expected = score(solution, in_memory(stacked))
    assert score(solution, tasks) == pytest.approx(expected, rel=1e-12)
    errors = stacked["y"] - np.einsum("ij,ji->i", stacked["X"], solution.W[:, stacked["task"]])
    assert expected["pooled rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-12)


# ---- folders


@pytest.mark.parametrize(
    "change",
    [
        lambda X: X.astype(">f4"),
        lambda X: np.asfortranarray(X),
        lambda X: np.round(X).astype(">i2"),
        lambda X: X > 0,
        lambda X: np.asfortranarray(X.astype(np.float16)),
    ],
    ids=["big-endian single", "fortran", "big-endian short", "bool", "fortran half"],
)
def test_any_real_array_is_read(stacked: Stacked, change: Callable[..., Any], tmp_path: Path) -> None:
    X = change(stacked["X"])
    columns = {"y": stacked["y"][:, None], "task": stacked["task"].astype(np.float32)[:, None]}
    dataset = read(write(tmp_path / "rows", {**stacked, **columns, "X": X}))
    assert dataset.rows is not None and dataset.name == "rows" and dataset.source == "folder rows"
    assert_same_gram(dataset.train, in_memory({**stacked, "X": X.astype(float)}))


@pytest.mark.parametrize("order", ["C", "F"])
def test_chunks_are_small_and_in_order(
    stacked: Stacked, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "CHUNK", 400)
    chunks = list(data.ArrayRows.open(
        write(tmp_path / "rows", {**stacked, "X": np.asarray(stacked["X"], order=order)})
    ).chunks())  # fmt: skip
    assert max(chunk.X.size for chunk in chunks) == 400
    for key in ("X", "y", "task"):
        np.testing.assert_array_equal(np.concatenate([getattr(c, key) for c in chunks]), stacked[key])


def test_long_chunks_are_cut(stacked: Stacked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "CHUNK", 400)
    chunks = list(chunked(stacked, 5000).chunks())
    assert [len(chunk.y) for chunk in chunks] == [100] * 4 + [11]
    np.testing.assert_array_equal(np.concatenate([chunk.X for chunk in chunks]), stacked["X"])


def test_names_come_from_a_file(stacked: Stacked, tmp_path: Path) -> None:
    folder = write(tmp_path / "rows", stacked)
    names = {"task_names": ["a", "b", "c", 4], "feature_names": ["p", "q", "r", "s"]}
    (folder / "names.json").write_text(json.dumps(names))
    train = read(folder).train
    assert train.names == ("a", "b", "c", "4") and train.feature_names == ("p", "q", "r", "s")


def with_nan(array: np.ndarray, *place: int) -> np.ndarray:
    changed = array.astype(float)
    changed[place] = np.nan
    return changed


BAD: dict[str, tuple[Callable[[Path, Stacked], object], str]] = {
    "nan in X": (lambda p, s: write(p, s, X=with_nan(s["X"], 300, 2)), "X .*row 300, feature 2 is nan"),
    "nan in y": (lambda p, s: write(p, s, y=with_nan(s["y"], 301)), "y .*row 301 is nan"),
    "nan in task": (lambda p, s: write(p, s, task=with_nan(s["task"], 5)), "task .*NaN"),
    "short y": (lambda p, s: write(p, s, y=s["y"][:-1]), r"y \(410,\)"),
    "wide y": (lambda p, s: write(p, s, y=np.ones((411, 2))), r"y \(411, 2\)"),
    "flat X": (lambda p, s: write(p, s, X=s["X"].ravel()), r"X \(1644,\)"),
    "gap": (lambda p, s: write(p, s, task=np.where(s["task"] == 1, 9, s["task"])), "no row has task 1"),
    "negative": (lambda p, s: write(p, s, task=s["task"] - 1), "smallest is -1"),
    "fraction": (lambda p, s: write(p, s, task=s["task"] / 2), "fractions"),
    "complex": (lambda p, s: write(p, s, X=s["X"] * 1j), "X must hold real numbers"),
    "text": (lambda p, s: write(p, s, y=s["y"].astype(str)), "y must hold real numbers"),
    "objects": (lambda p, s: write(p, s, X=s["X"].astype(object)), "Python objects"),
    "no rows": (lambda p, s: write(p, {key: value[:0] for key, value in s.items()}), "at least one row"),
    "no features": (lambda p, s: write(p, s, X=s["X"][:, :0]), "features"),
    "no y": (lambda p, s: (write(p, s) / "y.npy").unlink(), r"y\.npy"),
    "cut": (lambda p, s: _cut(write(p, s) / "X.npy"), r"X\.npy claims 13152 bytes.*damaged"),
    "not npy": (lambda p, s: (write(p, s) / "X.npy").write_bytes(b"hello" * 99), "damaged"),
    "names": (lambda p, s: (write(p, s) / "names.json").write_text("[]"), r"names\.json must hold"),
    "bad json": (lambda p, s: (write(p, s) / "names.json").write_text("{"), "JSON"),
    "two names": (
        lambda p, s: (write(p, s) / "names.json").write_text('{"task_names": ["a", "b"]}'),
        "expected 4 task names, got 2",
    ),
    "five names": (
        lambda p, s: (write(p, s) / "names.json").write_text('{"feature_names": ["a", "b"]}'),
        "expected 4 feature names, got 2",
    ),
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_folder_is_one_line(kind: str, stacked: Stacked, tmp_path: Path) -> None:
    make, said = BAD[kind]
    make(tmp_path / "rows", stacked)
    with pytest.raises(DataError, match=rf"^rows: (?!rows).*{said}") as caught:
        read(tmp_path / "rows")
    assert "\n" not in str(caught.value)


def test_a_folder_has_its_name_from_inside_too(
    stacked: Stacked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write(tmp_path / "v1.2", stacked))
    assert read(".").name == "v1.2"
    Path("X.npy").write_bytes(b"none")
    with pytest.raises(DataError, match=r"^v1\.2: "):
        read(".")


def test_columns_do_not_belong_to_folders(stacked: Stacked, tmp_path: Path) -> None:
    for reader in (read, read_features):
        with pytest.raises(DataError, match="columns"):
            reader(write(tmp_path / "rows", stacked), task="a")


@pytest.mark.parametrize(
    "part, said",
    [
        ((np.ones((3, 5)), np.ones(3), np.zeros(3, int)), "expected 4 features from row 411 on, got 5"),
        ((np.ones(3), np.ones(3), np.zeros(3, int)), r"X \(3,\)"),
        ((np.full((3, 4), np.inf), np.ones(3), np.zeros(3, int)), "row 411, feature 0 is inf"),
    ],
)
def test_a_bad_chunk_is_named(stacked: Stacked, part: tuple[Any, ...], said: str) -> None:
    rows = ChunkedRows(make=lambda: [tuple(stacked[key] for key in ("X", "y", "task")), part])
    with pytest.raises(DataError, match=said):
        factor(rows)


def test_class_labels_stay_in_memory(tmp_path: Path) -> None:
    folder = write(tmp_path / "rows", labels())
    dataset = read(folder)
    assert dataset.rows is None and dataset.train.fingerprint() == in_memory(labels()).fingerprint()
    streamed = read(folder, keep_rows=False)
    assert streamed.rows is not None and streamed.settings == {"loss": "squared"}
    assert read(write(tmp_path / "numbers", arrays()), keep_rows=True).rows is None


# ---- commands


def test_a_folder_from_fit_to_predict(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "rows", arrays())
    np.savez("a.npz", **arrays())
    options = ("--standardize", "--intercept", "--quiet", *GIVEN)
    assert run("fit", "rows", "--out", "streamed", *options).code == 0
    assert run("fit", "a.npz", "--out", "whole", *options).code == 0
    mine, theirs = point(Path("streamed")), point(Path("whole"))
    for key in ("W", "B"):
        np.testing.assert_allclose(mine[key], theirs[key], rtol=1e-6, atol=1e-7)
    certificate = json.loads(Path("streamed/certificate.json").read_text())
    assert certificate["passes"] and f"{TASKS * ROWS} rows" in certificate["reasons"]["rows"]
    described = json.loads(Path("streamed/run.json").read_text())
    assert described["data"]["fingerprint"] == read("rows").train.fingerprint()
    assert described["data"]["rows"] == [ROWS] * TASKS
    for data_name in ("rows", "a.npz"):
        answer = run("certify", data_name, "streamed")
        assert answer.code == 0 and answer.out.startswith("C2")
        assert (f"{TASKS * ROWS} rows read again" in answer.out) == (data_name == "rows")
        assert ("note: these are not the data" in answer.out) == (data_name == "a.npz")
        assert run("certify", data_name, "whole").code == 0
    assert run("predict", "streamed", "rows").out == run("predict", "streamed", "a.npz").out


@pytest.mark.parametrize("method", cases.METHOD_CASES)
def test_every_method_is_judged_on_the_rows(method: str, run: Run, tmp_path: Path) -> None:
    write(tmp_path / "rows", arrays())
    assert run("fit", "rows", "--out", "run", "--quiet", "--method", method, *GIVEN).code == 0
    answer = run("certify", "rows", "run")
    assert answer.code == 0 and "rows read again" in answer.out


def test_certify_sees_another_row(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "rows", arrays())
    assert run("fit", "rows", "--out", "run", "--quiet", *GIVEN).code == 0
    write(tmp_path / "rows", {"y": arrays()["y"] * np.where(np.arange(TASKS * ROWS) == 7, 1.1, 1.0)})
    answer = run("certify", "rows", "run")
    assert answer.code == 1 and "note: these are not the data of the run" in answer.out


def test_settings_are_chosen_from_streamed_rows(run: Run, rng: np.random.Generator, tmp_path: Path) -> None:
    task = rng.integers(3, size=900)
    X = rng.normal(size=(900, 4))
    y = X @ [1.0, -1.0, 2.0, 0.0] + rng.normal(size=900)
    write(tmp_path / "rows", {"X": 1000 * X, "y": y, "task": task})
    answer = run("fit", "rows", "--out", "run", "--standardize")
    assert answer.code == 0 and "held-out fifth" in answer.out
    chosen = json.loads(Path("run/run.json").read_text())["chosen"]
    losses = {trial["coupling"]: trial["held_out_loss"] for trial in chosen["trials"]}
    assert min(losses, key=lambda c: losses[c]) == chosen["coupling"]
    assert list(losses) == pytest.approx(COUPLING_PATH, rel=0.1)  # standardised: the unit, E x^2, is 1
    assert 0.8 < losses[chosen["coupling"]] < 1.3  # noise of variance 1 on 180 rows, and little else


def test_a_classification_loss_reads_the_rows(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "rows", labels())
    for loss in ((), ("--loss", "logistic")):
        assert run("fit", "rows", "--out", "run", "--quiet", *GIVEN, *loss).code == 0
        assert json.loads(Path("run/run.json").read_text())["model"]["loss"] == "logistic"
        assert run("certify", "rows", "run").code == 0
    assert run("fit", "rows", "--out", "run", "--quiet", *GIVEN, "--loss", "squared").code == 0
    assert "rows" in json.loads(Path("run/certificate.json").read_text())["reasons"]


def test_a_bad_row_leaves_nothing(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "rows", arrays(X=with_nan(arrays()["X"], 30, 1)))
    before = listing(tmp_path)
    assert_error(run("fit", "rows", "--out", "new/run", *GIVEN), "rows: X", "row 30", "feature 1")
    assert listing(tmp_path) == before


# ---- Parquet


@pytest.fixture
def parquet() -> Any:
    """Writes a frame."""
    pytest.importorskip("pyarrow", reason="pyarrow (the extra parquet) is not installed")

    def write_frame(path: Path, frame: Any, **options: Any) -> Path:
        frame.to_parquet(path, **options)
        return path

    return write_frame


def frame(names: Any = ("oak", "ash", "birch"), **changes: Any) -> Any:
    import pandas as pd

    found = arrays()
    columns = {f"x{j}": found["X"][:, j] for j in range(D)}
    return pd.DataFrame({"kind": np.array(names)[found["task"]], **columns, "price": found["y"], **changes})


@pytest.mark.parametrize(
    "names", [("oak", "ash", "birch"), (10, 9, 2), (0.5, -1.0, 2.0), (True, False, True)], ids=str
)
def test_a_parquet_file_is_the_csv_file(names: Any, parquet: Any, tmp_path: Path) -> None:
    table = frame(names, x1=np.arange(36) % 5, x2=np.arange(36) % 2 == 0)
    table.to_csv(tmp_path / "a.csv", index=False)
    parquet(tmp_path / "a.parquet", table, row_group_size=10, index=False)
    expected = read(tmp_path / "a.csv", task="kind", target="price")
    got = read(tmp_path / "a.parquet", task="kind", target="price")
    assert got.rows is not None and got.train.feature_names == expected.train.feature_names
    assert_same_gram(got.train, expected.train)
    whole = read(tmp_path / "a.parquet", task="kind", target="price", keep_rows=True)
    assert whole.rows is None and whole.train.fingerprint() == expected.train.fingerprint()


def test_a_category_and_a_saved_index(parquet: Any, tmp_path: Path) -> None:
    table = frame().astype({"kind": "category"})
    parquet(tmp_path / "a.parquet", table.set_index(np.arange(36)[::-1]))
    train = read(tmp_path / "a.parquet", task="kind", target="price").train
    assert train.names == ("ash", "birch", "oak") and train.d == D
    parquet(tmp_path / "b.parquet", frame().set_index("kind"))
    expected = TaskSet.from_frame(frame(), task="kind", target="price")
    for name in ("a", "b"):
        found = read(tmp_path / f"{name}.parquet", task="kind", target="price").train
        assert_same_gram(found, expected)
    table = read_features(tmp_path / "b.parquet", task="kind", target="price")
    assert table.feature_names == train.feature_names and table.task is not None


@pytest.mark.parametrize(
    "columns, changes, said",
    [
        ({}, {}, "needs --task COLUMN and --target COLUMN; its columns are kind, x0"),
        ({"task": "sort", "target": "price"}, {}, "no column 'sort'"),
        ({"task": "kind", "target": "kind"}, {}, "both column 'kind'"),
        ({}, {"x1": "a"}, "column 'x1' is not numeric"),
        ({}, {"price": "a"}, "column 'price' is not numeric"),
        ({}, {"kind": [None] + ["a"] * 35}, "column 'kind' has missing values"),
        ({}, {"kind": [np.nan] + [1.0] * 35}, "column 'kind' has missing values"),
        ({}, {"x1": [1.0] * 30 + [None] * 6}, r"column 'x1' has missing values \(row 30\)"),
        ({}, {"x1": [1.0] * 30 + [np.inf] * 6}, r"X must be finite, row 30, feature 1 \('x1'\) is inf"),
    ],
)
def test_a_bad_parquet_file_is_one_line(
    columns: dict[str, str], changes: dict[str, Any], said: str, parquet: Any, tmp_path: Path
) -> None:
    parquet(tmp_path / "a.parquet", frame(**changes))
    if changes:
        columns = {"task": "kind", "target": "price"}
    with pytest.raises(DataError, match=rf"^a\.parquet: (?!a\.parquet).*{said}") as caught:
        read(tmp_path / "a.parquet", **columns)
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet_file_is_one_line(parquet: Any, tmp_path: Path) -> None:
    whole = parquet(tmp_path / "a.parquet", frame()).read_bytes()
    for content in (b"hello" * 99, whole[: len(whole) // 2]):
        (tmp_path / "a.parquet").write_bytes(content)
        for reader in (read, read_features):
            with pytest.raises(DataError, match=r"^a\.parquet: expected a readable \.parquet file"):
                reader(tmp_path / "a.parquet", task="kind", target="price")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    for reader in (read, read_features):
        with pytest.raises(DataError, match=re.escape('pip install "amtl-cvx[parquet]"')):
            reader(tmp_path / "a.parquet", task="kind", target="price")


def test_a_parquet_file_from_fit_to_predict(run: Run, parquet: Any, tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", frame())
    columns = ("--task", "kind", "--target", "price")
    assert run("fit", "a.parquet", "--out", "run", *columns, "--quiet", *GIVEN).code == 0
    assert run("certify", "a.parquet", "run").code == 0  # columns from run.json
    frame().to_csv("a.csv", index=False)
    assert run("certify", "a.csv", "run").code == 0
    expected = run("predict", "run", "a.csv", *columns).out
    assert run("predict", "run", "a.parquet", *columns).out == expected and "birch" in expected
