# More than 300 lines: the adversary and what it is tried on belong together.
"""The oracle of reports/adversary against closed forms, and the adversary's eye for faults."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from proven import DEGENERATE, Point, quantile_saddle

REPORTS = Path(__file__).resolve().parents[1] / "reports"
FOLDERS = (str(REPORTS / "adversary"), str(REPORTS / "proofs"))
MODULES = (
    "arithmetic",
    "problem",
    "blocks",
    "joint",
    "entries",
    "steps",
    "draws",
    "points",
    "instances",
    "judge",
    "strictness",
)


@pytest.fixture(scope="module")
def oracle() -> Iterator[Any]:
    """The oracle's modules, by name."""
    pytest.importorskip("flint", reason="the oracle needs python-flint (the extra [verify])")
    sys.path[:0] = FOLDERS
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    finally:
        for folder in FOLDERS:
            sys.path.remove(folder)
        for name in MODULES:
            sys.modules.pop(name, None)


def one(oracle: Any, loss: str, x: list[float], y: list[float], coupling: float, **more: Any) -> Any:
    """One task, one feature."""
    return oracle.problem.Problem(
        X=[np.array(x)[:, None]], y=[np.array(y)], loss=loss, mu=0.1, coupling=coupling, **more
    )


def close(value: Any, expected: Any, digits: int = 40) -> bool:
    with mp.workdps(60):
        value, expected = mp.mpf(value.str(60, radius=False)), mp.mpf(expected)
        return bool(abs(value - expected) <= mp.mpf(10) ** -digits * max(1, abs(expected)))


def best_w(oracle: Any, problem: Any) -> Any:
    zeros = oracle.arithmetic.zeros
    found = oracle.blocks.best_W(problem, zeros(1, 1), zeros(1, 1))
    assert found.sure
    return found.W[0, 0]


def test_best_W_of_one_row(oracle: Any) -> None:
    """One feature, rows (1, y): phi'(w) + 2 coupling w = 0 in closed form."""
    pair = [1.0, -1.0], [1.0, -1.0]
    assert close(best_w(oracle, one(oracle, "squared", [1.0], [3.0], 0.5)), 2)
    assert close(best_w(oracle, one(oracle, "squared-hinge", *pair, 0.5)), mp.mpf(2) / 3, 15)
    assert close(best_w(oracle, one(oracle, "huber", [1.0], [10.0], 0.5, parameter=0.5)), 1)
    assert close(best_w(oracle, one(oracle, "hinge", *pair, 1.0)), 0.5)  # not on the kink: 1 = 2 w
    assert close(best_w(oracle, one(oracle, "hinge", *pair, 0.25)), 1)  # on it
    assert close(best_w(oracle, one(oracle, "quantile", [1.0], [4.0], 0.5, parameter=0.25)), 0.25)
    with mp.workdps(60):
        k = mp.mpf(1)  # e^w - y + 2 coupling w = 0, y = 3, 2 coupling = 1
        poisson = 3 / k - mp.lambertw(mp.exp(3 / k) / k)
        logistic = mp.findroot(lambda w: -1 / (1 + mp.exp(w)) + w, 0.4)
    assert close(best_w(oracle, one(oracle, "poisson", [1.0], [3.0], 0.5)), poisson)
    assert close(best_w(oracle, one(oracle, "logistic", *pair, 0.5)), logistic)


def test_a_row_on_its_kink_has_its_multiplier(oracle: Any) -> None:
    """Hinge, w = 1 on the kink of both rows, u x + 2 coupling w = 0 with both rows worth 1/2."""
    problem = one(oracle, "hinge", [1.0, -0.5], [1.0, -1.0], 0.125)  # kinks at w = 1 and w = 2
    zeros = oracle.arithmetic.zeros
    found = oracle.blocks.best_W(problem, zeros(1, 1), zeros(1, 1))
    # slope -3/4 + w/4 < 0 below 1, -1/4 + w/4 above: w = 1 and u = 0, the end of its interval
    assert close(found.W[0, 0], 1)
    problem = one(oracle, "hinge", [1.0, -0.5], [1.0, -1.0], 0.25)  # -1/4 + w/2 > 0 above 1: u = -1/2 at 1
    found = oracle.blocks.best_W(problem, zeros(1, 1), zeros(1, 1))
    assert close(found.W[0, 0], 1) and found.kinks == [[0]] and close(found.u[0][0], -0.5)


