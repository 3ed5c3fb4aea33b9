"""The estimators, held against ridges in closed form, loops over rows, and fits of weights written out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from cases import Array
from sklearn.exceptions import ConvergenceWarning

from amtl_cvx.estimators import AMTLClassifier, AMTLRegressor

_TASK = np.array(list("cbaabcabcabccbabca"))
_KIND = np.array(list("xxxyyyzzxzxyxyxzyy"))
"""No z in task c."""
_X = np.random.default_rng(4).normal(size=(18, 2)) * [1.0, 30.0] + [5.0, -2.0]
_Y = _X @ [3.0, 0.1] + np.cos(np.arange(18.0))
_ALONE: dict[str, Any] = {"method": "stl", "engine": "fast", "coupling": 0.2, "omega": None}
_PLAIN = {**_ALONE, "standardize": False}


def ridge(X: Array, y: Array, v: Array) -> Array:
    """argmin of sum v (x'w - y)^2 / sum v + 0.2 |w|^2."""
    weighted = X.T * v / v.sum()
    return np.linalg.solve(weighted @ X + 0.2 * np.eye(X.shape[1]), weighted @ y)


def rows_are_answered_by_the_ridge_of_their_task() -> None:
    """Features standardised, a column of ones; weights 0 to 3, 0 for all of task b; rows in another order."""
    v = np.where(_TASK == "b", 0.0, np.arange(18.0) % 4)
    found = AMTLRegressor(**_ALONE).fit(_X, _Y, task=_TASK, sample_weight=v)
    mean = v @ _X / v.sum()
    unit = np.sqrt(v @ (_X - mean) ** 2 / v.sum())
    ready = np.column_stack([(_X - mean) / unit, np.ones(18)])
    w = {}
    for name in "ac":
        mine = np.flatnonzero(name == _TASK)
        w[name] = ridge(ready[mine], _Y[mine], v[mine])
    assert found.tasks_.tolist() == ["a", "c"]
    for kept in (np.flatnonzero(_TASK != "b")[::-1], np.flatnonzero(_TASK == "c")):
        expected = [ready[i] @ w[_TASK[i]] for i in kept]
        np.testing.assert_allclose(found.predict(_X[kept], task=_TASK[kept]), expected, rtol=1e-9)
        place = [["a", "c"].index(_TASK[i]) for i in kept]
        by_hand = (_X[kept] * found.coef_[place]).sum(axis=1) + found.intercept_[place]
        np.testing.assert_allclose(by_hand, expected, rtol=1e-9)


def classes_of_a_task_are_told_from_its_rest() -> None:
    """Each predictor is that of two classes, its own and the rest, and gives the score of its own."""
    found = AMTLClassifier(**_PLAIN).fit(_X, _KIND, task=_TASK)
    scores = found.decision_function(_X, task=_TASK)
    assert np.array_equal(np.isinf(scores), np.outer(_TASK == "c", [False, False, True]))
    for k, kind in enumerate("xyz"):
        mine = np.isfinite(scores[:, k])
        X, task = _X[mine], _TASK[mine]
        two = AMTLClassifier(**_PLAIN).fit(X, _KIND[mine] == kind, task=task)
        np.testing.assert_allclose(scores[mine, k], two.decision_function(X, task=task), rtol=1e-7)


def balanced_classes_weigh_the_same_in_each_task() -> None:
    is_x = _KIND == "x"
    alike = (_TASK[:, None] == _TASK) & (is_x[:, None] == is_x)
    found = AMTLClassifier(class_weight="balanced", **_PLAIN).fit(_X, is_x, task=_TASK)
    by_hand = AMTLClassifier(**_PLAIN).fit(_X, is_x, task=_TASK, sample_weight=1.0 / alike.sum(axis=1))
    np.testing.assert_allclose(found.coef_, by_hand.coef_, rtol=1e-7)


def the_price_given_is_the_price() -> None:
    found = AMTLRegressor(mu=0.3, transfer="row-budget:mu=2,budget=1", engine="fast").fit(_X, _Y, task=_TASK)
    assert found.solution_.model.mu == 0.3


def what_is_not_certified_is_told() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = AMTLRegressor(engine="fast", tol=1e-30).fit(_X, _Y, task=_TASK)
    assert not found.certificate_.passes
    assert [each.category for each in told] == [ConvergenceWarning]
