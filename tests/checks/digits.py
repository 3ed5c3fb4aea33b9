"""Proven digits against mpmath, Krawczyk's test and inertia against roots and eigenvalues known."""

from __future__ import annotations

import functools
from fractions import Fraction

import mpmath
import numpy as np
import proven
from cases import (
    LOSS_CASES,
    tasks_for,
)
from flint import arb, arb_mat, ctx

from amtl_cvx.digits import decimals, krawczyk, prove
from checks.points import Point, amtl, close, fitted, refused


@functools.cache
def small() -> tuple[Point, ...]:
    """First-order points of two tasks, one per loss without a kink, with an edge and without."""
    found = []
    prices = {"squared": 0.9, "logistic": 0.03, "squared-hinge": 0.03, "huber": 0.3, "poisson": 0.3}
    for loss, mu in prices.items():
        case = next(p for p in LOSS_CASES if p.name == loss)
        tasks = tasks_for(case, np.random.default_rng(3), d=2, counts=(9, 12))
        model = amtl(case, mu=mu, coupling=0.1, c=(0.5, 2.0))
        W, B = fitted(tasks, model)
        found.append(Point(tasks, model, W, B))
    assert {int((point.B > 0).sum()) for point in found} >= {1}
    return tuple(found)


def digits_are_those_of_J() -> None:
    """Decimals of the proof put into J in mpmath: its gradient vanishes there, J has those digits."""
    for tasks, model, W, B in small():
        found = prove(tasks, model, W, B)
        with mpmath.workdps(60):
            point = [[[mpmath.mpf(x) for x in row] for row in block] for block in (found.W, found.B)]
            value = proven.exact_objective(tasks, model, *point)
            assert abs(value / mpmath.mpf(found.objective) - 1) < mpmath.mpf(10) ** -37
            G_W, G_B = proven.exact_gradient(tasks, model, *point, mpmath.mpf(10) ** -18)
        assert max(abs(g) for row in G_W for g in row) < mpmath.mpf(10) ** -30
        for s, t in ((0, 1), (1, 0)):
            if (s, t) in found.support:
                assert abs(G_B[s][t]) < mpmath.mpf(10) ** -30
            else:
                assert found.min_multiplier <= G_B[s][t] * (1 + 1e-12) and found.B[s][t] == "0"
        assert found.support == tuple((int(s), int(t)) for t, s in np.argwhere(B.T > 0))
        assert found.radius <= 1e-30 and found.strict_local_min
        off = [G_B[s][t] for s, t in ((0, 1), (1, 0)) if (s, t) not in found.support]
        assert not off or close(found.min_multiplier, float(min(off)), 1e-9)
        assert not found.support or close(found.min_positive_B, float(B[B > 0].min()), 1e-6)
        pairs = zip(sum((*found.W, *found.B), ()), np.r_[W.ravel(), B.ravel()].tolist(), strict=True)
        apart = max(abs(Fraction(x) - Fraction(y)) for x, y in pairs)
        assert (
            apart * (1 - Fraction(1, 10**9)) <= Fraction(found.distance) <= apart * (1 + Fraction(1, 10**9))
        )


def proofs_refuse_what_is_not_there() -> None:
    """Degenerate points, a moved point, an edge too many; a saddle is no minimum."""
    for point, _ in proven.DEGENERATE.values():
        refused(lambda point=point: prove(*point))
    tasks, model, W, B = small()[0]
    refused(lambda: prove(tasks, model, W * (1 + 1e-3), B))
    full = np.where(np.eye(2) > 0, 0.0, np.maximum(B, 1e-3))
    refused(lambda: prove(tasks, model, W, full))
    refused(lambda: prove(tasks, model, W, full, within=1e9))  # the root of that support has a negative edge
    refused(lambda: prove(tasks, model, W, np.zeros((2, 2))))
    assert not prove(*proven.split_duplicates(), within=1e-2).strict_local_min


def kinks_are_proved() -> None:
    """A support vector by hand, its degenerate neighbours, the boxes in which it is alone; a saddle."""
    point = proven.support_vector(0.25)
    found = prove(*point._replace(W=point.W + 1e-9))
    assert found.W == (("1." + 39 * "0",),) and found.objective == "1." + 39 * "0" and found.strict_local_min
    assert found.rows == {"inside": ((1,),), "kink": ((0,),), "outside": ((),)}
    assert close(found.min_row_multiplier, 0.25, 1e-12) and close(found.min_row_distance, 0.75, 1e-12)
    assert close(prove(*proven.support_vector(0.5)).min_row_multiplier, 0.25, 1e-12)
    for point, _ in proven.KINK_DEGENERATE.values():
        refused(lambda point=point: prove(*point))
    assert prove(*proven.support_vector(0.25, -0.25, 1.0 + 0.25e-5)).isolation == 1e-6
    assert prove(*proven.support_vector(0.125 * (1 + 2e-4))).isolation == 1e-4
    assert prove(*proven.support_vector(0.625 * (1 - 2e-4))).isolation <= 1e-4
    saddle = prove(*proven.quantile_saddle())
    assert not saddle.strict_local_min and saddle.rows["kink"] == ((0,), (0,), ())


