"""Joint Newton steps over L, S and A: judged by loops over the definition, and by what is known anyway."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
from feature_oracle import Oracle
from test_feature_point import tasks_for

from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem, GoMtlModel, newton
from amtl_cvx.features.curvature import reduced_hessian
from amtl_cvx.features.newton import newton_steps, refine
from amtl_cvx.features.starts import start_of
from amtl_cvx.losses import make_loss
from amtl_cvx.refine.local import Trust
from amtl_cvx.tasks import TaskSet

WEIGHTS: dict[str, Any] = {"mu": 0.1, "alpha": 0.3, "gamma": 0.02, "decay": 0.1}
SMALL = tasks_for("squared")


def planted(loss: str = "squared", *, seed: int = 0, T: int = 5, d: int = 6, n: int = 12) -> TaskSet:
    """Tasks that share two features, targets of size 1; labels are their signs."""
    rng = np.random.default_rng(seed)
    L, S = rng.normal(size=(d, 2)), rng.normal(size=(2, T))
    X = [rng.normal(size=(n, d)) for _ in range(T)]
    y = [x @ L @ S[:, t] + (0.5 + t) * rng.normal(size=n) for t, x in enumerate(X)]
    y = [(part - part.mean()) / part.std() for part in y]
    if make_loss(loss).classification:
        y = [np.where(part > 0.0, 1.0, -1.0) for part in y]
    return TaskSet.from_arrays(X, y)


def problem_of(
    tasks: TaskSet, loss: str = "squared", *, features: int = 3, **settings: Any
) -> FeatureProblem:
    model = FeatureModel(loss=make_loss(loss), features=features, **{**WEIGHTS, **settings})
    return FeatureProblem(tasks, model)


def begun(problem: FeatureProblem, seed: int = 1) -> FeaturePoint:
    rng = np.random.default_rng(seed)
    blocks = {name: rng.normal(size=shape) for name, shape in problem.shapes.items()}
    if "A" in blocks:
        blocks["A"] = 0.0 * blocks["A"]
    return problem.at(**blocks)


def violation(point: FeaturePoint) -> float:
    """The largest entry that is off its first-order condition, by the oracle's loops in doubles."""
    return float(replace(Oracle.of(point.tasks, point.model), mp=mpmath.fp).residual(*_three(point)))


def _three(point: FeaturePoint) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return point.L, point.S, point.A


@pytest.mark.parametrize("feedback", ["signed", "nonnegative"])
@pytest.mark.parametrize("loss", ["squared", "logistic", "huber:0.7", "squared-hinge"])
def test_they_end_at_a_first_order_point_and_J_never_rises(loss: str, feedback: str) -> None:
    start = begun(problem_of(planted(loss), loss, feedback=feedback, mu=0.03, decay=0.03))
    seen = [start.objective]
    found = refine(start, observe=lambda point, _: seen.append(point.objective))
    assert found.ended == "converged" and found.steps == len(seen) - 1 < 100
    assert all(after <= before * (1.0 + 1e-14) for before, after in zip(seen, seen[1:], strict=False))
    assert violation(found.point) < 1e-11
    assert found.point.objective < 0.9 * start.problem.zero.objective and found.point.live.sum() >= 2
    assert np.linalg.eigvalsh(reduced_hessian(found.point))[0] > 0.0
    assert feedback == "signed" or (found.point.A >= 0.0).all()


def test_a_point_known_to_50_digits_is_found_again() -> None:
    problem = problem_of(SMALL, "squared", features=2)
    exact = Oracle.of(problem.tasks, problem.model).first_order_point(seed=1)
    blocks = [block.astype(float) for block in exact]
    rng = np.random.default_rng(0)
    moved = [block + 1e-3 * (block != 0) * rng.normal(size=block.shape) for block in blocks]
    found = refine(problem.at(**dict(zip("LSA", moved, strict=True)))).point
    assert any(block.any() for block in blocks)
    for block, expected in zip(_three(found), blocks, strict=True):
        assert np.array_equal(block == 0.0, expected == 0.0)
        assert np.abs(block - expected).max() < 1e-12


def test_without_gamma_feedback_is_0_and_J_is_that_of_go_mtl() -> None:
    problem = problem_of(planted(), gamma=0.0)
    start = begun(problem)
    found = refine(start.at(A=np.ones_like(start.A)))
    plain = FeatureProblem(planted(), GoMtlModel(features=3, mu=0.1, decay=0.1))
    other = refine(plain.at(L=start.L, S=start.S))
    assert found.ended == other.ended == "converged" and not found.point.A.any()
    assert found.point.objective == pytest.approx(other.point.objective, rel=1e-13)
    assert set(other.point.blocks) == {"L", "S"} and violation(other.point) < 1e-11


def test_feedback_without_a_price_rebuilds_every_feature() -> None:
    """S has full row rank, so that some A has S A = I: nothing is left of the reconstruction."""
    problem = problem_of(planted(), alpha=0.0, features=2)
    found = refine(begun(problem))
    plain = refine(begun(FeatureProblem(planted(), GoMtlModel(features=2, mu=0.1, decay=0.1))))
    assert found.ended == "converged"
    assert np.abs(found.point.S @ found.point.A - np.eye(2)).max() < 1e-10
    assert found.point.objective == pytest.approx(plain.point.objective, rel=1e-12)
    again = refine(found.point)
    assert np.abs(again.point.A - found.point.A).max() < 1e-9  # A is not unique, and stays where it is


