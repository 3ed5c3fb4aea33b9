"""Independent checks of what is verified and of the verifier itself; each raises where something is wrong.

Expected values come from loops (`literal`), differences, weak duality, closed forms, exact fractions or the
stand-alone checker, never from the function under test. They pass on the sound code and are what has to catch
the planted faults of `faults.py`. Points that need a fit are found once, before any fault is planted.
"""

from __future__ import annotations

from checks.columns import (
    dependent_columns_have_no_least_singular_value,
    dual_points_are_feasible_in_rationals,
    error_B_is_never_below_the_distance,
    exact_gaps_are_the_gain,
    free_opposites_are_solved_exactly,
    free_tasks_leave_a_sharp_gap,
    gap_B_is_never_below_the_gain,
    gaps_hold_for_all_prices_of_an_interval,
    rounding_of_prices_is_allowed_for,
    zeros_are_proved_of_zeros_only,
)
from checks.curvature import (
    curvature_tells_minima_from_saddles,
    exchangeable_edges_are_degenerate,
    held_rows_are_judged,
    missing_edge_is_no_minimum,
)
from checks.digits import (
    contraction_needs_a_root_inside,
    decimals_hold_at_both_ends,
    digits_are_those_of_J,
    inertia_is_that_of_the_eigenvalues,
    kinks_are_proved,
    proofs_refuse_what_is_not_there,
    small,
)
from checks.enclosure import (
    box_reaches_the_ends_of_its_ellipsoids,
    boxes_by_hand_and_free_tasks_are_refused,
    cut_box_holds,
    cuts_cover_the_box,
    enclosure_holds,
    exact_problem_is_J,
    least_on_a_grid,
    level_above_J,
    loose_bound_holds,
    roots_lie_above,
    rounding_bounds_polynomials,
    scaled_polynomial_is_J,
    twice_cut_box_holds,
    zoom_changes_variables,
)
from checks.forgeries import checker_rejects_forgeries, forgeries
from checks.gains import (
    a_value_of_rounding_is_no_loss,
    judged_gains_are_bounds,
    judged_gains_have_room_for_rounding,
)
from checks.gaps import (
    condition_numbers_are_those_of_numpy,
    error_B_holds,
    error_W_holds_along_the_weakest_direction,
    gap_B_is_primal_minus_dual,
    gap_W_is_primal_minus_dual,
    gap_W_of_a_kink_is_small_at_the_minimum,
    proved_zeros_are_zeros,
    safe_rule_keeps_its_factor_two,
    widest_and_least_are_singular_values,
)
from checks.objective import (
    conjugates_are_suprema,
    factors_keep_the_objective,
    gradients_are_differences_of_J,
    hessian_is_differences_of_the_gradient,
    objective_is_the_formula,
)
from checks.points import anywhere, solved
from checks.rational import rational_pieces_are_exact, rational_steps_are_exact
from checks.residuals import (
    infeasible_points_have_no_level,
    moved_points_do_not_pass,
    residual_does_not_depend_on_the_unit,
    residuals_are_those_of_the_definition,
    rows_that_disagree_are_told,
    single_task_points_have_no_edges,
    verdict_compares_every_figure,
)

__all__ = [
    "a_value_of_rounding_is_no_loss",
    "anywhere",
    "box_reaches_the_ends_of_its_ellipsoids",
    "boxes_by_hand_and_free_tasks_are_refused",
    "checker_rejects_forgeries",
    "condition_numbers_are_those_of_numpy",
    "conjugates_are_suprema",
    "contraction_needs_a_root_inside",
    "curvature_tells_minima_from_saddles",
    "cut_box_holds",
    "cuts_cover_the_box",
    "decimals_hold_at_both_ends",
    "dependent_columns_have_no_least_singular_value",
    "dual_points_are_feasible_in_rationals",
    "digits_are_those_of_J",
    "enclosure_holds",
    "error_B_holds",
    "error_B_is_never_below_the_distance",
    "error_W_holds_along_the_weakest_direction",
    "exact_gaps_are_the_gain",
    "exact_problem_is_J",
    "exchangeable_edges_are_degenerate",
    "held_rows_are_judged",
    "factors_keep_the_objective",
    "forgeries",
    "free_opposites_are_solved_exactly",
    "free_tasks_leave_a_sharp_gap",
    "gap_B_is_never_below_the_gain",
    "gap_B_is_primal_minus_dual",
    "gap_W_is_primal_minus_dual",
    "gap_W_of_a_kink_is_small_at_the_minimum",
    "gaps_hold_for_all_prices_of_an_interval",
    "gradients_are_differences_of_J",
    "hessian_is_differences_of_the_gradient",
    "inertia_is_that_of_the_eigenvalues",
    "infeasible_points_have_no_level",
    "judged_gains_are_bounds",
    "judged_gains_have_room_for_rounding",
    "least_on_a_grid",
    "level_above_J",
    "loose_bound_holds",
    "missing_edge_is_no_minimum",
    "moved_points_do_not_pass",
    "objective_is_the_formula",
    "kinks_are_proved",
    "proofs_refuse_what_is_not_there",
    "proved_zeros_are_zeros",
    "rational_pieces_are_exact",
    "rational_steps_are_exact",
    "residual_does_not_depend_on_the_unit",
    "residuals_are_those_of_the_definition",
    "roots_lie_above",
    "rounding_bounds_polynomials",
    "rounding_of_prices_is_allowed_for",
    "rows_that_disagree_are_told",
    "safe_rule_keeps_its_factor_two",
    "scaled_polynomial_is_J",
    "single_task_points_have_no_edges",
    "small",
    "solved",
    "twice_cut_box_holds",
    "verdict_compares_every_figure",
    "widest_and_least_are_singular_values",
    "zeros_are_proved_of_zeros_only",
    "zoom_changes_variables",
]