def test_best_W_of_two_coupled_tasks_solves_the_linear_system(oracle: Any) -> None:
    """(x_t^2 a_t + coupling P) w = a x y in exact rationals, one feature."""
    x, y, B = (2, 3), (5, -1), ((0, Fraction(1, 2)), (Fraction(1, 4), 0))
    mu, lam = Fraction(1, 8), Fraction(1, 2)
    problem = oracle.problem.Problem(
        X=[np.array([[float(v)]]) for v in x], y=[np.array([float(v)]) for v in y], loss="squared",
        mu=float(mu), coupling=float(lam),
    )  # fmt: skip
    a = [1 + mu * sum(row) for row in B]
    M = [[int(i == j) - B[i][j] for j in range(2)] for i in range(2)]
    P = [[sum(M[i][k] * M[j][k] for k in range(2)) for j in range(2)] for i in range(2)]
    H = [[lam * P[i][j] + (a[i] * x[i] ** 2 if i == j else 0) for j in range(2)] for i in range(2)]
    det = H[0][0] * H[1][1] - H[0][1] * H[1][0]
    right = [a[i] * x[i] * y[i] for i in range(2)]
    w = [(H[1][1] * right[0] - H[0][1] * right[1]) / det, (H[0][0] * right[1] - H[1][0] * right[0]) / det]
    reals = oracle.arithmetic.reals
    found = oracle.blocks.best_W(problem, reals(np.zeros((1, 2))), reals(np.array(B, dtype=float)))
    assert all(
        close(value, mp.mpf(v.numerator) / v.denominator, 15) for value, v in zip(found.W[0], w, strict=True)
    )
    assert found.sure


def test_gain_of_a_column_of_B(oracle: Any) -> None:
    """Two tasks: b = max(0, (w0'w1 - p0 / (2 coupling)) / w0'w0), the gain is the square of the miss."""
    problem = oracle.problem.Problem(
        X=[np.eye(2)] * 2,
        y=[np.array([2.0, 0.0]), np.array([1.0, 1.0])],
        loss="squared",
        mu=0.5,
        coupling=2.0,
    )
    W = oracle.arithmetic.reals(np.array([[2.0, 1.0], [1.0, 1.0]]))
    l0, l1 = 0.5, 0.0
    b01 = (3 - 0.5 * l0 / 4) / 5
    b10 = (3 - 0.5 * l1 / 4) / 2
    B = oracle.blocks.best_B(problem, W)
    assert close(B[0, 1], b01, 15) and close(B[1, 0], b10, 15)
    none = oracle.arithmetic.zeros(2, 2)
    assert close(oracle.blocks.gain_B(problem, W, none), 2 * (5 * b01**2 + 2 * b10**2), 14)
    assert close(oracle.blocks.gain_B(problem, W, B), 0)


def test_gradients_are_difference_quotients_of_J(oracle: Any) -> None:
    rng = np.random.default_rng(1)
    for loss in oracle.problem.LOSSES:
        problem = oracle.draws.draw(rng, loss, reach=2.0, features=True, T=3)
        W = oracle.arithmetic.reals(rng.normal(size=(problem.d, 3)))
        B = oracle.arithmetic.reals(np.abs(rng.normal(size=(3, 3))) * (1 - np.eye(3)))
        h = oracle.arithmetic.arb("1e-30")
        GW, GB = problem.gradient_W(W, B), problem.gradient_B(W, B)
        for A, G, at in ((W, GW, (0, 1)), (B, GB, (1, 2))):
            up, down = A.copy(), A.copy()
            up[at], down[at] = A[at] + h, A[at] - h
            pairs = ((up, B), (down, B)) if A is W else ((W, up), (W, down))
            slope = (problem.J(*pairs[0]) - problem.J(*pairs[1])) / (2 * h)
            assert abs(slope - G[at]) < 1e-20 * (1 + abs(G[at])), loss


def test_a_point_without_edges_is_strict_or_falls_by_the_sign_of_its_multiplier(oracle: Any) -> None:
    """One row each, w = 1 / (1 + coupling) at B = 0; q = mu (1 - w)^2 - 2 coupling w^2."""
    coupling = 0.5
    w = 1 / (1 + coupling)
    limit = 2 * coupling * w**2 / (1 - w) ** 2
    for factor, word in ((1.01, "strict"), (0.99, "falls")):
        problem = oracle.problem.Problem(
            X=[np.ones((1, 1))] * 2, y=[np.ones(1)] * 2, loss="squared", mu=factor * limit, coupling=coupling
        )
        W = oracle.arithmetic.reals(np.full((1, 2), w))
        found = oracle.joint.around(problem, W, oracle.arithmetic.zeros(2, 2))
        assert found.word == word, found


