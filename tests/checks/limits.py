"""What may not be said: errors below the distance, supports a Newton step can change, words rounded in."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import literal
import numpy as np
from cases import random_tasks

from amtl_cvx import known
from amtl_cvx.certificate import Residuals, conclude, figures, second_order, weight_evidence
from amtl_cvx.losses import Squared, SquaredHinge
from amtl_cvx.problem import Problem
from amtl_cvx.tasks import TaskSet
from checks.points import amtl


def error_W_holds_beyond_a_kink() -> None:
    """Half of (1 - w)_+^2 + (1 - w/40)_+^2 and w^2 / 10^4: below its kink W sees a curvature that ends there.

    For labels +1 the minimum lies above the kink, for -1 its mirror image lies below.
    """
    best = 0.025 / (0.025**2 + 2e-4)
    for label in (1.0, -1.0):
        tasks = TaskSet.from_arrays([np.array([[1.0], [0.025]])], [np.full(2, label)])
        model = amtl(SquaredHinge(), coupling=1e-4, c=(1.0,))
        for w in (0.999, 0.99, 1.001, 0.5, 3.0):
            W = np.array([[label * w]])
            found = weight_evidence(Problem(tasks, model).at(W, np.zeros((1, 1))))
            assert found.error is None or found.error >= (best - w) * (1 - 1e-12)
        at_best = weight_evidence(Problem(tasks, model).at(np.array([[label * best]]), np.zeros((1, 1))))
        assert at_best.error is not None and at_best.error <= 1e-9


def supports_within_a_newton_step_are_not_certain() -> None:
    """The price of an edge a little below and above the one from which it is absent, W a little off its best.

    Below it the true point has the edge, though the multiplier at W is positive; above it the true point has
    none, though a tiny edge is not pushed to 0 at W.
    """
    tasks = random_tasks(np.random.default_rng(36), d=2, counts=(9, 12))
    bare = amtl(Squared(), mu=1.0, coupling=0.4, c=(0.5, 2.0))
    W, none = literal.best_W(tasks, bare, np.zeros((2, 2))), np.zeros((2, 2))
    price, pull = literal.prices(tasks, bare, W), 2 * 0.4 * float(W[:, 0] @ W[:, 1])
    s = int(np.argmin(price))  # the edge s -> t comes first
    t, top = 1 - s, pull / price[s]
    assert pull > 0
    for off in (1e-6, 1e-7, 1e-8):
        for side in (-1.0, 1.0):
            model = amtl(Squared(), mu=top * (1 + side * off), coupling=0.4, c=(0.5, 2.0))
            moved, B = W.copy(), none.copy()
            moved[:, t] += side * 2 * off * pull / (2 * 0.4 * float(W[:, s] @ W[:, s])) * W[:, s]
            if side > 0:
                B[s, t] = 1e-3 * off
            slope = literal.gradients(tasks, model, moved, B)[1][s, t]
            assert side * slope < 0
            assert second_order(Problem(tasks, model).at(moved, B)).verdict != "strict local minimum"
    model = amtl(Squared(), mu=top * 1.1, coupling=0.4, c=(0.5, 2.0))
    assert second_order(Problem(tasks, model).at(W, none)).verdict == "strict local minimum"


def words_are_rounded_outward() -> None:
    """Two digits, never on the wrong side of the figure, and no further than one unit of the last."""
    rng = np.random.default_rng(36)
    values = [1.0, 0.1, 0.35, 6.04e-21, 9.951e-5, 1e300, 5e-324, 0.0, -2.345]
    values += (rng.normal(size=200) * 10.0 ** rng.uniform(-30, 30, size=200)).tolist()
    for value in values:
        above, below = (
            Fraction(float(figures.rounded_up(value))),
            Fraction(float(figures.rounded_down(value))),
        )
        slip = abs(Fraction(value)) * Fraction(1, 2**52)  # of the decimal read back
        assert below - slip <= Fraction(value) <= above + slip
        assert above - below <= abs(Fraction(value)) * Fraction(11, 100) + Fraction(5e-324)
    for numerator in (1, 2, -1, 10**30 + 1):
        exact = Fraction(numerator, 3)
        low, high = figures.double_below(exact), figures.double_above(exact)
        assert Fraction(low) < exact < Fraction(high) and np.nextafter(low, np.inf) == high
    assert figures.double_below(Fraction(1, 4)) == figures.double_above(Fraction(1, 4)) == 0.25


def tables_hold_and_say_why() -> None:
    """pi in the place of a bound is shown on its side of pi, what has no value with its reason."""
    bare = conclude(
        kind="joint", objective=1.0, found=Residuals(0.0, 0.0, 0.0, 0.0), relative=0.0, joint_relative=0.0,
        feasibility=0.0, gaps=(None, None), gap_W_exact=False, gain_W=None, B=np.zeros((2, 2)), tol=1e-8,
        reasons={"C5": "too large", "gap_B": "of its own"}, unknown="not asked",
    )  # fmt: skip
    table = known.figures()
    for figure in table:
        if figure.holds:
            pi = replace(bare, **{figure.name: math.pi})  # type: ignore[arg-type]
            shown, up = Fraction(figures.fact(pi, figure).value), figure.holds == "at most"
            assert (
                0 < (shown - Fraction(math.pi)) * (1 if up else -1) < Fraction(1, 10 ** (figure.digits - 1))
            )
    missing = {figure.name: figures.fact(bare, figure).missing for figure in table}
    assert missing["gap_B"] == "of its own" and missing["global_width"] == "too large"
    assert missing["gap_W"] == missing["error_B"] == missing["condition_W"] == "not asked"
    assert missing["proven_radius"] == "not asked for" and missing["objective"] is None
