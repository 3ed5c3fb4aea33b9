"""Streaming: factors say what the rows say, in any chunks; memory stays; certificates answer to the rows."""

from __future__ import annotations

import dataclasses
import gc
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest
from streamed import COUNTS, Stacked, assert_same_gram, chunked, gram, in_memory, stacked_rows, write

from amtl_cvx import data
from amtl_cvx.certificate import RowSums, certify, confirm
from amtl_cvx.commands.rows import confirmed_solution
from amtl_cvx.data import ChunkedRows, Dataset, evaluate, factor, hold_out
from amtl_cvx.data import rows as rows_module
from amtl_cvx.data import stream as stream_module
from amtl_cvx.errors import DataError
from amtl_cvx.experiment import hold_out as hold_out_in_memory
from amtl_cvx.experiment import score
from amtl_cvx.losses import Loss, Squared
from amtl_cvx.methods import fit
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import Model, Problem
from amtl_cvx.solution import Status
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import LossWeightedL1


@pytest.fixture
def stacked(rng: np.random.Generator) -> Stacked:
    return stacked_rows(rng)


MODEL = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)


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
        found, known = (Problem(each, model).at(W, np.zeros((4, 4))) for each in (tasks, expected))
        np.testing.assert_allclose(found.loss_gradient, known.loss_gradient, rtol=1e-9, atol=1e-9)
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


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "CHUNK", 1 << 10)
    monkeypatch.setattr(stream_module, "_BLOCK", 1 << 10)
    n, chunk = 120_000, 1024 * 3 * 8  # a feature, the target and the task
    X = rng.normal(size=(n, 1))
    rows = data.ArrayRows.open(write(tmp_path / "rows", {"X": X, "y": X[:, 0], "task": np.arange(n) % 3}))
    # a byte kept of every row is too much; what other threads allocate meanwhile counts too: least of three
    assert any(peak_of_the_passes(rows) < 10 * chunk for _ in range(3))


def peak_of_the_passes(rows: data.ArrayRows) -> int:
    """Bytes beyond those that were there before."""
    gc.collect()
    tracemalloc.start()
    try:
        evaluate(rows, np.ones((1, 3)), Squared())
        factor(rows)
        hold_out(rows, np.random.default_rng(0))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


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


@pytest.mark.sampled(2)
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