@pytest.mark.parametrize("features", [7, 9])
def test_more_features_than_columns_or_tasks(features: int) -> None:
    found = refine(begun(problem_of(planted(), features=features)))
    assert found.ended == "converged" and violation(found.point) < 1e-11
    live = found.point.live
    for block in (found.point.L, found.point.S.T, found.point.A):
        assert not block[:, ~live].any() and (block is found.point.A or block[:, live].any(axis=0).all())


def test_a_feature_that_is_of_no_use_is_put_to_0_in_all_blocks() -> None:
    start = begun(problem_of(planted()))
    S = start.S.copy()
    S[1] = 0.0
    unused = start.at(S=S, A=np.ones_like(start.A))
    first = next(newton_steps(unused, trust=Trust()))
    assert first.objective < unused.objective and first.live.tolist() == [True, False, True]
    assert not first.L[:, 1].any() and not first.A[:, 1].any()
    empty = start.at(L=start.L * [1.0, 0.0, 1.0], A=np.ones_like(start.A))  # used, but made of nothing
    first = next(newton_steps(empty, trust=Trust()))
    assert first.objective < empty.objective and first.live.tolist() == [True, False, True]
    gone = refine(start.at(S=S))
    assert gone.ended == "converged" and not gone.point.live[1]


def test_weights_that_leave_nothing_end_at_the_zero_point() -> None:
    problem = problem_of(planted(), mu=30.0, decay=30.0)
    found = refine(begun(problem))
    assert found.ended == "converged" and not found.point.live.any()
    assert refine(problem.zero) == (problem.zero, 0, "converged")


def test_where_there_is_no_minimum_blocks_grow() -> None:
    """Without decay and prices J falls to that of L S alone as L grows and S shrinks: S A = I all the way."""
    assert refine(begun(problem_of(planted(), alpha=0.0, decay=0.0, features=2))).ended == "growing"
    assert refine(begun(problem_of(SMALL, gamma=0.0, decay=0.0, features=1))).ended == "growing"


def test_decay_is_not_needed_beside_prices_and_a_reconstruction() -> None:
    found = refine(begun(problem_of(planted(), decay=0.0, gamma=0.1)))
    assert found.ended == "converged" and violation(found.point) < 1e-11


def test_steps_go_on_from_any_of_them() -> None:
    start = begun(problem_of(planted()))
    trust, points, trusts = Trust(), [], []
    for point in newton_steps(start, trust=trust):
        points.append(point)
        trusts.append(replace(trust))
    at = len(points) // 2
    rest = list(newton_steps(points[at], trust=replace(trusts[at])))
    assert len(rest) == len(points) - at - 1 > 3
    for again, first in zip(rest, points[at + 1 :], strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(_three(again), _three(first), strict=True))


def test_an_interrupt_passes_through_and_a_limit_is_kept() -> None:
    start = begun(problem_of(planted()))

    def interrupt(point: FeaturePoint, method: str) -> None:
        assert method == "newton"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refine(start, observe=interrupt)
    assert refine(start, max_steps=3)[1:] == (3, "limit")


def test_a_trust_term_of_another_point_is_forgotten() -> None:
    start = begun(problem_of(planted()))
    trust = Trust(value=1e25)  # no step is long enough to be seen in J
    assert refine(start, trust=trust).ended == "converged" and trust.value < 1.0


@pytest.mark.slow
def test_forty_random_problems_end_at_first_order_points() -> None:
    """Any loss, sizes and weights over orders of magnitude: none stalls, whatever the start is worth."""
    losses = ("squared", "logistic", "huber:0.7", "squared-hinge")
    for seed in range(40):
        rng = np.random.default_rng(seed)
        T, d, k, n = rng.integers(2, 9), rng.integers(1, 13), rng.integers(1, 7), rng.integers(4, 30)
        alpha, mu, gamma, decay = 10.0 ** rng.uniform((-2.0, -3.0, -4.0, -3.0), (0.5, -0.7, 0.0, -0.7))
        loss = losses[seed % 4]
        problem = problem_of(
            planted(loss, seed=seed, T=T, d=d, n=n), loss, features=int(k), alpha=alpha, mu=mu, gamma=gamma,
            decay=decay, price_floor=0.01, feedback=("signed", "nonnegative")[seed % 3 % 2],
        )  # fmt: skip
        found = refine(start_of(problem))
        assert found.ended == "converged", (seed, found)
        assert violation(found.point) < 1e-9 and found.point.objective <= problem.zero.objective


def test_what_is_too_large_for_a_hessian_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newton, "LARGEST", 10)
    start = begun(problem_of(planted()))
    assert refine(start) == (start, 0, "too large")


def test_the_order_of_tasks_and_features_changes_nothing() -> None:
    tasks, rng = planted(), np.random.default_rng(5)
    order, turned = rng.permutation(5), rng.permutation(3)
    start = begun(problem_of(tasks))
    first = refine(start).point
    shuffled = TaskSet.from_arrays([tasks[int(t)].X for t in order], [tasks[int(t)].y for t in order])
    blocks = {"L": start.L[:, turned], "S": start.S[turned][:, order], "A": start.A[order][:, turned]}
    other = refine(problem_of(shuffled).at(**blocks)).point
    assert np.abs(other.L - first.L[:, turned]).max() < 1e-9
    assert np.abs(other.S - first.S[turned][:, order]).max() < 1e-9
    assert np.abs(other.A - first.A[order][:, turned]).max() < 1e-9
