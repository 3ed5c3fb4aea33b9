"""Second order at its ends: what is degenerate, refused, and what ball arithmetic says of it."""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest
from cases import (
    SourceGroupL2,
    mu_max,
    random_tasks,
    random_transfer,
    single_task_W,
)
from symmetric_pair import MINIMUM, SADDLE, Symmetric, flat, solved

from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import certify, second_order
from amtl_cvx.digits import prove
from amtl_cvx.errors import DataError, NotCertifiable
from amtl_cvx.losses import Logistic, Squared, SquaredHinge
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.solution import Blocks
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import LossWeightedL1


@pytest.mark.parametrize(
    ("change", "verdict"), [(0.0, "degenerate"), (1e-6, "strict local minimum"), (-1e-6, "degenerate")]
)
def test_strict_complementarity_fails_at_the_largest_price_with_an_edge(change: float, verdict: str) -> None:
    """At mu_max one multiplier of the empty graph is 0 (SPEC section 3); below it is negative."""
    tasks = random_tasks(np.random.default_rng(0), d=3, counts=(9, 12, 8))
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=1.0), coupling=1.0)
    model = replace(model, transfer=LossWeightedL1(mu=mu_max(tasks, model) * (1.0 + change)))
    found = second_order(Problem(tasks, model).at(single_task_W(tasks, model), np.zeros((3, 3))))
    assert found.verdict == verdict and found.min_positive_B == np.inf and found.free == 9
    assert abs(found.relative_multiplier) < 2e-6
    assert ("multiplier" in found.reason and "helps" in found.reason) or verdict != "degenerate"


def test_a_false_small_edge_is_found_out() -> None:
    """What an interior-point solver leaves: positive by 1e-12, with a multiplier that is not 0."""
    tasks, model, W, B = solved(0, Squared())
    assert second_order(Problem(tasks, model).at(W, B)).verdict == "strict local minimum"
    slope = np.where(B > 0, -np.inf, model.gradient_B(tasks, W, B))
    s, t = np.unravel_index(int(np.argmax(slope)), slope.shape)
    B = B.copy()
    B[s, t] = 1e-12
    assert certify(Problem(tasks, model).at(W, B), tol=1e-8).passes
    found = second_order(Problem(tasks, model).at(W, B))
    assert found.verdict == "degenerate" and f"B[{s}, {t}]" in found.reason and "set it to 0" in found.reason


def test_a_point_that_is_not_first_order_is_no_minimum() -> None:
    tasks, model, W, B = solved(0, Squared())
    for W_moved, B_moved in ((1.05 * W, B), (W, 0.9 * B)):
        assert second_order(Problem(tasks, model).at(W_moved, B_moved)).verdict == "degenerate"


def test_a_point_too_far_for_its_curvature_is_no_minimum() -> None:
    """Far out a logistic loss is flat: the curvature there says nothing of the minimum a long step away."""
    tasks = random_tasks(np.random.default_rng(0), loss="logistic", d=2, counts=(30, 40))
    model = Model(loss=Logistic(), transfer=LossWeightedL1(mu=1e9), coupling=1e-2)
    W, B = single_task_W(tasks, model), np.zeros((2, 2))
    assert second_order(Problem(tasks, model).at(W, B)).verdict == "strict local minimum"
    found = second_order(Problem(tasks, model).at(20.0 * W, B))
    assert found.verdict == "degenerate" and "too far" in found.reason and found.scaled_hessian_min > 0.0
    assert found.reason.endswith("refine it (fit --start RUN --tol 1e-13)")


def test_collinear_sources_leave_no_strict_minimum() -> None:
    """One feature, two sources of one target: B - B is singular, the mixture can slide at no cost in J."""
    tasks = random_tasks(np.random.default_rng(2), d=1, counts=(9, 12, 8))
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)
    B = np.zeros((3, 3))
    B[0, 2] = B[1, 2] = 0.3
    found = second_order(Problem(tasks, model).at(np.ones((1, 3)), B))
    assert found.verdict != "strict local minimum" and found.scaled_hessian_min <= 0.0


def test_one_task_is_convex_and_has_no_multipliers() -> None:
    rng = np.random.default_rng(1)
    tasks = TaskSet.from_arrays([rng.normal(size=(6, 2))], [rng.normal(size=6)])
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.5), coupling=1.0)
    found = second_order(Problem(tasks, model).at(single_task_W(tasks, model), np.zeros((1, 1))))
    assert found.verdict == "strict local minimum" and found.free == 2
    assert found.min_multiplier == found.relative_multiplier == found.min_positive_B == np.inf


