"""`compare` and its draws: scales, seeds, equal rows of several tasks, scores that are no numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from compared import small

from amtl_cvx import Model, Options, TaskSet
from amtl_cvx.errors import ModelError
from amtl_cvx.experiment.comparing import Contender, Part, drawn_parts, folded_parts, protocol
from amtl_cvx.experiment.comparing.scores import measure_of, scored
from amtl_cvx.experiment.tuning import Axis, Splits
from amtl_cvx.experiment.tuning.axes import axes_of
from amtl_cvx.losses import Logistic


def test_a_scale_that_was_asked_for_is_kept_and_makes_another_fit() -> None:
    linear = Axis("coupling", [1.0, 2.0], scale="linear")
    asked = [Contender(method="stl", grid=grid) for grid in ([linear], [Axis("coupling", [1.0, 2.0])])]
    part = protocol.Protocol(folds=2).prepared(drawn_parts(small(), 1)[0])
    keys = [protocol.Protocol(folds=2).key(part, each) for each in asked]
    assert [axes_of(each.grid)[0].beyond("high").values[-1] for each in asked] == [3.0, 4.0]  # type: ignore[union-attr]
    assert keys[0] != keys[1] and keys[1] == protocol.Protocol(folds=2).key(part, replace(asked[1]))
    limited = protocol.Protocol(folds=2, options=Options(handover=1e-3))
    assert limited.key(part, asked[1]) != keys[1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("measure", ["error", "class error"])
def test_scores_that_are_no_numbers_are_wrong(value: float, measure: str) -> None:
    tasks = TaskSet.one_vs_rest(np.eye(6) + 1.0, np.arange(6) % 3)
    blocks = {"W": np.full((6, 3), value), "B": np.zeros((3, 3))}
    how: dict[str, Any] = {"names": tasks.names, "features": None, "labels": tasks.labels}
    with np.errstate(invalid="ignore"):
        found = scored(Model(loss=Logistic(), coupling=0.0), blocks, tasks, measure=measure, **how)
    assert found.error == 1.0 and (found.by_task == 1.0).all()


def test_a_row_is_counted_once_by_mcnemar_or_not_at_all() -> None:
    """Rows of several tasks are no independent ones, whether arrays are shared or equal."""
    X, Y = np.eye(4), [np.array([1.0, -1, 1, -1]), np.array([1.0, 1, -1, -1])]
    blocks, model = {"W": np.ones((4, 2)), "B": np.zeros((2, 2))}, Model(loss=Logistic(), coupling=0.0)
    for rows, known in (([X, X.copy()], False), ([X, X + 1.0], True)):
        tasks = TaskSet.from_arrays(rows, Y)
        found = scored(
            model, blocks, tasks, names=tasks.names, features=None, labels=tasks.labels, measure="error"
        )
        assert (found.right is not None) == known and found.error == 0.5


def test_classes_of_equal_rows_lose_the_same_ones_to_the_test() -> None:
    """One-vs-rest tasks as a file holds them, each with its own array of the same rows."""
    label, X = np.arange(12) % 3, np.arange(24.0).reshape(12, 2)
    tasks = TaskSet.from_arrays([X.copy() for _ in range(3)], [np.where(label == k, 1, -1) for k in range(3)])
    assert measure_of(Logistic(), tasks) == "class error"
    for part in (*drawn_parts(tasks, 2, test=0.25), *Splits.held_out(tasks, 0.25)):
        test = part.test if isinstance(part, Part) else part.held
        rows = [{*each.X[:, 0].tolist()} for each in (*test, *part.train)]
        assert rows[0] == rows[1] == rows[2] and not rows[0] & set[float]().union(*rows[3:])


@pytest.mark.parametrize("seed", [-1, 1.5, None, True])
def test_seeds_that_are_none(seed: Any) -> None:
    for make in (lambda: drawn_parts(small(), 2, seed=seed), lambda: folded_parts(small(), 2, seed=seed)):
        with pytest.raises(ModelError, match="seed must be a whole number >= 0"):
            make()