def test_negative_curvature_is_found(oracle: Any) -> None:
    """Elimination ends at a v with v'H v <= 0, and the kernel of A is the kernel."""
    a = oracle.arithmetic
    definite, v = a.positive_definite(a.reals(np.array([[2.0, 1.0, 0.0], [1.0, 0.25, 0.0], [0.0, 0.0, 1.0]])))
    assert not definite and close(v[0], -0.5) and close(v[1], 1)
    assert a.positive_definite(a.reals(np.array([[2.0, 1.0], [1.0, 0.75]])))[0]
    A = a.reals(np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 7.0]]))
    Z = a.null_space(A)
    assert Z.shape == (3, 1) and float(a.size(A @ Z)) < 1e-100


@pytest.mark.parametrize(
    "loss",
    [
        *("squared", "logistic", "huber", "quantile", "squared-hinge", "poisson"),
        pytest.param("hinge", marks=pytest.mark.slow),
    ],
)
def test_first_order_points_fulfil_their_conditions(oracle: Any, loss: str) -> None:
    """G_W = 0 by the definition of J where it is smooth, no block gains, and signs as they must be."""
    rng, zeros = np.random.default_rng(3), oracle.arithmetic.zeros
    X = [rng.normal(size=(8, 2)) for _ in range(2)]
    z = [x @ [1.0, -0.5] + rng.normal(size=8) for x in X]
    y = {"poisson": [np.round(np.exp(v)) for v in z], **dict.fromkeys(oracle.problem.NUMBERS, z)}
    problem = oracle.problem.Problem(
        X=X, y=y.get(loss, [np.sign(v) for v in z]), loss=loss, mu=0.1, coupling=0.3,
        parameter=oracle.problem.PARAMETERS.get(loss),
    )  # fmt: skip
    point = oracle.joint.first_order_point(problem, zeros(2, 2), zeros(2, 2))
    assert point is not None and point.free
    J = problem.J(point.W, point.B)
    assert float(oracle.blocks.gain_W(problem, point.W, point.B) / J) < 1e-40
    assert float(oracle.blocks.gain_B(problem, point.W, point.B) / J) < 1e-40
    if not problem.kinked:
        assert float(oracle.arithmetic.size(problem.gradient_W(point.W, point.B))) < 1e-40


@pytest.mark.parametrize(
    ("coupling", "off", "word"),
    [(0.25, 1e-9, "strict"), (0.25, 0.1, "far"), (0.125, 0.0, "degenerate"), (0.625, 0.0, "degenerate")],
)
def test_a_support_vector_is_strict_by_its_margins(
    oracle: Any, coupling: float, off: float, word: str
) -> None:
    """max(0, 1 - w) + max(0, 1 - w/4) + coupling w^2: w = 1 with u = 1/4 - 2 coupling in [-1, 0]."""
    problem = one(oracle, "hinge", [1.0, -0.25], [1.0, -1.0], coupling, reduction="sum")
    found = oracle.strictness.nearest(problem, np.array([[1.0 + off]]), np.zeros((1, 1)))
    assert found.word == word, found
    if word == "strict":  # row 1 has z = -1/4 and its kink at -1
        assert found.margins["row's u"] == 0.25 and found.margins["row"] == 0.6
        assert found.margins["curvature"] == found.margins["edge"] == found.margins["multiplier"] == np.inf
        assert close(found.root.W[0, 0], 1)