def test_a_task_without_a_predictor_that_gives_is_degenerate() -> None:
    """w_s = 0 and L_s = 0: its edges cost nothing and do nothing."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(6, 2)), rng.normal(size=6)
    tasks = TaskSet.from_arrays([X, X], [y, np.zeros(6)])
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.5), coupling=1.0)
    found = second_order(Problem(tasks, model).at(single_task_W(tasks, model), np.zeros((2, 2))))
    assert found.verdict == "degenerate" and found.min_multiplier == 0.0


@pytest.mark.parametrize("nudge", [-4, 0, 4])
def test_a_row_at_a_kink_counts_with_its_smaller_curvature(nudge: int) -> None:
    """A row with margin 1 has neither loss nor slope, so with sums the point stays what it is.

    By `nudge` roundings it may come out on either side.
    """
    tasks, model, W, B = solved(3, SquaredHinge(reduction="sum"), mu=0.02)
    before = second_order(Problem(tasks, model).at(W, B))
    assert before.verdict == "strict local minimum"
    w = W[:, 0]
    x = np.array([1.0, -0.5, 0.25])
    first = tasks[0]
    scale = (1.0 + nudge * np.finfo(float).eps) / (x @ w)
    at_kink = Task(X=np.vstack([first.X, scale * x]), y=np.r_[first.y, 1.0], name=first.name)
    longer = TaskSet(tasks=(at_kink, *tasks.tasks[1:]))
    found = second_order(Problem(longer, model).at(W, B))
    assert found.verdict == "strict local minimum"
    assert found.reduced_hessian_min == pytest.approx(before.reduced_hessian_min, rel=1e-12)
    assert found.reduced_hessian_max == pytest.approx(before.reduced_hessian_max, rel=1e-12)
    inside = Task(X=np.vstack([first.X, 0.999 * x / (x @ w)]), y=np.r_[first.y, 1.0], name=first.name)
    curved = second_order(Problem(TaskSet(tasks=(inside, *tasks.tasks[1:])), model).at(W, B))
    assert curved.reduced_hessian_max > found.reduced_hessian_max


def test_what_has_no_reduced_hessian_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    tasks, B = random_tasks(rng, loss="logistic"), np.zeros((4, 4))
    W = rng.normal(size=(6, 4))
    price = LossWeightedL1(mu=0.1)
    with pytest.raises(NotCertifiable, match="SourceGroupL2"):
        second_order(
            Problem(tasks, Model(loss=Squared(), transfer=SourceGroupL2(mu=0.1), coupling=1.0)).at(W, B)
        )
    for bad in (-np.eye(4)[::-1], 0.1 * np.eye(4)):
        with pytest.raises(NotCertifiable, match="away from B >= 0"):
            second_order(Problem(tasks, Model(loss=Squared(), transfer=price, coupling=1.0)).at(W, bad))
    with pytest.raises(DataError, match="shape"):
        second_order(Problem(tasks, Model(loss=Squared(), transfer=price, coupling=1.0)).at(W[:, :2], B))
    module = importlib.import_module("amtl_cvx.certificate.second_order")
    monkeypatch.setattr(module, "UNKNOWNS_LIMIT", 23)
    with pytest.raises(NotCertifiable, match="24 free variables"):
        second_order(Problem(tasks, Model(loss=Squared(), transfer=price, coupling=1.0)).at(W, B))


@pytest.mark.parametrize("case", [MINIMUM, SADDLE], ids=["minimum", "saddle"])
def test_ball_arithmetic_agrees_with_the_verdict(case: Symmetric) -> None:
    """The inertia of the Hessian, proved at the enclosed point (C4), is a second method."""
    proven = prove(case.tasks, case.model, case.W, case.B)
    assert proven.strict_local_min == (case.judged().verdict == "strict local minimum")


@pytest.mark.parametrize("seed", range(6))
def test_ball_arithmetic_agrees_at_random_first_order_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tasks = random_tasks(rng, d=2, counts=(6, 9, 12))
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.05), coupling=1.0)
    start = Blocks(np.zeros((2, 3)), random_transfer(rng, 3, 1.0))
    found = alternate(tasks, model, Options(engine="fast", start=start))
    verdict = second_order(Problem(tasks, model).at(found.W, found.B)).verdict
    assert found.certificate.passes and verdict != "degenerate"
    proven = prove(tasks, model, found.W, found.B)
    assert proven.strict_local_min == (verdict == "strict local minimum")


def test_a_singular_hessian_is_degenerate_for_both() -> None:
    case = Symmetric.build(0.3, 0.5, flat(0.3, 0.5))
    assert case.judged().verdict == "degenerate"
    with pytest.raises(NotCertifiable):
        prove(case.tasks, case.model, case.W, case.B)


@pytest.mark.slow
def test_the_verdict_has_the_sign_of_the_smallest_eigenvalue(rng: np.random.Generator) -> None:
    """A hundred symmetric pairs, saddles and minima, against their two by two Hessians."""
    seen = set()
    for _ in range(100):
        mu, b = 10.0 ** rng.uniform(-1, 1), rng.uniform(0.02, 0.98)
        loss, slope = 2.0 * (1.0 - b) / mu, 2.0 * (1.0 - b) ** 2 / (1.0 + mu * b)
        case = Symmetric.build(mu, b, slope**2 / (4.0 * loss) * (1.0 + 10.0 ** rng.uniform(-1, 3)))
        verdict = case.judged().verdict
        lowest = min(float(np.linalg.eigvalsh(part)[0]) for part in case.hessians)
        assert verdict == ("strict local minimum" if lowest > 0 else "saddle")
        seen.add(verdict)
    assert len(seen) == 2
