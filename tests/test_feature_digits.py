"""Proven digits of shared features: those of the oracle, and what cannot be proved is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from checks.feature_digits import WRONG, changed, check_digits, saddle
from feature_instances import proven, rounded, solved
from feature_oracle import MANY, Blocks, Oracle

from amtl_cvx import TaskSet
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.features import FeatureModel, FeatureProblem, GoMtlModel
from amtl_cvx.features.proven import prove_features


@pytest.mark.parametrize("seed", [1, 2])
def test_digits_are_those_of_the_oracle(seed: int) -> None:
    """Logistic, rows and tasks with weights, gamma per row; Huber, A >= 0, a price floor."""
    check_digits(seed)


def test_go_mtl_is_proved_without_feedback() -> None:
    check_digits(0, go_mtl=True)
    problem, _, _ = solved(0, go_mtl=True)
    found = proven(0, go_mtl=True)
    assert (
        found.A == ()
        and "A" not in found.to_dict()
        and not any("A[" in line for line in found.lines(problem.tasks))
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_ten_problems_with_up_to_60_unknowns_are_proved(seed: int) -> None:
    sizes = {"T": 5, "d": 6, "k": 4} if seed < 8 else {"T": 5, "d": 9, "k": 5}
    check_digits(seed, **sizes)
    assert 20 < proven(seed, **sizes).unknowns <= 60


def test_a_dead_feature_changes_nothing() -> None:
    problem, _, point = solved(1)
    more = FeatureProblem(problem.tasks, replace(problem.model, features=3))
    padded = Blocks(
        np.pad(point.L, [(0, 0), (1, 0)]),
        np.pad(point.S, [(1, 0), (0, 0)]),
        np.pad(point.A, [(0, 0), (1, 0)]),
    )
    found, plain = prove_features(rounded(more, padded)), proven(1)
    assert found.live == (1, 2) and found.unknowns == plain.unknowns and found.objective == plain.objective
    assert (("0", "0", "0"), *plain.S) == found.S and tuple(("0", *row) for row in plain.A) == found.A


@pytest.mark.parametrize("tall", [True, False])
def test_without_decay_the_rows_hold_a_dead_feature_or_nothing_does(tall: bool) -> None:
    """x = 1 in a second column that no other row has: without it X'X has rank 1."""
    X = [np.array([[1.0, 0.5]] * 3 + [[0.0, 1.0]] * tall)]
    oracle = Oracle(
        X=X, y=[np.ones(3 + tall)], k=1, mu=0.1, decay=0.0, alpha=0.5, gamma=0.25, price_floor=1.0
    )
    point = oracle.first_order_point(1)
    model = FeatureModel(features=2, mu=0.1, alpha=0.5, gamma=0.25, price_floor=1.0)
    padded = Blocks(
        np.pad(point.L, [(0, 0), (0, 1)]),
        np.pad(point.S, [(0, 1), (0, 0)]),
        np.pad(point.A, [(0, 0), (0, 1)]),
    )
    stored = rounded(FeatureProblem(TaskSet.from_arrays(X, oracle.y), model), padded)
    if tall:
        assert prove_features(stored).live == (0,)
    else:
        with pytest.raises(NotCertifiable, match="singular"):
            prove_features(stored)


# J(l, s) = (l's - 1)^2 + mu sum s + decay sum l^2 with one row x = y = 1; in closed form


def line(k: int, *, mu: float, decay: float) -> FeatureProblem:
    tasks = TaskSet.from_arrays([np.ones((1, 1))], [np.ones(1)])
    return FeatureProblem(tasks, GoMtlModel(features=k, mu=mu, decay=decay))


def test_one_feature_of_one_row_is_a_minimum_in_closed_form() -> None:
    """(1 - l s) s = decay l and 2 (1 - l s) l = mu at l = 1/2, s = 1."""
    found = prove_features(line(1, mu=0.5, decay=1.0).at(L=[[0.5]], S=[[1.0]]))
    assert found.strict_local_min and found.min_entry == pytest.approx(1.0)
    assert [float(found.L[0][0]), float(found.S[0][0]), float(found.objective)] == [0.5, 1.0, 1.0]


def test_a_feature_split_in_two_is_a_saddle() -> None:
    point = saddle()
    found = prove_features(point)
    assert not found.strict_local_min and float(found.objective) == 1.0
    moved = point.at(L=np.array([[0.51, 0.49]]), S=np.array([[0.51], [0.49]]))
    assert moved.objective < 1.0 - 1e-5


# what is refused


@pytest.mark.parametrize("fault", WRONG)
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 11))])
def test_other_points_and_problems_are_refused(fault: str, seed: int) -> None:
    with pytest.raises(NotCertifiable):
        prove_features(changed(seed, fault))


def test_what_has_no_digits_says_why() -> None:
    problem, _, point = solved(2)
    for found, reason in (
        (problem.zero, "no feature is live"),
        (rounded(problem, point, A=-np.abs(point.A)), "not feasible"),
        (rounded(FeatureProblem(problem.tasks, replace(problem.model, alpha=0.0)), point), "."),
        (rounded(problem.compressed(), point), "keep_rows")
        if problem.model.loss.quadratic
        else (problem.zero, "."),
    ):
        with pytest.raises(NotCertifiable, match=reason):
            prove_features(found)


def test_feedback_without_a_price_is_not_unique() -> None:
    """alpha = 0: at a point of GO-MTL any A with S A = I costs nothing, and k < T leaves many."""
    problem, _, point = solved(0, go_mtl=True)
    model = FeatureModel(
        **{name: getattr(problem.model, name) for name in ("features", "mu", "decay")}, alpha=0.0, gamma=0.5
    )
    free = FeatureProblem(problem.tasks, model)
    at = point._replace(A=np.linalg.pinv(point.S.astype(float)))
    assert Oracle.of(free.tasks, model).residual(*at) < 1e-10
    with pytest.raises(NotCertifiable, match="singular"):
        prove_features(rounded(free, at))


def test_feedback_without_a_price_is_proved_where_it_is_unique() -> None:
    """alpha = 0, one task: L and S are those of GO-MTL, A = (1 / s, 0); a dead feature has its part of A."""
    X, y = [np.array([[1.0, 0.5], [0.0, 1.0], [1.0, -1.0]])], [np.array([1.0, 0.5, 0.25])]
    plain = Oracle(X=X, y=y, k=1, mu=0.1, decay=0.05)
    L, S, _ = plain.first_order_point(1)
    model = FeatureModel(features=2, mu=0.1, alpha=0.0, decay=0.05, gamma=0.5)
    at = Blocks(np.pad(L, [(0, 0), (0, 1)]), np.pad(S, [(0, 1), (0, 0)]), np.array([[1 / S[0, 0], 0.0]]))
    stored = rounded(FeatureProblem(TaskSet.from_arrays(X, y), model), at)
    found = prove_features(stored)
    assert found.strict_local_min and found.live == (0,) and found.unknowns == 7
    assert abs(MANY.mpf(found.A[0][0]) - 1 / S[0, 0]) < MANY.mpf(10) ** -38 and float(found.A[0][1]) == 0.0
    assert abs(MANY.mpf(found.objective) - plain.objective(L, S, 0 * S.T)) < MANY.mpf(10) ** -38
