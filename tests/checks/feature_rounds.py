"""Scales, block steps and starts of shared features, against brute force and J as it is written."""

from __future__ import annotations

import pytest
import test_feature_balance as balance
import test_feature_starts as starts
import test_feature_steps as steps
from feature_draws import drawn_point, drawn_problem


def scales_of_features_are_the_best() -> None:
    """What a scale does to J, and the root of its derivative."""
    balance.test_the_best_scale_is_that_of_brute_force()
    balance.test_J_of_a_scaled_feature_is_what_the_step_minimises("squared")


def block_steps_end_at_the_minima_of_J() -> None:
    """By CVXPY on all rows, at a point with feedback; and what a polish makes of a rough answer."""
    point = drawn_point(drawn_problem("squared", n=8), 0)
    for block in "LSA":
        after = point.at(**{block: steps.step_of(point, block).value})
        assert after.objective == pytest.approx(steps.plain_minimum(point, block), rel=1e-7)
    steps.test_a_polish_makes_exact_what_a_solver_leaves_near_zero()


def starts_have_the_signs_of_feedback() -> None:
    """Every feature can be given to; and the factors are those of single tasks."""
    starts.test_where_feedback_must_not_be_negative_every_feature_can_be_given_to()
    starts.test_the_factors_are_the_nearest_product_and_every_feature_is_live(7)
