"""Rows, Jacobian, inertia, Krawczyk and decimals in ball arithmetic; planted faults are caught."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from flint import arb, arb_mat, ctx
from proved_digits import check_jacobian
from proven import (
    PROVABLE,
)

from amtl_cvx.digits import krawczyk
from amtl_cvx.digits.decimals import at_least, at_most, decimal
from amtl_cvx.digits.losses import PIECEWISE, ROWS, Kink
from amtl_cvx.digits.system import FirstOrderSystem
from amtl_cvx.errors import NotCertifiable

pytestmark = pytest.mark.usefixtures("two_hundred_decimals")


# the parts


def test_every_row_loss_has_a_case() -> None:
    assert set(ROWS) == set(PROVABLE) and set(PIECEWISE) <= set(ROWS)


@pytest.mark.parametrize("name", PROVABLE[:3])
def test_rows_are_the_derivatives_of_phi(name: str, rng: np.random.Generator) -> None:
    def phi(z: Any, y: float) -> Any:
        if name == "squared":
            return (z - y) ** 2
        return mpmath.log1p(mpmath.exp(-y * z)) if name == "logistic" else max(0, 1 - y * z) ** 2

    h = mpmath.mpf(10) ** -60
    for z, y in zip([*rng.normal(size=20), 30.0, -40.0], rng.choice([-1.0, 1.0], size=22), strict=True):
        with ctx.workdps(100):
            row = [mpmath.mpf(value.mid().str(95, radius=False)) for value in ROWS[name](arb(z), y)[:3]]
        at = mpmath.mpf(z)
        values = [phi(at + k * h, y) for k in (-1, 0, 1)]
        expected = [
            values[1],
            (values[2] - values[0]) / (2 * h),
            (values[2] - 2 * values[1] + values[0]) / h**2,
        ]
        for found, aim, digits in zip(row, expected, (90, 90, 70), strict=True):
            assert abs(found - aim) <= mpmath.mpf(10) ** -digits * (1 + abs(aim))


def test_a_ball_over_the_kink_has_no_row() -> None:
    with ctx.workdps(70):
        for wide in (arb(1, 1e-30), arb(1)):
            with pytest.raises(Kink):
                ROWS["squared-hinge"](wide, 1.0)
        assert ROWS["squared-hinge"](arb(1, 1e-30) - arb(1e-20), 1.0).active
        assert not ROWS["squared-hinge"](arb(1, 1e-30) + arb(1e-20), 1.0).active


@pytest.mark.parametrize("seed", [0, 1, 2, 5, 9])
def test_the_jacobian_encloses_the_differences_of_the_gradient(seed: int) -> None:
    check_jacobian(FirstOrderSystem, seed)


def test_inertia_is_that_of_the_eigenvalues(rng: np.random.Generator) -> None:
    for n in (1, 2, 6, 7, 13, 20):
        A = rng.normal(size=(n, n))
        A = A + A.T
        for H in (A, A @ A + np.eye(n)):
            assert krawczyk.negative_eigenvalues(arb_mat(H.tolist())) == (np.linalg.eigvalsh(H) < 0).sum()
    for singular in (np.ones((2, 2)), np.zeros((1, 1)), np.ones((9, 9))):
        with pytest.raises(krawczyk.Undecided):
            krawczyk.negative_eigenvalues(arb_mat(singular.tolist()))
    wide = arb_mat([[arb(1, 2), 0], [0, 1]])
    with pytest.raises(krawczyk.Undecided):
        krawczyk.negative_eigenvalues(wide)


@pytest.mark.parametrize("scale", [1.0, 2.0**-40])
def test_inertia_is_known_where_leading_blocks_are_singular(scale: float) -> None:
    """[[0, D], [D, 0]] has the eigenvalues +- D, of [[0, 0, 1], [0, 2, 0], [1, 0, 0]] one is negative."""
    for n in (1, 4, 9):
        zero, D = np.zeros((n, n)), np.diag(scale ** np.linspace(0.0, 1.0, n))
        H = arb_mat(np.block([[zero, D], [D, zero]]).tolist())
        with pytest.raises(krawczyk.Undecided):
            krawczyk.negative_eigenvalues(H)
        assert krawczyk.inertia(H) == n
    assert krawczyk.inertia(arb_mat([[0, 0, 1], [0, 2, 0], [1, 0, 0]])) == 1
    wide, large = ([[0, each], [each, 0]] for each in (arb(0, 1), arb("1e400")))
    for undecided in (np.ones((9, 9)).tolist(), np.zeros((2, 2)).tolist(), wide, large):
        with pytest.raises(krawczyk.Undecided):
            krawczyk.inertia(arb_mat(undecided))


class Polynomial:
    """x^2 - c, a system of one unknown."""

    def __init__(self, c: float, slope: float = 2.0) -> None:
        self.c, self.slope = c, slope

    def gradient(self, x: arb_mat) -> arb_mat:
        return arb_mat([[x[0, 0] ** 2 - self.c]])

    def jacobian(self, x: arb_mat) -> arb_mat:
        return arb_mat([[self.slope * x[0, 0]]])


def test_krawczyk_encloses_the_root_of_two() -> None:
    with ctx.workdps(70):
        x, _ = krawczyk.newton(Polynomial(2.0), arb_mat([[1.5]]), arb(10) ** -55)
        inverse = arb_mat([[arb("0.5").sqrt() / 2]]).mid()
        root = krawczyk.contract(Polynomial(2.0), x, inverse, arb(10) ** -50)
        assert decimal(root.enclosure[0, 0], 40) == mpmath.nstr(mpmath.sqrt(2), 40, strip_zeros=False)
        off = krawczyk.contract(Polynomial(2.0), x + arb_mat([[arb(10) ** -52]]), inverse, arb(10) ** -50)
        for enclosure in (root.enclosure[0, 0], off.enclosure[0, 0]):
            assert enclosure.contains(arb(2).sqrt()) and enclosure.rad() < arb(10) ** -60
        for far in (arb(10) ** -30, arb(2)):
            with pytest.raises(krawczyk.Undecided):  # no root within 1e-50 of a point that far off
                krawczyk.contract(Polynomial(2.0), x + arb_mat([[far]]), inverse, arb(10) ** -50)
        with pytest.raises(krawczyk.Undecided):  # the box holds both roots
            krawczyk.contract(Polynomial(2.0), x, inverse, arb(3))
        with pytest.raises(krawczyk.Undecided):
            krawczyk.contract(Polynomial(2.0), x, 3 * inverse, arb(10) ** -50)
    with ctx.workdps(70), pytest.raises(NotCertifiable, match="singular"):
        krawczyk.newton(Polynomial(0.0), arb_mat([[0.0]]), arb(10) ** -55)
    with ctx.workdps(70), pytest.raises(krawczyk.Undecided):
        krawczyk.contract(
            Polynomial(0.0), arb_mat([[arb(10) ** -60]]), arb_mat([[arb(10) ** 60]]), arb(10) ** -50
        )
    with ctx.workdps(70), pytest.raises(NotCertifiable, match="singular"):
        krawczyk.newton(Polynomial(-1.0), arb_mat([[0.5]]), arb(10) ** -55)


def test_decimals_claim_what_the_ball_proves() -> None:
    with ctx.workdps(80):
        third = arb(1) / 3
        assert decimal(third, 40) == "0." + 40 * "3"
        assert decimal(-200 * third, 10) == "-66.66666667"
        assert decimal(third + arb(0, 1e-12), 40) == "0.33333333333"
        assert decimal(arb(0, 1e-12), 40) == "0E-11" and decimal(arb(0), 40) == "0"
        assert decimal(arb(1) / 8, 40) == "0.125" + 37 * "0"
        assert decimal(arb(10) ** 50, 3) == "1.00E+50"
        # both ends of [0.5 - 1e-30, 0.5 + 1e-30] round to 0.50, not to one decimal of none
        assert decimal(arb("0.5") + arb(0, 1e-30), 40).startswith("0.5000")
        for ball in (third, -third, arb(2).sqrt(), arb(0, 1e-12), arb(1)):
            assert arb(at_least(ball)) <= ball.lower() and arb(at_most(ball)) >= ball.upper()
            assert at_most(ball) - at_least(ball) <= 2.1e-12
        assert at_least(arb(1)) == at_most(arb(1)) == 1.0
