"""Second order where a penalty on W has kinks: closed forms, differences of J, margins, refusals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import cvxpy as cp
import numpy as np
import pytest
from cases import Array, random_tasks
from omega_cases import KINKED
from omega_curvature import FAST, curvatures, problem_of, solved
from symmetric_pair import MINIMUM, SADDLE, Symmetric

from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet, certify, fit
from amtl_cvx.certificate import second_order
from amtl_cvx.errors import ModelError
from amtl_cvx.weights import L1, Fused, WeightPenalty

every_omega = pytest.mark.parametrize("omega", KINKED, ids=lambda omega: omega.label)


@pytest.mark.parametrize(("case", "verdict"), [(MINIMUM, "strict local minimum"), (SADDLE, "saddle")])
def test_the_symmetric_pair_with_l1(case: Symmetric, verdict: str) -> None:
    """rho (w_0 + w_1) moves L' alone: with targets moved to make up for it every second derivative stays.

    The conditions of the pair with L' = -(2 (1 - b)^2 + rho) / (1 + mu b): L, its price, is kept by m.
    """
    rho, mu, b = 0.05, case.model.mu, float(case.B[0, 1])
    x = float(case.tasks[0].X[0, 0])
    s, target = x * x, case.tasks[0].y
    slope = -(2.0 * (1.0 - b) ** 2 + rho) / (1.0 + mu * b)
    a = 1.0 - slope / (2.0 * s)
    m = 2.0 * (1.0 - b) / mu - s * (1.0 - a) ** 2
    assert m >= 0.0 and len(target) == 2
    y = np.array([x * a + np.sqrt(m), x * a - np.sqrt(m)])
    tasks = TaskSet.from_arrays([case.tasks[0].X] * 2, [y, y])
    found = second_order(Problem(tasks, replace(case.model, omega=L1(rho=rho))).at(case.W, case.B))
    moved = mu * (slope + 2.0 * (1.0 - b) ** 2 / (1.0 + mu * b))
    hessians = [part + np.array([[0.0, moved], [moved, 0.0]]) for part in case.hessians]
    values = np.concatenate([np.linalg.eigvalsh(part) for part in hessians])
    assert found.reduced_hessian_min == pytest.approx(values.min(), rel=1e-9)
    assert found.reduced_hessian_max == pytest.approx(values.max(), rel=1e-9)
    assert found.verdict == verdict and "that keep what l1 has made of W" in found.reason


@every_omega
def test_the_reduced_hessian_is_that_of_differences(omega: WeightPenalty) -> None:
    """Second differences of J along moves that keep the structure of W, and on the edges; C3 follows."""
    point = solved(omega)
    found, values = second_order(point), curvatures(point)
    assert found.reduced_hessian_min == pytest.approx(values[0], rel=1e-3, abs=1e-5)
    assert found.reduced_hessian_max == pytest.approx(values[-1], rel=2e-3)
    assert found.verdict == ("strict local minimum" if values[0] > 0.0 else "saddle"), found.reason
    reached = certify(point.tasks, point.model, point.W, point.B, level="C4")
    assert reached.level == ("C3" if values[0] > 0.0 else "C2")
    if values[0] > 0.0:
        assert "is not quadratic" in reached.reasons["C4"]


@every_omega
def test_structures_stay_within_the_margin(omega: WeightPenalty, rng: np.random.Generator) -> None:
    for V in rng.normal(size=(5, 4, 3)):
        margin, count = omega.margin(V, 0.5), len(omega.tangent(V, 0.5).values)
        assert margin is not None and margin > 0.0
        zeros = omega.prox(V, 0.5) == 0.0
        for move in rng.normal(size=(20, 4, 3)):
            U = V + 0.999 * margin * move / np.linalg.norm(move)
            assert len(omega.tangent(U, 0.5).values) == count
            assert omega.name.startswith("trace") or ((omega.prox(U, 0.5) == 0.0) == zeros).all()


def test_a_multiplier_at_its_end_is_degenerate() -> None:
    """(w - y)^2 + coupling w^2 + rho |w| for y = rho / 2: w = 0 with |slope| = rho, and beside it."""
    for y, verdict in ((0.25, "degenerate"), (0.2499, "strict local minimum")):
        tasks = TaskSet.from_arrays([np.eye(2)], [[3.0, y]])
        model = Model(loss="squared", transfer=LossWeightedL1(mu=1.0), coupling=0.5, omega=L1(rho=0.25))
        W = np.array([[(3.0 - 0.25) / (1.0 + 2.0 * 0.5)], [0.0]])  # losses are means of two rows
        point = Problem(tasks, model).at(W, np.zeros((1, 1)))
        found = second_order(point)
        assert found.verdict == verdict, found.reason
        assert ("strict complementarity" in found.reason) == (verdict == "degenerate")


@dataclass(frozen=True, kw_only=True)
class Own(WeightPenalty):
    """rho ||W||_1 with what a penalty must have and nothing more."""

    name: ClassVar[str] = "own"
    rho: float

    def expression(self, W: cp.Expression) -> Any:
        return self.rho * cp.norm1(W)

    def value(self, W: Array) -> float:
        return self.rho * float(np.abs(W).sum())

    def prox(self, V: Array, step: float) -> Array:
        W: Array = np.sign(V) * np.maximum(np.abs(V) - step * self.rho, 0.0)
        return W

    def conjugate(self, V: Array) -> float:
        return 0.0 if (np.abs(V) <= self.rho * (1.0 + 1e-12)).all() else np.inf


def test_one_of_ones_own_needs_four_methods(rng: np.random.Generator) -> None:
    """It is fitted and certified to C2 by both engines, as l1 is; C3 wants its margin."""
    tasks = random_tasks(rng, d=3, counts=(9, 14, 20))
    model = Model(transfer=LossWeightedL1(mu=0.05), coupling=0.5, omega=Own(rho=0.2))
    expected = fit(tasks, replace(model, omega=L1(rho=0.2)), options=FAST)
    for engine in ("fast", "cvxpy"):
        found = fit(tasks, model, options=replace(FAST, engine=engine))  # type: ignore[arg-type]
        assert found.certificate.passes and np.abs(found.W - expected.W).max() <= 1e-9
    found = certify(tasks, model, expected.W, expected.B, level="C3")
    assert found.level == "C2" and "is not known (`margin`)" in found.reasons["C3"]


def test_one_that_is_torn_is_refused(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=3, counts=(9, 14))

    @dataclass(frozen=True, kw_only=True)
    class Twice(Own):
        def prox(self, V: Array, step: float) -> Array:
            return super().prox(V, 2.0 * step)

    @dataclass(frozen=True, kw_only=True)
    class Shifted(Own):
        def value(self, W: Array) -> float:
            return super().value(W) + 1.0

    @dataclass(frozen=True, kw_only=True)
    class Square(Own):
        def __post_init__(self) -> None:
            object.__setattr__(self, "rho", 1.0 if self.rho == 1.0 else self.rho**2)

    cases = ((Twice, "value, prox and conjugate differ"), (Shifted, "at W = 0"), (Square, "proportional"))
    for torn, words in cases:
        with pytest.raises(ModelError, match=words):
            fit(tasks, Model(transfer=LossWeightedL1(mu=0.05), coupling=0.5, omega=torn(rho=1.0)))


def test_a_row_of_tasks_that_are_equal_has_edges_to_weigh() -> None:
    """Fused at a high price: all predictors are one, C3 by the moves of that one and the edges."""
    problem = problem_of(Fused(rho=50.0))
    found = fit(problem.tasks, problem.model, options=FAST)
    assert (np.diff(found.W, axis=1) == 0.0).all()
    reached = certify(problem.tasks, problem.model, found.W, found.B, level="C3")
    assert reached.level == "C3" or "C3" in reached.reasons