class Parabola:
    """x^2 - 2."""

    def gradient(self, x: arb_mat) -> arb_mat:
        return arb_mat([[x[0, 0] ** 2 - 2]])

    def jacobian(self, x: arb_mat) -> arb_mat:
        return arb_mat([[2 * x[0, 0]]])


class Line:
    """x - c in every coordinate."""

    def __init__(self, *roots: float | arb) -> None:
        self.roots = roots

    def gradient(self, x: arb_mat) -> arb_mat:
        return x - arb_mat([[c] for c in self.roots])

    def jacobian(self, x: arb_mat) -> arb_mat:
        n = range(len(self.roots))
        return arb_mat([[int(i == j) for j in n] for i in n])


def contraction_needs_a_root_inside() -> None:
    """x^2 = 2: the box of one root is proved; far away, with both roots, with no inverse at all it is not."""
    with ctx.workdps(60):
        root, radius = arb(2).sqrt(), arb(10) ** -20
        x, inverse = arb_mat([[root.mid()]]), arb_mat([[(1 / (2 * root)).mid()]])
        found = krawczyk.contract(Parabola(), x, inverse, radius)
        assert found.enclosure[0, 0].contains(root) and found.box[0, 0].contains(root)
        assert found.box[0, 0].rad() >= radius * (1 - arb(10) ** -9)
        near = arb_mat([[(root + radius / 2).mid()]])
        assert krawczyk.contract(Parabola(), near, inverse, radius).enclosure[0, 0].contains(root)
        for centre, about, size in (
            (x, arb_mat([[0]]), radius),  # K(X) = X: inside, not in the interior
            (arb_mat([[(root + 2 * radius).mid()]]), inverse, radius),
            (arb_mat([[(root - 2 * radius).mid()]]), inverse, radius),
            (x, inverse, arb(3)),
            (x, 3 * inverse, radius),
            (x, -inverse, radius),
        ):
            refused(
                lambda about=about, centre=centre, size=size: krawczyk.contract(
                    Parabola(), centre, about, size
                )
            )
        half, one, zero = arb(0.5), arb_mat([[1]]), arb_mat([[0]])
        assert krawczyk.contract(Line(0.25), zero, one, half).enclosure[0, 0].contains(arb(0.25))
        border = arb(0, half).rad()
        refused(lambda: krawczyk.contract(Line(border), zero, one, half))  # the root on the border of the box
        identity, origin = arb_mat([[1, 0], [0, 1]]), arb_mat([[0], [0]])
        krawczyk.contract(Line(0.25, -0.25), origin, identity, half)
        for roots in ((0.25, 1.0), (1.0, 0.25)):
            refused(lambda roots=roots: krawczyk.contract(Line(*roots), origin, identity, half))


def inertia_is_that_of_the_eigenvalues() -> None:
    rng = np.random.default_rng(14)
    with ctx.workdps(40):
        for n in (1, 3, 6, 9, 14):
            A = rng.normal(size=(n, n))
            for H in (A + A.T, A @ A.T + np.eye(n)):
                assert krawczyk.negative_eigenvalues(arb_mat(H.tolist())) == (np.linalg.eigvalsh(H) < 0).sum()
        for singular in (np.ones((2, 2)), np.zeros((1, 1)), np.ones((9, 9))):
            refused(lambda singular=singular: krawczyk.negative_eigenvalues(arb_mat(singular.tolist())))
        wide = arb_mat([[arb(1, 2), 0], [0, 1]])
        refused(lambda: krawczyk.negative_eigenvalues(wide))


def decimals_hold_at_both_ends() -> None:
    """A decimal of a ball is what both of its ends round to; doubles lie on the right side of it."""
    with ctx.workdps(80):
        for middle in (arb(1) / 3, -200 * arb(2).sqrt(), arb("0.5"), arb(10) ** 20 / 7, arb("0.29999999999")):
            for radius in (arb(0), arb(10) ** -11, arb(10) ** -30):
                ball = middle + arb(0, 1) * radius
                text = decimals.decimal(ball, 40)
                places = max(
                    0, -int(mpmath.mpf(text.split("E")[1])) if "E" in text else len(text.partition(".")[2])
                )
                unit = Fraction(1, 10**places)
                for end in (ball.lower(), ball.upper()):
                    assert abs(decimals.rational(end) - Fraction(text)) <= unit / 2
                assert Fraction(decimals.at_least(ball)) <= decimals.rational(ball.lower())
                assert Fraction(decimals.at_most(ball)) >= decimals.rational(ball.upper())
