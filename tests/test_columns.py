"""Bounds of the B-step in exact rationals, and what the certificate makes of them."""

from __future__ import annotations

from collections.abc import Callable

import checks.columns as exact
import pytest


@pytest.mark.parametrize(
    "check",
    [
        exact.gap_B_is_never_below_the_gain,
        exact.dual_points_are_feasible_in_rationals,
        exact.zeros_are_proved_of_zeros_only,
        exact.error_B_is_never_below_the_distance,
        exact.dependent_columns_have_no_least_singular_value,
        exact.rounding_of_prices_is_allowed_for,
    ],
)
def test_bounds_hold_in_rationals(check: Callable[[], None]) -> None:
    check()
