"""The rows that the reconstruction of shared features sums over: J against sums written out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from amtl_cvx.data import ChunkedRows, export, factor, read
from amtl_cvx.errors import DataError
from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem, GoMtlModel
from amtl_cvx.holdout import draw
from amtl_cvx.preparation import Preparation
from amtl_cvx.problem import stored
from amtl_cvx.tasks import TaskSet

NAN = float("nan")
D, K, T, N = 3, 2, 4, 12
MODEL = FeatureModel(features=K, mu=0.3, alpha=0.7, gamma=0.4, decay=0.2)
RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, D))
Y = RNG.normal(size=(N, T))
Y[RNG.random(size=Y.shape) < 0.4] = NAN
Y[[4, 9]] = NAN  # rows that no task has a label for
L, S, A = (RNG.normal(size=shape) for shape in ((D, K), (K, T), (T, K)))


def point(tasks: TaskSet, model: FeatureModel = MODEL, **blocks: Any) -> FeaturePoint:
    return FeatureProblem(tasks, model).at(**{"L": L, "S": S, "A": A, **blocks})


def written_out(rows: Any, weights: Any = None, *, per_row: bool = False) -> float:
    """J of `MODEL` on X and Y, with the reconstruction of these rows; loops over tasks and rows alone."""
    J, v = 0.0, np.ones(N) if weights is None else np.asarray(weights)
    for t in range(T):
        there = [i for i in range(N) if Y[i, t] == Y[i, t] and v[i] > 0.0]
        loss = sum(v[i] * (X[i] @ L @ S[:, t] - Y[i, t]) ** 2 for i in there) / sum(v[i] for i in there)
        J += (1.0 + MODEL.alpha * sum(map(abs, A[t]))) * loss + MODEL.mu * sum(map(abs, S[:, t]))
    for i in rows:
        z = X[i] @ L
        J += MODEL.gamma / (len(rows) if per_row else 1) * sum((z - z @ S @ A) ** 2)
    return J + MODEL.decay * sum(L.ravel() ** 2)


LABELLED = [i for i in range(N) if i not in (4, 9)]


@pytest.mark.parametrize("per_row", [False, True])
def test_J_of_gaps_is_the_sum_written_out(per_row: bool) -> None:
    tasks = TaskSet.from_matrix(X, Y)
    model = replace(MODEL, gamma_per="row" if per_row else "total")
    for reconstruct, rows in (("all", range(N)), ("labelled", LABELLED)):
        found = point(tasks, replace(model, reconstruct=reconstruct))
        assert found.objective == pytest.approx(written_out(rows, per_row=per_row), rel=1e-13)
        assert found.problem.reconstruction.rows == len(rows)
        small = found.problem.compressed().at(**found.blocks)
        assert small.objective == pytest.approx(found.objective, rel=1e-13)


def test_a_weight_is_one_of_the_loss_alone() -> None:
    """A row of weight 2 is in the loss twice and reconstructed once; one of weight 0 is not there."""
    v = np.where(np.arange(N) == 2, 2.0, 1.0)
    v[7] = 0.0
    rows = [i for i in range(N) if i != 7]
    found = point(TaskSet.from_matrix(X, Y, sample_weight=v))
    assert found.objective == pytest.approx(written_out(rows, v), rel=1e-13)
    assert found.problem.reconstruction.rows == N - 1


def test_shared_rows_count_once_and_others_each() -> None:
    full = np.nan_to_num(Y)
    gram = X.T @ X
    for tasks, times in (
        (TaskSet.from_matrix(X, full), 1),
        (TaskSet.from_arrays([X.copy() for _ in range(T)], list(full.T)), 1),
        (TaskSet.one_vs_rest(X, np.arange(N) % T), 1),
        (TaskSet.from_arrays([X + 0.0, -X, X[::-1], -X[::-1]], list(full.T)), T),
    ):
        whole = FeatureProblem(tasks, MODEL).reconstruction
        assert whole.rows == times * N
        np.testing.assert_allclose(whole.gram, times * gram, rtol=1e-12, atol=1e-12)


def test_the_order_of_the_tasks_changes_nothing() -> None:
    tasks, order = TaskSet.from_matrix(X, Y), [2, 0, 3, 1]
    moved = tasks.in_order([tasks.names[t] for t in order], None)
    one, other = point(tasks), point(moved, S=S[:, order], A=A[order])
    assert other.objective == pytest.approx(one.objective, rel=1e-14)
    assert other.problem.reconstruction.gram.tobytes() == one.problem.reconstruction.gram.tobytes()
    apart = [np.vstack([X, X[:t]]) for t in range(T)]
    targets = [np.arange(len(part), dtype=float) for part in apart]
    one = point(TaskSet.from_arrays(apart, targets))
    other = point(
        TaskSet.from_arrays([apart[t] for t in order], [targets[t] for t in order]), S=S[:, order], A=A[order]
    )
    assert other.objective == pytest.approx(one.objective, rel=1e-13)


@pytest.mark.parametrize("kind", ["gaps", "labelled", "weights", "shared", "held out", "prepared"])
def test_J_comes_back_from_a_file_bit_for_bit(kind: str, tmp_path: Path) -> None:
    tasks, model = TaskSet.from_matrix(X, Y), MODEL
    if kind == "labelled":
        model = replace(model, reconstruct="labelled", gamma_per="row")
    elif kind == "weights":
        tasks = TaskSet.from_matrix(X, Y, sample_weight=np.arange(N) / 3.0)
    elif kind == "shared":
        tasks = TaskSet.from_matrix(X, np.nan_to_num(Y))
    elif kind == "held out":
        tasks = draw(TaskSet.from_matrix(X, np.nan_to_num(Y)), 0.3, np.random.default_rng(0))[0]
    elif kind == "prepared":
        tasks = Preparation.learn(tasks, standardize=True, intercept=False).apply_tasks(tasks)
    first = point(tasks, model)
    export(tasks, model, tmp_path / "p")
    loaded, told = stored.read(tmp_path / "p")
    assert told == model and loaded.fingerprint(pool=True) == tasks.fingerprint(pool=True)
    for back in (loaded, read(tmp_path / "p", keep_rows=True).train):
        found = point(back, model)
        assert found.objective == first.objective
        one, other = first.problem.reconstruction, found.problem.reconstruction
        assert one.rows == other.rows and one.factor.tobytes() == other.factor.tobytes()


def test_streamed_rows_are_those_of_their_tasks_or_refused() -> None:
    rows, task = RNG.normal(size=(40, D)), np.arange(40) % T
    y = rows @ L @ S[:, 0] + RNG.normal(size=40)
    tasks = TaskSet.from_stacked(rows, y, task)
    folded = factor(ChunkedRows(make=lambda: [(rows, y, task)]))
    assert point(folded).objective == pytest.approx(point(tasks).objective, rel=1e-12)
    assert FeatureProblem(folded, MODEL).reconstruction.rows == 40
    weighted = factor(ChunkedRows(make=lambda: [(rows, y, task, np.full(40, 2.0))]))
    with pytest.raises(DataError, match="keep_rows=True"):
        FeatureProblem(weighted, MODEL).check()
    go = FeatureProblem(weighted, GoMtlModel(features=K, mu=0.3, decay=0.2))  # which reconstructs nothing
    go.check()
    assert np.isfinite(go.at(L=L, S=S).objective)
