"""Parts of proven digits by hand: ends of balls, digits asked for, foreign prices, I - B singular."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from cases import Array, random_tasks
from checks.points import amtl
from checks.rational import exact_slopes
from flint import arb, ctx, fmpq, fmpq_mat

from amtl_cvx.digits import exact_weights, kinks, prove
from amtl_cvx.digits.decimals import at_least, at_most, rational
from amtl_cvx.digits.pieces import Piecewise
from amtl_cvx.digits.prices import linear_prices
from amtl_cvx.digits.weightstep import ExactRow, WeightStep
from amtl_cvx.errors import LimitReached, NotCertifiable
from amtl_cvx.limits import limited
from amtl_cvx.losses import Quantile, Squared
from amtl_cvx.tasks import TaskSet


@pytest.mark.parametrize("power", [-900, -80, -1, 0, 3, 200])
def test_an_exact_ball_is_its_rational(power: int) -> None:
    with ctx.workdps(60):
        for mantissa in (1, -3, 10**15 + 7):
            assert rational(arb(mantissa) * arb(2) ** power) == Fraction(mantissa) * Fraction(2) ** power


def test_the_end_of_a_ball_is_the_double_next_to_it() -> None:
    with ctx.workdps(60):
        for value in (0.5, -0.75, 3.0, 1e300, 0.1, -1e-200, 0.0):
            assert at_most(arb(value)) == value == at_least(arb(value))  # a double is its own bound
        third, near = arb(1) / 3, arb(7) + arb(0, 1) * arb(10) ** -30
        for ball in (third, -arb(2).sqrt(), arb("0.1"), near, arb(1) + arb(2) ** -80):
            up, down = at_most(ball), at_least(ball)
            high, low = rational(ball.upper()), rational(ball.lower())
            assert Fraction(up) >= high and Fraction(math.nextafter(up, -math.inf)) < high
            assert Fraction(down) <= low and Fraction(math.nextafter(down, math.inf)) > low


@pytest.mark.parametrize("digits", [15, 60, 120])
def test_as_many_digits_are_given_as_were_asked_for(digits: int) -> None:
    """One task, one feature: w = x'y / (x'x + n coupling) is rational."""
    x, y = [1.0, 2.0, -1.5], [0.5, 3.0, 1.0]
    tasks = TaskSet.from_arrays([np.array(x)[:, None]], [np.array(y)])
    model = amtl(Squared(), coupling=0.75, c="equal")
    exact = Fraction(sum(a * b for a, b in zip(x, y, strict=True))) / (
        Fraction(sum(a * a for a in x)) + 3 * Fraction(0.75)
    )
    found = prove(tasks, model, np.array([[float(exact)]]), np.zeros((1, 1)), digits=digits, dps=20)
    with localcontext(prec=digits):
        expected = Decimal(exact.numerator) / Decimal(exact.denominator)
    assert Decimal(found.W[0][0]) == expected
    assert len(found.W[0][0].lstrip("-0.").replace(".", "")) >= digits - 1


class Swapped:
    """Prices that belong to the loss of the other task."""

    def row_prices(self, losses: Array) -> Array:
        found: Array = losses[::-1].copy()
        return found


class Constant:
    """Prices without a loss, and the source's own loss beside it."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def row_prices(self, losses: Array) -> Array:
        found: Array = 0.5 + self.rate * losses
        return found


class Nothing:
    """No prices."""

    def row_prices(self, losses: Array) -> None:
        return None


def test_prices_are_those_of_the_source_alone() -> None:
    assert linear_prices(Constant(2.0), 3) == [(0.5, 2.5)] * 3  # type: ignore[arg-type]
    assert linear_prices(Constant(0.0), 2) == [(0.5, 0.5)] * 2  # type: ignore[arg-type]
    for refused in (Swapped(), Nothing()):
        with pytest.raises(NotCertifiable):
            linear_prices(refused, 2)  # type: ignore[arg-type]


def test_the_w_step_where_i_minus_b_is_singular_is_exact_as_long_as_rows_determine_it() -> None:
    """B swaps two tasks, I - B = [[1, -1], [-1, 1]]: the gradient vanishes exactly all the same."""
    tasks = random_tasks(np.random.default_rng(38), d=2, counts=(5, 6))
    model, B = amtl(Squared(), mu=0.25, c=(0.5, 2.0)), np.array([[0.0, 1.0], [1.0, 0.0]])
    found = exact_weights(tasks, model, B)
    assert found.gradient == 0 and found.gap == 0
    assert not any(exact_slopes(tasks, model, found.W, B)[0])
    short = TaskSet.from_arrays([tasks[0].X[:1]] * 2, [task.y[:1] for task in tasks])
    with pytest.raises(NotCertifiable, match="unique"):
        exact_weights(short, model, B)


def test_an_exact_step_of_curved_and_kinked_rows_by_hand() -> None:
    """(w - 3)^2 + |w - 7/5| / 2 + w^2: at w = 7/5 the slopes are -16/5 + u + 14/5 = 0."""
    curved = Piecewise(fmpq(3), None, None, True)
    kinked = Piecewise(fmpq(7, 5), fmpq(-1, 2), fmpq(1, 2), False)
    step = WeightStep(
        [ExactRow(0, [fmpq(1)], loss, fmpq(1)) for loss in (curved, kinked)], fmpq_mat([[1]]), 1
    )
    for side in (-1, 0, 1):
        step.start([fmpq(0)] * 2, [0, side])
        with limited(10.0):
            W = step.minimise()
        assert W[0, 0] == fmpq(7, 5) and step.u == [fmpq(-16, 5), fmpq(2, 5)]
        assert step.gradient(W)[0, 0] == 0 and step.mismatch(W) == 0
    with limited(1e-9), pytest.raises(LimitReached):
        step.minimise()


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("apart", [2.0**-51, 2.0**-30])
def test_equal_rows_whose_kinks_differ_in_the_last_digit_stand_on_their_own_sides(
    sign: float, apart: float
) -> None:
    """|w - y_i| / 2 for y = -3, 1, 1 + eps, 5 and w^2 / 20: w = 1, one row on its kink, one beside."""
    y = sign * np.array([-3.0, 1.0, 1.0 + apart, 5.0])
    tasks = TaskSet.from_arrays([np.ones((4, 1))], [y])
    model = amtl(Quantile(tau=0.5), coupling=0.05, c="equal")
    found = prove(tasks, model, np.array([[sign]]), np.zeros((1, 1)))
    assert Decimal(found.W[0][0]) == Decimal(sign) and found.strict_local_min
    low, high = ("below", "above") if sign > 0 else ("above", "below")
    assert found.rows == {low: ((2, 3),), "kink": ((1,),), high: ((0,),)}
    assert found.min_row_distance == pytest.approx(apart, rel=1e-12)
    assert found.min_row_multiplier == pytest.approx(0.4, rel=1e-12)
    with pytest.MonkeyPatch.context() as patch:  # both rows said to be on their kinks, they depend
        patch.setattr(kinks, "_first_sides", lambda *_: ((int(sign), 0, 0, -int(sign)),))
        assert prove(tasks, model, np.array([[sign]]), np.zeros((1, 1))).rows == found.rows
    twin = TaskSet.from_arrays([np.ones((4, 1))], [sign * np.array([-3.0, 1.0, 1.0, 5.0])])
    with pytest.raises(NotCertifiable, match="linearly dependent"):
        prove(twin, model, np.array([[sign]]), np.zeros((1, 1)))
