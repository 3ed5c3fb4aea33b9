"""Second order: the Hessian against differences of J, verdicts at points whose curvature is known by hand."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from cases import (
    LOSS_CASES,
    Array,
    SourceGroupL2,
    loss_id,
    mu_max,
    random_tasks,
    random_transfer,
    single_task_W,
    tasks_for,
)

from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import SecondOrder, certify, second_order
from amtl_cvx.certificate.curvature import reduced_hessian
from amtl_cvx.digits import prove
from amtl_cvx.errors import DataError, NotCertifiable
from amtl_cvx.losses import Logistic, Loss, Squared, SquaredHinge
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.solution import Blocks
from amtl_cvx.tasks import Task, TaskSet
from amtl_cvx.transfer import LossWeightedL1

SMOOTH = [loss for loss in LOSS_CASES if loss.smooth]


class Symmetric(NamedTuple):
    """Two tasks with one feature and the same data: a first-order point with B[0, 1] = B[1, 0] = b.

    L(w) = s (w - a)^2 + m for both. Given w = coupling = 1, mu, b and s, the conditions
    mu L = 2 (1 - b) and (1 + mu b) L' = -2 (1 - b)^2 give a and m. In (w_0, w_1, B_01, B_10) the Hessian
    splits into a symmetric and an antisymmetric part, two by two each:

        [(1 + mu b) 2 s + 2 (1 - b)^2,  mu L' - 4 (1 - b)]     [(1 + mu b) 2 s + 2 (1 + b)^2,  mu L' + 4 b]
        [.                              2               ]     [.                              2          ]
    """

    tasks: TaskSet
    model: Model
    W: Array
    B: Array
    hessians: tuple[Array, Array]

    @classmethod
    def build(cls, mu: float, b: float, s: float) -> Symmetric:
        loss, slope = 2.0 * (1.0 - b) / mu, -2.0 * (1.0 - b) ** 2 / (1.0 + mu * b)
        a = 1.0 - slope / (2.0 * s)
        m = loss - s * (1.0 - a) ** 2
        assert m >= 0.0
        x = np.sqrt(s)
        X, y = np.array([[x], [x]]), np.array([x * a + np.sqrt(m), x * a - np.sqrt(m)])
        weight = (1.0 + mu * b) * 2.0 * s
        parts = ((2.0 * (1.0 - b) ** 2, -4.0 * (1.0 - b)), (2.0 * (1.0 + b) ** 2, 4.0 * b))
        hessians = tuple(
            np.array([[weight + square, mu * slope + cross], [mu * slope + cross, 2.0]])
            for square, cross in parts
        )
        return cls(
            TaskSet.from_arrays([X, X], [y, y]),
            Model(loss=Squared(), transfer=LossWeightedL1(mu=mu), coupling=1.0),
            np.ones((1, 2)),
            np.array([[0.0, b], [b, 0.0]]),
            (hessians[0], hessians[1]),
        )

    def judged(self) -> SecondOrder:
        assert certify(Problem(self.tasks, self.model).at(self.W, self.B), tol=1e-12).passes
        return second_order(Problem(self.tasks, self.model).at(self.W, self.B))


MINIMUM, SADDLE = Symmetric.build(0.3, 0.5, 1.0), Symmetric.build(3.0, 0.1, 0.7)


def flat(mu: float, b: float) -> float:
    """The s at which the symmetric part of the Hessian becomes singular."""
    cross = -2.0 * mu * (1.0 - b) ** 2 / (1.0 + mu * b) - 4.0 * (1.0 - b)
    return (cross**2 / 2.0 - 2.0 * (1.0 - b) ** 2) / (2.0 * (1.0 + mu * b))


def scaled(tasks: TaskSet, factor: float) -> TaskSet:
    return replace(tasks, tasks=tuple(replace(task, y=factor * task.y) for task in tasks))


def solved(
    seed: int, loss: Loss, *, mu: float = 0.1, d: int = 3, T: int = 3
) -> tuple[TaskSet, Model, Array, Array]:
    """A first-order point to rounding, by the fit."""
    tasks = tasks_for(loss, np.random.default_rng(seed), d=d, counts=[9 + 2 * t for t in range(T)])
    model = Model(loss=loss, transfer=LossWeightedL1(mu=mu), coupling=1.0)
    found = alternate(tasks, model, Options(engine="fast"))
    return tasks, model, found.W, found.B


def second_difference(f: object, x: Array, i: int, j: int, h: float) -> float:
    """d2 f / dx_i dx_j by mixed central differences, extrapolated from steps h and 2 h."""
    values = []
    for step in (h, 2.0 * h):
        total = 0.0
        for p, q in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            point = x.copy()
            point[i] += p * step
            point[j] += q * step
            total += p * q * f(point)  # type: ignore[operator]
        values.append(total / (4.0 * step**2))
    return (4.0 * values[0] - values[1]) / 3.0


@pytest.mark.parametrize("weights", ["equal", (0.5, 2.0, 1.0)])
@pytest.mark.parametrize("loss", SMOOTH, ids=loss_id)
def test_the_hessian_is_that_of_J_by_differences(
    loss: Loss, weights: str | tuple[float, ...], rng: np.random.Generator
) -> None:
    tasks = tasks_for(loss, rng, d=2, counts=(7, 4, 9))
    model = Model(loss=loss, transfer=LossWeightedL1(mu=0.3), coupling=0.7, task_weights=weights)
    W, B = 0.5 * rng.normal(size=(2, 3)), random_transfer(rng, 3) + 0.1
    np.fill_diagonal(B, 0.0)
    free = ~np.eye(3, dtype=bool)

    def J(x: Array) -> float:
        moved = np.zeros((3, 3))
        moved[free] = x[6:]
        return model.objective(tasks, x[:6].reshape(3, 2).T, moved)

    H = reduced_hessian(Problem(tasks, model).at(W, B), free)
    x = np.r_[W.T.ravel(), B[free]]
    differences = np.array([[second_difference(J, x, i, j, 2e-4) for j in range(12)] for i in range(12)])
    np.testing.assert_allclose(H, differences, atol=2e-6 * np.abs(H).max())
    given = tuple(loss.curvatures(task.X @ w, task.y) for task, w in zip(tasks, W.T, strict=True))
    np.testing.assert_allclose(reduced_hessian(Problem(tasks, model).at(W, B), free, given), H, rtol=1e-12)


@pytest.mark.parametrize(
    ("case", "verdict"), [(MINIMUM, "strict local minimum"), (SADDLE, "saddle")], ids=["minimum", "saddle"]
)
def test_eigenvalues_and_verdict_of_the_symmetric_pair(case: Symmetric, verdict: str) -> None:
    found = case.judged()
    values = np.concatenate([np.linalg.eigvalsh(part) for part in case.hessians])
    assert found.reduced_hessian_min == pytest.approx(values.min(), rel=1e-12)
    assert found.reduced_hessian_max == pytest.approx(values.max(), rel=1e-12)
    assert found.free == 4
    assert found.min_positive_B == case.B[0, 1] and found.min_multiplier == np.inf
    assert found.verdict == verdict


def test_J_falls_along_the_direction_of_a_saddle() -> None:
    found = SADDLE.judged()
    assert found.direction is not None and found.fall is not None
    J = SADDLE.model.objective(SADDLE.tasks, SADDLE.W, SADDLE.B)
    W, B = SADDLE.W + found.direction[0], SADDLE.B + found.direction[1]
    assert (B >= 0).all() and not np.diag(B).any()
    assert J - SADDLE.model.objective(SADDLE.tasks, W, B) == pytest.approx(found.fall, rel=1e-9)
    assert found.fall > 1e-3 * J
    for length in (1e-2, 1e-3):  # a curvature, not a slope: to both sides, and with the square of the way
        ends = [
            SADDLE.model.objective(
                SADDLE.tasks,
                SADDLE.W + sign * length * found.direction[0],
                SADDLE.B + sign * length * found.direction[1],
            )
            for sign in (1.0, -1.0)
        ]
        assert max(ends) < J
        assert ends[0] - J == pytest.approx(ends[1] - J, rel=0.2)


@pytest.mark.parametrize(
    ("change", "verdict"), [(-1e-6, "saddle"), (0.0, "degenerate"), (1e-6, "strict local minimum")]
)
def test_the_verdict_turns_where_the_hessian_is_singular(change: float, verdict: str) -> None:
    found = Symmetric.build(0.3, 0.5, flat(0.3, 0.5) * (1.0 + change)).judged()
    assert found.verdict == verdict
    assert abs(found.scaled_hessian_min) < (1e-5 if change else 1e-14)
    assert found.fall is None or verdict == "saddle"


@pytest.mark.parametrize("loss", SMOOTH, ids=loss_id)
def test_a_strict_local_minimum_is_one_to_random_moves(loss: Loss, rng: np.random.Generator) -> None:
    """Moves that stay feasible, also into the edges at 0, raise J; single steps of 1e-3 of the size."""
    tasks, model, W, B = solved(3, loss, mu=0.02)
    found = second_order(Problem(tasks, model).at(W, B))
    assert found.verdict == "strict local minimum" and found.scaled_hessian_min > 0.0
    J = model.objective(tasks, W, B)
    for _ in range(200):
        size = 10.0 ** rng.uniform(-4, -3)
        move_B = rng.normal(size=B.shape) * (rng.random(B.shape) < 0.5)
        new_B = np.maximum(B + size * move_B, 0.0)
        np.fill_diagonal(new_B, 0.0)
        new_W = W + size * np.abs(W).max() * rng.normal(size=W.shape)
        assert model.objective(tasks, new_W, new_B) > J


@pytest.mark.parametrize("factor", [1e-5, 1e5])
@pytest.mark.parametrize(
    "case", [MINIMUM, SADDLE, Symmetric.build(0.3, 0.5, flat(0.3, 0.5))], ids=["minimum", "saddle", "flat"]
)
def test_the_verdict_does_not_depend_on_the_unit_of_y(case: Symmetric, factor: float) -> None:
    found = case.judged()
    other = second_order(Problem(scaled(case.tasks, factor), case.model).at(factor * case.W, case.B))
    assert other.verdict == found.verdict
    assert other.scaled_hessian_min == pytest.approx(found.scaled_hessian_min, rel=1e-9, abs=1e-14)
    if found.fall is not None and other.fall is not None:
        assert other.fall == pytest.approx(factor**2 * found.fall, rel=1e-6)


@pytest.mark.parametrize("factor", [1e-5, 1e5])
def test_figures_of_a_fit_scale_as_they_should(factor: float) -> None:
    tasks, model, W, B = solved(0, Squared())
    found = second_order(Problem(tasks, model).at(W, B))
    other = second_order(Problem(scaled(tasks, factor), model).at(factor * W, B))
    assert found.verdict == other.verdict == "strict local minimum" and (B > 0).any()
    assert other.relative_multiplier == pytest.approx(found.relative_multiplier, rel=1e-9)
    assert other.min_multiplier == pytest.approx(factor**2 * found.min_multiplier, rel=1e-9)
    assert other.min_positive_B == found.min_positive_B
    assert other.scaled_hessian_min == pytest.approx(found.scaled_hessian_min, rel=1e-9)


def test_relabelling_the_tasks_changes_nothing() -> None:
    tasks, model, W, B = solved(1, Squared(), T=4)
    order = np.array([2, 0, 3, 1])
    shuffled = TaskSet(tasks=tuple(tasks[int(t)] for t in order))
    found = second_order(Problem(tasks, model).at(W, B))
    other = second_order(Problem(shuffled, model).at(W[:, order], B[np.ix_(order, order)]))
    for name in ("reduced_hessian_min", "reduced_hessian_max", "scaled_hessian_min", "min_multiplier"):
        assert getattr(other, name) == pytest.approx(getattr(found, name), rel=1e-9)
    assert (other.verdict, other.free) == (found.verdict, found.free)


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