def test_margins_of_edges_are_those_of_their_conditions(oracle: Any) -> None:
    """d = 1, one row each, B = 0: q = mu (1 - w)^2 - 2 coupling w^2 over the sum of both, S = 1."""
    coupling, w = 0.5, 2 / 3
    limit = 2 * coupling * w**2 / (1 - w) ** 2
    for factor, word in ((1.5, "strict"), (1.0, "degenerate"), (0.5, "saddle")):
        problem = oracle.problem.Problem(
            X=[np.ones((1, 1))] * 2, y=[np.ones(1)] * 2, loss="squared", mu=factor * limit, coupling=coupling
        )
        found = oracle.strictness.nearest(problem, np.full((1, 2), w), np.zeros((2, 2)))
        assert found.word == word, found
        assert found.margins["multiplier"] == pytest.approx((factor - 1) / (factor + 1), abs=1e-14)
        assert found.margins["curvature"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("point", "word", "kind"),
    [
        (quantile_saddle(), "saddle", "curvature"),
        (DEGENERATE["exchangeable edges"][0], "degenerate", ""),
        (DEGENERATE["zero multiplier"][0], "degenerate", "multiplier"),
        (DEGENERATE["row at the kink"][0], "degenerate", "row"),
    ],
)
def test_points_that_are_degenerate_by_construction_are_so(
    oracle: Any, point: Point, word: str, kind: str
) -> None:
    tasks, model, W, B = point
    problem = oracle.problem.Problem(
        X=[task.X for task in tasks], y=[task.y for task in tasks], loss=model.loss.name, mu=model.mu,
        parameter=getattr(model.loss, model.loss.parameter or "", None), coupling=model.coupling,
        reduction=model.loss.reduction,
    )  # fmt: skip
    found = oracle.strictness.nearest(problem, W, B)
    assert found.word == word, found
    assert not kind or found.margins[kind] <= 1e-12


def test_gain_of_one_entry(oracle: Any) -> None:
    """(w - 1)^2 + coupling w^2 from w = 0: 1 / (1 + coupling) of L(0); b from 0: all of coupling ||w||^2."""
    problem = one(oracle, "squared", [1.0], [1.0], 0.25)
    none = oracle.arithmetic.zeros(1, 1)
    assert oracle.entries.worst_W(problem, none, none) == pytest.approx(0.8)
    problem = oracle.problem.Problem(
        X=[np.ones((1, 1))] * 2, y=[np.ones(1)] * 2, loss="hinge", mu=0.0, coupling=1.0
    )
    W = oracle.arithmetic.reals(np.ones((1, 2)))
    assert oracle.entries.worst_B(problem, W, oracle.arithmetic.zeros(2, 2)) == pytest.approx(1.0)
    # hinge at w = 0, rows of slope -1: w - 1 + w^2 falls to w = 1/2 by 1/4
    assert oracle.entries.worst_W(
        problem, none.repeat(2, axis=1), oracle.arithmetic.zeros(2, 2)
    ) == pytest.approx(0.25)


def test_a_course_gains_nothing_and_a_changed_one_does(oracle: Any) -> None:
    """Refit of the squared loss: moving w by e off its minimum costs (a x^2 + coupling) e^2."""
    problem = oracle.problem.Problem(
        X=[np.full((1, 1), 2.0), np.ones((1, 1))],
        y=[np.ones(1), np.ones(1)],
        loss="squared",
        mu=0.5,
        coupling=1.0,
    )
    found = oracle.steps.course(problem)
    assert all(
        float(abs(gain)) < 1e-60 for gain in oracle.steps.gains(problem, found.W, found.B, found.order)
    )
    last = found.order[-1]
    W = found.W.copy()
    W[0, last] += oracle.arithmetic.arb(0.125)
    gain, _ = oracle.steps.gains(problem, W, found.B, found.order)
    assert close(gain, (problem.X[last][0, 0] ** 2 + 1.0) / 64)


def test_a_false_word_is_seen(oracle: Any) -> None:
    """What the certificate would say if it said yes: rows of 1e9 and 1, and an edge that would help."""
    x, y = [1e9, -1e9, 1.0, -1.0], [1.0, -1.0, 1.0, -1.0]
    problem = one(oracle, "logistic", x, y, 1e-4)
    yes = SimpleNamespace(passes=True, level="C2")
    none, verdict = np.zeros((1, 1)), oracle.judge.Verdict(what="given", judged="joint")
    oracle.judge._judge(verdict, problem, np.array([[2e-8]]), none, yes, ())
    assert verdict.faults == ["W gains", "entry W"] and verdict.gain_W > 0.9
    twins = oracle.problem.Problem(
        X=[np.ones((1, 1))] * 2, y=[np.ones(1)] * 2, loss="squared", mu=0.01, coupling=1.0
    )
    verdict = oracle.judge.Verdict(what="given", judged="joint")
    yes = SimpleNamespace(passes=True, level="C3")
    oracle.judge._judge(verdict, twins, np.full((1, 2), 0.5), np.zeros((2, 2)), yes, ())
    assert verdict.faults == ["B gains", "entry B", "C3"]
