# More than 300 lines: a table, one row a fault.
"""Faults planted in what is verified and in the verifier's own parts: one small change of one function each.

`planted` takes the source of a function, changes one place of it, compiles it and puts the new code into the
function object, so that everything that imported it is at fault as well. Each fault names the independent check
(`checks`) that has to catch it.
"""

from __future__ import annotations
import __future__ as future

import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any

import checks as c
import pytest


@dataclass(frozen=True)
class Fault:
    """In the function `where` ("noun:name", noun a module or folder of the package) `sound` stands for `faulty`."""

    name: str
    where: str
    sound: str
    faulty: str
    caught_by: Callable[[], None]


def planted(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the fault into the running package; `monkeypatch` takes it out again."""
    function, source = place(fault)
    changed = source.replace(fault.sound, fault.faulty)
    flags = future.annotations.compiler_flag
    scope = dict(function.__globals__)
    exec(compile(changed, f"<{fault.name}>", "exec", flags=flags), scope)
    monkeypatch.setattr(function, "__code__", _plain(scope[function.__name__]).__code__)


def place(fault: Fault) -> tuple[FunctionType, str]:
    """The function of the fault and its source, in which the sound words occur once."""
    function = _function(fault.where)
    source = textwrap.dedent(inspect.getsource(function))
    count = source.count(fault.sound)
    assert count == 1, f"{fault.name}: {fault.sound!r} occurs {count} times in {fault.where}, plant it anew"
    return function, source


def _function(where: str) -> FunctionType:
    noun, _, path = where.partition(":")
    first, *rest = path.split(".")
    found = [module for module in _modules(f"amtl_cvx.{noun}") if _defines(module, first)]
    assert len(found) == 1, f"{where} is defined in {len(found)} places"
    place: Any = getattr(found[0], first)
    for name in rest:
        place = inspect.getattr_static(place, name)
    return _plain(place)


def _modules(name: str) -> list[ModuleType]:
    """The module of a noun, or all of its folder."""
    module = importlib.import_module(name)
    inside = pkgutil.iter_modules(getattr(module, "__path__", ()))
    return [
        module,
        *(importlib.import_module(f"{name}.{each.name}") for each in inside if each.name != "sdpa"),
    ]


def _defines(module: ModuleType, name: str) -> bool:
    return getattr(getattr(module, name, None), "__module__", None) == module.__name__


def _plain(found: Any) -> FunctionType:
    """The function behind a property, kept or not, a class method or a decorator."""
    found = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
    found = found.func if isinstance(found, cached_property) else found
    found = inspect.unwrap(found)
    assert isinstance(found, FunctionType)
    return inspect.unwrap(found)


J, GRADIENT, HESSIAN = (
    c.objective_is_the_formula,
    c.gradients_are_differences_of_J,
    c.hessian_is_differences_of_the_gradient,
)
RESIDUAL = c.residuals_are_those_of_the_definition

LOSSES_AND_J = (
    Fault("1/2 in the squared loss", "losses:Squared.rows", "(z - y) ** 2", "(z - y) ** 2 / 2", J),
    Fault("missing 2 in the slope", "losses:Squared.slopes", "2.0 * (z", "1.0 * (z", GRADIENT),
    Fault("missing 2 in the curvature", "losses:Squared.curvatures", "2.0", "1.0", HESSIAN),
    Fault(
        "conjugate of the loss with 1/2",
        "losses:Squared.conjugate",
        "/ 4.0",
        "/ 2.0",
        c.conjugates_are_suprema,
    ),
    Fault("Huber's tail", "losses:Huber.rows", "2.0 * size - K", "2.0 * size", J),
    Fault("Huber's slope not clipped", "losses:Huber.slopes", "-2.0 * self", "-9e9 * self", GRADIENT),
    Fault("Huber's outliers curve", "losses:Huber.curvatures", "2.0, 0.0", "2.0, 2.0", HESSIAN),
    Fault("Huber's dual unbounded", "losses:Huber.domain", "2.0 * self", "4.0 * self", c.conjugates_are_suprema),
    Fault("tau on the wrong side", "losses:Quantile.rows", "self.tau * (y - z), (self.tau - 1.0)", "(1.0 - self.tau) * (y - z), -self.tau", J),
    Fault("quantile's dual mirrored", "losses:Quantile.domain", "-self.tau)", "self.tau - 1.0)", c.conjugates_are_suprema),
    Fault("Poisson without y log y", "losses:Poisson.rows", "np.maximum(np.expm1(shift) - shift, 0.0)", "(np.exp(shift) - shift)", J),
    Fault("Poisson's conjugate without its mean", "losses:Poisson.conjugate", "- mean -", "-", c.conjugates_are_suprema),
    Fault("logistic sign of the labels", "losses:Logistic.slopes", "expit(-signs", "expit(signs", GRADIENT),
    Fault("logistic curvature p", "losses:Logistic.curvatures", " * expit(-z)", "", HESSIAN),
    Fault("half of the logistic entropy", "losses:Logistic.conjugate", " + xlog1py(1.0 - s, -s)", "", c.conjugates_are_suprema),
    Fault("squared hinge not squared", "losses:SquaredHinge.rows", " ** 2", "", J),
    Fault("squared hinge slope", "losses:SquaredHinge.slopes", "-2.0", "-1.0", GRADIENT),
    Fault("hinge's dual of the wrong sign", "losses:Hinge.domain", "-_signs", "_signs", c.conjugates_are_suprema),
    Fault("n_t of the factor, not of the rows", "losses:Loss.scale", "1.0 / task.n", "1.0 / len(task.y)", c.factors_keep_the_objective),
    Fault("n_t of the factors of tasks of one shape", "problem:Model.loss_scales", "1.0 / tasks.counts", "1.0 / np.array([len(task.y) for task in tasks])", c.factors_keep_the_objective),
    Fault("sums for means", "problem:Point.losses", "self.problem.loss_scales * ", "", J),
    Fault("Hessians of sums for means", "problem:Point.loss_hessians", " * self.problem.loss_scales", "", HESSIAN),
    Fault("scores of another task", "problem:scores", "W.T[at]", "W.T[slice(0, len(X))]", J),
    Fault("squares without the root", "problem:squares", "np.sqrt(weight)", "weight", HESSIAN),
    Fault("sum for mean", "losses:Loss.value", "self.scale(task) * ", "", J),
    Fault("gradient of the sum for the mean", "losses:Loss.gradient", "self.scale(task) * ", "", GRADIENT),
    Fault("Hessian of the sum for the mean", "losses:Loss.hessian", "self.scale(task) * ", "", HESSIAN),
    Fault("one row of a batch", "losses:Loss.gradient", "task.X.T @ self.on(task.sample_weight).slopes(task.X @ w, task.y)", "task.X[:1].T @ self.on(task.sample_weight).slopes(task.X[:1] @ w, task.y[:1])", GRADIENT),
    Fault("batched tasks: sum for mean", "problem:Point.loss_gradient", "self.problem.loss_scales * ", "", GRADIENT),
    Fault("batched tasks: sums over tasks", "problem:Scores.sums", ".sum(axis=1)", ".sum(axis=0)[: len(self.y)]", J),
    Fault("transposed B in J", "problem:residual", "W @ B", "W @ B.T", J),
    Fault("coupling without its factor", "problem:Point.terms", "self.model.coupling * float(", "1.0 * float(", J),
    Fault("c_t dropped from the losses", "problem:Point.weighted_losses", "self.problem.task_weight * ", "", J),
    Fault("c_t = 1/n_t", "problem.given:weights_as_numbers", "np.sqrt(tasks.counts)", "tasks.counts", J),
    Fault("c_t dropped from the W-step", "problem:Model.loss_weight", "self.task_weight(tasks) * ", "", GRADIENT),
    Fault("price of the loss dropped", "problem:Model.loss_weight", "1.0 + self.transfer.weights(B)", "1.0 + 0.0 * B[0]", GRADIENT),
    Fault("incoming for outgoing in the W-step", "transfer:RowPriced.weights", "axis=1", "axis=0", GRADIENT),
    Fault("incoming for outgoing in J", "transfer:RowPriced.value", "axis=1", "axis=0", J),
    Fault("mu squared", "transfer:RowPriced.prices", "self.mu * losses", "self.mu**2 * losses", GRADIENT),
    Fault("missing 2 in the coupling of G_W", "problem:slope_W", "2.0 * ", "", GRADIENT),
    Fault("W M M for W M M'", "problem:slope_W", "@ M.T", "@ M", GRADIENT),
    Fault("missing 2 in the coupling of G_B", "problem:slope_B", "-2.0", "-1.0", GRADIENT),
    Fault("sign of the coupling in G_B", "problem:slope_B", "-2.0", "2.0", GRADIENT),
    Fault("r_s'w_t for w_s'r_t", "problem:slope_B", "W.T @ R", "R.T @ W", GRADIENT),
    Fault("mu on the wrong axis", "problem:Point.gradient_B", "prices[:, None]", "prices[None, :]", GRADIENT),
    Fault("c_t dropped from the prices", "problem:Point.gradient_B", "self.weighted_losses", "self.losses", GRADIENT),
    Fault("stale losses in the prices", "problem:Point.gradient_B", "self.weighted_losses", "self.problem.losses_at_zero", GRADIENT),
    Fault("diagonal of G_B kept", "problem:Point.gradient_B", "fill_diagonal(gradient, 0.0)", "fill_diagonal(gradient, 1.0)", GRADIENT),
    Fault("missing 2 in the Hessian", "problem:between_tasks", "2.0 * coupling", "coupling", HESSIAN),
    Fault("M'M for M M'", "problem:between_tasks", "M @ M.T", "M.T @ M", HESSIAN),
    Fault("a_t dropped from the Hessian", "problem:Point.loss_hessians", "self.loss_weight * ", "", HESSIAN),
)  # fmt: skip

FEASIBLE = c.infeasible_points_have_no_level
VERDICT = c.verdict_compares_every_figure
RESIDUALS_AND_VERDICT = (
    Fault("diagonal leak", "transfer:project_transfer", "np.fill_diagonal(B, 0.0)", "pass", FEASIBLE),
    Fault("negative entries kept", "transfer:project_transfer", "np.maximum(V, 0.0)", "V.copy()", FEASIBLE),
    Fault("feasible up to 1e-9", "certificate:infeasibility", "return float(np.abs(B - model.transfer.project(B)).max())", "return max(0.0, float(np.abs(B - model.transfer.project(B)).max()) - 1e-9)", FEASIBLE),
    Fault("clipped before it is judged", "certificate:certify", "small, feasibility = point.reduced, infeasibility(point.model, point.B)", "point = point.at(B=point.model.transfer.project(point.B)); small, feasibility = point.reduced, infeasibility(point.model, point.B)", FEASIBLE),
    Fault("feasibility not asked", "certificate:conclude", "feasible = feasibility <= 0.0", "feasible = True", VERDICT),
    Fault("residual not asked", "certificate:conclude", "feasible and relative <= tol and", "feasible and", VERDICT),
    Fault("NaN passes", "certificate:conclude", "and relative <= tol and", "and not relative > tol and", VERDICT),
    Fault("gaps not asked", "certificate:conclude", "and sum(judged) <= limit)", "and True)", VERDICT),
    Fault("gaps one by one", "certificate:conclude", "sum(judged) <= limit", "max(judged) <= limit", VERDICT),
    Fault("absolute for relative", "certificate:conclude", "tol * abs(objective)", "tol * max(abs(objective), 1e3)", VERDICT),
    Fault("the gap of W not judged", "certificate:conclude", "math.inf if gain_W is None else gain_W", "0.0", VERDICT),
    Fault("the gap of B not judged", "certificate:conclude", "[] if gap_B is None else [gap_B]", "[]", VERDICT),
    Fault("C1 without gain_W", "certificate:conclude", "math.inf if gain_W is None", "0.0 if gain_W is None", VERDICT),
    Fault("C1 whatever the gaps", "certificate:conclude", "partial = small and", "partial =", VERDICT),
    Fault("W alone is judged", "certificate:certify", 'found.relative if kind == "joint" else', "", c.moved_points_do_not_pass),
    Fault("single-task points may have edges", "certificate:certify", "float(np.abs(point.B).max())", "feasibility", c.single_task_points_have_no_edges),
    Fault("mean over the entries", "certificate:Misses.relative", ".max()", ".mean()", RESIDUAL),
    Fault("units of y in the residual", "certificate:Misses.parts", "self.size, out", "np.maximum(self.size, 1.0), out", c.residual_does_not_depend_on_the_unit),
    Fault("signed residual", "certificate:weight_misses", "Misses(np.abs(gradient),", "Misses(gradient,", RESIDUAL),
    Fault("size of W by columns", "certificate:weight_misses", "pulled + coupled + least", "(pulled + coupled + least).max(axis=0)", RESIDUAL),
    Fault("size of W by features", "certificate:weight_misses", "pulled + coupled + least", "(pulled + coupled + least).max(axis=1)[:, None]", RESIDUAL),
    Fault("rows without their slopes", "certificate:weight_misses", "(slopes.norm + SLOPES", "(SLOPES", RESIDUAL),
    Fault("residuals of the targets of a task", "certificate:weight_misses", "np.abs(Q.T)", "np.abs(Q)", RESIDUAL),
    Fault("size without a_t", "certificate:_weight_part", "rates=weight * scale", "rates=scale", RESIDUAL),
    Fault("pull minus coupling", "certificate:_weight_part", "slopes.pull + 2.0", "slopes.pull - 2.0", RESIDUAL),
    Fault("residual of B without h_s", "certificate:_transfer_misses", "np.minimum(steps * B,", "np.minimum(B,", RESIDUAL),
    Fault("h_s without its 2", "certificate:prox_steps", "2.0 * ", "", RESIDUAL),
    Fault("h of the target", "certificate:prox_steps", "np.where(h > 0, h, largest)[:, None]", "np.where(h > 0, h, largest)[None, :]", RESIDUAL),
    Fault("complementarity by the larger", "certificate:_transfer_misses", "np.abs(np.minimum(", "np.abs(np.maximum(", RESIDUAL),
    Fault("missing edges ignored", "certificate:_transfer_misses", "np.abs(np.minimum(steps * B, slope))", "np.maximum(np.minimum(steps * B, slope), 0.0)", RESIDUAL),
    Fault("prices of the target in the residual", "certificate:_transfer_misses", "prices[:, None] + smooth", "prices[None, :] + smooth", RESIDUAL),
    Fault("stale losses in the residual", "certificate:_transfer_misses", "c, losses = point.problem.task_weight, point.losses", "c, losses = point.problem.task_weight, point.at(W=0 * point.W).losses", RESIDUAL),
    Fault("size of B by rows", "certificate:_transfer_misses", "size + roomy[:, None]", "size.max(axis=1)[:, None] + roomy[:, None]", RESIDUAL),
    Fault("size of B with prices of the target", "certificate:_transfer_misses", "size + roomy[:, None]", "size + roomy[None, :]", RESIDUAL),
    Fault("a small edge behind its price", "certificate:_transfer_misses", "(steps * B < slope)", "(steps * B > slope)", RESIDUAL),
    Fault("the natural edge without its price", "certificate:_dear_sizes", "inner + prices[:, None]", "inner", RESIDUAL),
    Fault("other edges not in the column", "certificate:_dear_sizes", "(lengths + lengths @ np.abs(B))", "lengths", RESIDUAL),
    Fault("other edges not in the size", "certificate:_transfer_misses", "inner + inner @ given", "inner", RESIDUAL),
    Fault("size of u left out", "certificate:_slopes", "of.norm(of.clip(u, task.y))", "0.0 * of.norm(of.clip(u, task.y))", c.multipliers_are_judged_task_by_task),
    Fault("multipliers not judged by task", "certificate:AllMisses.largest_W", "self.kinks.relative()", "0.0", c.multipliers_are_judged_task_by_task),
    Fault("mismatch without the dual", "certificate:mismatches", "np.maximum(value + dual, 0.0)", "np.maximum(value, 0.0)", c.multipliers_are_judged_task_by_task),
    Fault("size of the mismatch by its value", "certificate:mismatches", "(value + np.abs(dual)).sum()", "(value + dual).sum()", c.multipliers_are_judged_task_by_task),
    Fault("rows confirmed unread", "certificate:confirm", "certificate.relative + float(apart[worst])", "certificate.relative", c.rows_that_disagree_are_told),
    Fault("rows missing", "certificate:disagreement", "sums.counts[t] != task.rows", "False", c.rows_that_disagree_are_told),
)  # fmt: skip

JUDGED, ROUNDED = c.judged_gains_are_bounds, c.judged_gains_have_room_for_rounding
GAP_W, GAP_B = c.gap_W_is_primal_minus_dual, c.gap_B_is_primal_minus_dual
FREE, EXACTLY = c.free_tasks_leave_a_sharp_gap, c.exact_gaps_are_the_gain
ABOVE, PRICES = c.gap_B_is_never_below_the_gain, c.rounding_of_prices_is_allowed_for
ZEROS, SAFE = c.proved_zeros_are_zeros, c.safe_rule_keeps_its_factor_two
GAPS = (
    Fault("gap_W too small by 2", "certificate:WeightProblem.gap", "4.0 * self.coupling", "8.0 * self.coupling", GAP_W),
    Fault("M^-1 for M^-T", "certificate:WeightProblem.gap", "np.linalg.solve(L, slope", "np.linalg.solve(L.T, slope", GAP_W),
    Fault("rows left out of gap_W", "certificate:WeightProblem.gap", "length * length / most + mismatch", "length * length / most", GAP_W),
    Fault("2 W S left out of Q", "certificate:slope_at", "pull.gradient.copy()", "0.0 * pull.gradient", GAP_W),
    Fault("gain without its 1/2", "certificate:newton_step", "0.5 * float(g", "float(g", GAP_W),
    Fault("gain of half the gradient", "certificate:newton_step", "0.5 * float(g", "0.25 * float(g", GAP_W),
    Fault("refined without what is left", "certificate:rough_newton", "float(((g + rest) * step).sum())", "float((rest * step).sum())", c.rough_steps_are_refined),
    Fault("refined for another B", "certificate:rough_newton", "(K @ (K.T @ step))", "(K.T @ (K @ step))", c.rough_steps_are_refined),
    Fault("single precision for any condition", "certificate:rough_newton", "<= _ROUGH", "<= np.inf", c.rough_steps_are_refined),
    Fault("single precision for a step of no numbers", "certificate:rough_newton", "math.isfinite(size) and", "", c.rough_steps_are_refined),
    Fault("any gap is enough", "certificate:WeightProblem.judged", "gap.safe <= self.enough", "True", JUDGED),
    Fault("Hessian of another B", "certificate:newton_step", "H, g = stacked_hessian(blocks, K, coupling)", "H, g = stacked_hessian(blocks, K.T, coupling)", GAP_W),
    Fault("gain to second order judged", "certificate:certify", "gain_W=about_W.judged", "gain_W=about_W.gain", JUDGED),
    Fault("any step within the curvature", "certificate:_least", "(s < 1.0) if concordant else (s <= 1.0)", "s < np.inf", JUDGED),
    Fault("rows left out at no cost", "certificate:_least", "- np.r_[0.0, np.cumsum(lever[order])]", "- 0.0 * np.r_[0.0, lever]", JUDGED),
    Fault("reach of another task", "certificate:proved_gain", "task.X @ K.T", "task.X @ roots[0].T", JUDGED),
    Fault("decrement without rounding", "certificate:proved_gain", "decrement.length + noise", "decrement.length", ROUNDED),
    Fault("gap without rounding", "certificate:WeightProblem.gap", "(length + off) * (length + off)", "length * length", c.judged_gaps_have_room_for_rounding),
    Fault("scores without rounding", "certificate:slope_at", "moves = EPS *", "moves = 0.0 *", ROUNDED),
    Fault("gain of the refits to second order", "certificate:task_gain", "min((proved.gain", "min((0.0", JUDGED),
    Fault("no least limit", "certificate:conclude", "max(tol * abs(objective), resolution)", "tol * abs(objective)", c.a_value_of_rounding_is_no_loss),
    Fault("Fenchel: sign of u z", "certificate:fenchel_terms", "- v * z", "+ v * z", GAP_W),
    Fault("Fenchel: rows not weighted", "certificate:fenchel_terms", "float(weight * np", "float(1.0 * np", GAP_W),
    Fault("Fenchel: G(u) not weighted", "certificate:fenchel_terms", "= weight * (task", "= 1.0 * (task", c.multipliers_are_judged_task_by_task),
    Fault("Fenchel: only the worst row", "certificate:fenchel_terms", "np.maximum(terms, 0.0).sum()", "np.maximum(terms, 0.0).max()", GAP_W),
    Fault("multipliers of a kink not divided by a_t/n_t", "problem.kinks:KinkedProblem.minimum", "np.clip(best.v, self.low, self.high) / self.weight", "np.clip(best.v, self.low, self.high)", c.gap_W_of_a_kink_is_small_at_the_minimum),
    Fault("error_W without its root", "certificate:_newton_error", "return nu / (kappa * root)", "return nu / kappa", c.error_W_holds_along_the_weakest_direction),
    Fault("modulus sigma for sigma^2", "certificate:_error", "weight * sigma * sigma", "weight * sigma", c.error_W_holds_along_the_weakest_direction),
    Fault("error_W without the 2 of 2 gap", "certificate:_error", "math.sqrt(2.0 * gap / modulus)", "math.sqrt(gap / modulus)", c.error_W_holds_along_the_weakest_direction),
    Fault("missing 2 in the pull of a column", "certificate:column_duals", "pull = 2.0 * coupling", "pull = coupling", GAP_B),
    Fault("r scaled wrongly", "certificate:column_duals", "np.abs(1.0 - scale) * size", "np.abs(1.0 - scale**2) * size", GAP_B),
    Fault("gap without its coupling", "certificate:column_duals", "+ blur) ** 2 / (4.0 * coupling)", "+ blur) ** 2 / 4.0", GAP_B),
    Fault("infeasible dual point", "certificate:column_duals", "scale = np.minimum(scale, best.min(axis=0))", "pass", GAP_B),
    Fault("feasible for the wrong column", "certificate:column_duals", "best.min(axis=0)", "best.min(axis=1)", GAP_B),
    Fault("multipliers left out of gap_B", "certificate:column_duals", "gaps += (B * (np", "gaps += 0 * (B * (np", GAP_B),
    Fault("polished gap too small by 2", "certificate.duals:Column.gap", "/ (4.0 * self.coupling)", "/ (8.0 * self.coupling)", GAP_B),
    Fault("multipliers left out of the polished gap", "certificate.duals:Column.gap", "rest = (self.b", "rest = 0.0 * (self.b", GAP_B),
    Fault("shift of the wrong sign", "certificate.duals:Column.on", "theta - _times", "theta + _times", GAP_B),
    Fault("theta not scaled", "certificate:column_duals", "theta = scale * pull", "theta = 1.0 * pull", GAP_B),
    Fault("polished without its constraints", "certificate.duals:Column.gap", "(slack < room).any(axis=-1)", "False", ABOVE),
    Fault("constraints up to rounding", "certificate.duals:Column.gap", "slack < room", "slack < -room", c.dual_points_prove_what_they_say),
    Fault("columns without rounding", "certificate:rounding", "* _EPS", "* 0.0", ABOVE),
    Fault("multipliers without rounding in the gap", "certificate.duals:Column.gap", "slack + room", "slack", c.dual_points_prove_what_they_say),
    Fault("room of another theta", "certificate.duals:Column.on", "range(2)", "range(1)", FREE),
    Fault("least distance without the prices", "certificate.duals:Column.nearest", "(self.A.T @ self.w) - self.low)", "(self.A.T @ self.w))", c.least_distance_finds_the_support),
    Fault("r without rounding", "certificate.duals:Column.gap", "+ self.blur", "", ABOVE),
    Fault("prices without rounding", "certificate:price_room", "return room", "return 0.0 * room", PRICES),
    Fault("rows without rounding in the prices", "certificate:loss_room", "* off)", "* (0.0 * off))", PRICES),
    Fault("sigma of the size of its rounding", "certificate:column_range", "least - rounding(W) * widest", "least", c.dependent_columns_have_no_least_singular_value),
    Fault("exact gain at the high prices", "certificate:column_gain", "_exact(low), _exact(b)", "_exact(high), _exact(b)", c.bounds_hold_for_all_prices_of_an_interval),
    Fault("exact gain rounded down", "certificate:column_gain", "math.inf), np", "-math.inf), np", EXACTLY),
    Fault("exact column stops early", "certificate:column_gain", "if not column.minimise(_EXCHANGES):", "if False:", EXACTLY),
    Fault("exact columns never tried", "certificate:transfer_evidence", "> enough", "> 1e9 + enough", c.free_opposites_are_solved_exactly),
    Fault("rows that turn negative stay out", "certificate:polished", "x > 0.0, slack < room)", "x > 0.0, False)", FREE),
    Fault("no least distance where pivoting cycles", "certificate:polished", "(Column.best_alone, Column.nearest)", "(Column.best_alone,)", FREE),
    Fault("rows asked for without room", "certificate.duals:Column.on", "2.0 * room - slack", "0.0 * room - slack", FREE),
    Fault("zeros without rounding", "certificate:proven_zeros", " + duals.room", "", c.zeros_are_proved_of_zeros_only),
    Fault("error_B without rounding", "certificate:column_errors", "duals.noise *", "0.0 *", c.error_B_is_never_below_the_distance),
    Fault("the worst column for their sum", "certificate:transfer_evidence", "gap=float(duals.gaps.sum())", "gap=float(duals.gaps.max())", GAP_B),
    Fault("prices of an earlier W", "certificate:transfer_evidence", "prices = point.row_prices", "prices = point.at(W=0.9 * W).row_prices", GAP_B),
    Fault("prices without c_t", "certificate:transfer_evidence", "prices = point.row_prices", "prices = model.transfer.row_prices(point.losses)", GAP_B),
    Fault("gap-safe rule without its 2", "certificate:proven_zeros", "2.0 * length", "length", SAFE),
    Fault("gap-safe rule without the gap", "certificate:proven_zeros", "2.0 * length", "0.0 * length", SAFE),
    Fault("zeros against the price of the target", "certificate:proven_zeros", "prices[:, None]", "prices[None, :]", ZEROS),
    Fault("theta of the source", "certificate:proven_zeros", "W.T @ duals.theta", "duals.theta.T @ W", ZEROS),
    Fault("the diagonal proved", "certificate:proven_zeros", "np.fill_diagonal(proven, False)", "np.fill_diagonal(proven, True)", ZEROS),
    Fault("error_B without the coupling", "certificate:column_errors", "np.sqrt(duals.gaps / coupling)", "np.sqrt(duals.gaps)", c.error_B_holds),
    Fault("error_B: sigma for sigma^2", "certificate:column_errors", "coupling * sigma**2", "coupling * sigma", c.error_B_holds),
    Fault("error_B: missing multipliers only", "certificate:column_errors", "np.where(B > 0.0, np.abs(slope), np.maximum(-slope, 0.0))", "np.maximum(-slope, 0.0)", c.error_B_holds),
    Fault("condition of the best column", "certificate:transfer_evidence", "(widest[used] / least[used]).max()", "(widest[used] / least[used]).min()", c.condition_numbers_are_those_of_numpy),
    Fault("condition of A_P for A_P'A_P", "certificate:transfer_evidence", "(widest[used] / least[used]).max()) ** 2", "(widest[used] / least[used]).max())", c.condition_numbers_are_those_of_numpy),
    Fault("gap-safe rule with its gap inside out", "certificate:proven_zeros", "np.sqrt(coupling * duals.gaps)", "np.sqrt(coupling)", SAFE),
    Fault("multipliers of the wrong sign in error_B", "certificate:column_errors", "np.maximum(-slope, 0.0)", "np.maximum(slope, 0.0)", c.error_B_holds),
    Fault("largest for smallest singular value", "certificate:column_range", "counts[within] - 1", "0", c.widest_and_least_are_singular_values),
    Fault("singular values of the rows of the mask", "certificate:column_range", "np.argsort(~chosen, axis=0", "np.argsort(~chosen.T, axis=0", c.widest_and_least_are_singular_values),
)  # fmt: skip

CURVATURE, HELD = c.curvature_tells_minima_from_saddles, c.held_rows_are_judged
SCHUR = c.schur_form_is_that_of_the_matrix
SECOND_ORDER = (
    Fault("r_t of the wrong sign", "certificate:edge_blocks", "cross[np.arange(len(s)), s] -=", "cross[np.arange(len(s)), s] +=", HESSIAN),
    Fault("M_ut w_s with M_tu", "certificate:edge_blocks", "M.T[t]", "M[t]", HESSIAN),
    Fault("missing 2 in B-B", "certificate:edge_blocks", "2.0 * model.coupling * (W.T @ W)", "model.coupling * (W.T @ W)", HESSIAN),
    Fault("B-B of different targets", "certificate:edge_blocks", "(t[:, None] == t)", "(t[:, None] >= t)", HESSIAN),
    Fault("price rate dropped", "certificate:price_rates", "column - base", "0.0 * base", HESSIAN),
    Fault("c_t dropped from B-W", "certificate:edge_blocks", "point.problem.task_weight * ", "", HESSIAN),
    Fault("prices of atoms left out of B-W", "certificate:atom_blocks", "rates[:, :, None] *", "0.0 * rates[:, :, None] *", c.second_order_of_every_penalty_is_that_of_J),
    Fault("squares of atoms left out of B-B", "certificate:atom_blocks", "np.diag(2.0 * q[chosen])", "np.diag(0.0 * q[chosen])", c.second_order_of_every_penalty_is_that_of_J),
    Fault("squares do not change with the loss", "transfer:Atoms.rates", "2.0 * x[chosen, None]", "0.0 * x[chosen, None]", c.second_order_of_every_penalty_is_that_of_J),
    Fault("atoms free at their bound above 0", "transfer:Atoms.coefficients", "/ weight, self.lo)", "/ weight, self.lo) + 1e-9", c.second_order_of_every_penalty_is_that_of_J),
    Fault("scales of tasks between which there is coupling", "certificate:BlockHessian.scaled", "unit=self.unit * above", "unit=self.unit", SCHUR),
    Fault("P off the diagonal lost", "certificate:BlockHessian.product", "(self.P @ (W / self.unit))", "(np.diag(self.P)[:, None] * (W / self.unit))", SCHUR),
    Fault("a sum without the edges", "certificate:BlockHessian.largest_sum", " + np.abs(self.BW).sum(axis=0).reshape(self.unit.shape)", "", SCHUR),
    Fault("edges to W once in a difference", "certificate:BlockHessian.distance", "2.0 * crossed", "crossed", SCHUR),
    Fault("coupling out of a difference", "certificate:BlockHessian.distance", " + between.sum()", "", SCHUR),
    Fault("complement without W", "certificate:BlockHessian.factor", "self.BB - half.T @ half", "self.BB.copy()", SCHUR),
    Fault("W not shifted", "certificate:BlockHessian.factor", "self.WW(shift)", "self.WW()", SCHUR),
    Fault("edges not shifted", "certificate:BlockHessian.factor", "-= shift", "-= 0.0", c.unproved_eigenvalues_are_not_claimed),
    Fault("an eigenvalue that is not proved", "certificate:lowest", "if S.factor(part / value) is not None", "if True", c.unproved_eigenvalues_are_not_claimed),
    Fault("the shift of an eigenvalue left in", "certificate:lowest", "float(vector @ S.product(vector))", "float(vector @ S.product(vector)) + shift * limit * 1e16", c.schur_form_has_the_verdicts_of_the_matrix),
    Fault("S for H in Schur form", "certificate:extremes", "factor.solve(x / root) / root", "factor.solve(x)", SCHUR),
    Fault("every edge is free", "certificate:AtomModel.__init__", "self.free = self.x > atoms.lo", "self.free = self.x >= atoms.lo", CURVATURE),
    Fault("edges never free", "certificate:AtomModel.__init__", "self.free = self.x > atoms.lo", "self.free = self.x > 1e9", CURVATURE),
    Fault("a saddle is a minimum", "certificate:second_order", "if smallest < -noise", "if smallest < -1e9", CURVATURE),
    Fault("curvature not judged", "certificate:_judge", "if smallest <= noise or (held is None and local.factor is None)", "if False", c.exchangeable_edges_are_degenerate),
    Fault("multipliers by their size", "certificate:AtomModel.touching", "(q > moved).all()", "(np.abs(q) > moved).all()", c.missing_edge_is_no_minimum),
    Fault("multipliers with the sign lost", "certificate:AtomModel.__init__", "float(self.multipliers[self.fixed].min(", "float(np.abs(self.multipliers[self.fixed]).min(", c.missing_edge_is_no_minimum),
    Fault("no row is held", "certificate:HeldRows.__init__", "held = moves & (share", "held = moves & (share > 9) & (share", HELD),
    Fault("held rows may move", "certificate:HeldRows._restrict", "self.S = self.N.T @ local.S @ self.N", "self.S = local.S[: self.N.shape[1], : self.N.shape[1]]", HELD),
    Fault("curvature off the kinks", "certificate:HeldRows._restrict", "self.H = raw.T @ local.H @ raw", "self.H = local.H", HELD),
    Fault("held rows leave", "certificate:HeldRows.touching", "self._leaving(reach) or ", "", HELD),
    Fault("rows reach their kinks", "certificate:HeldRows.touching", " or self._reaching(reach)", "", HELD),
    Fault("one end of a held row's interval", "certificate:HeldRows._leaving", "min(row.v - row.low, row.high - row.v)", "(row.v - row.low)", HELD),
    Fault("the other end of it, in second order", "certificate:HeldRows._leaving", "min(row.v - row.low, row.high - row.v)", "(row.high - row.v)", HELD),
    Fault("dependent rows held", "certificate:HeldRows.dependent", "if self.rank == len(self.rows)", "if True", HELD),
    Fault("way across the kinks left out", "certificate:HeldRows._onto_kinks", "return -self._raised(", "return 0 * self._raised(", HELD),
    Fault("strict complementarity not asked", "certificate:_judge", "if touching := local.touching(reach)", "if touching := ''", c.missing_edge_is_no_minimum),
)  # fmt: skip

DIGITS, KRAWCZYK, REFUSALS = (
    c.digits_are_those_of_J,
    c.contraction_needs_a_root_inside,
    c.proofs_refuse_what_is_not_there,
)
PIECES = c.rational_pieces_are_exact
DECIMALS, RATIONAL, KINKS = c.decimals_hold_at_both_ends, c.rational_steps_are_exact, c.kinks_are_proved
PROVEN_DIGITS = (
    Fault("Krawczyk without the interior", "digits:contract", "contains_interior", "contains", KRAWCZYK),
    Fault("Krawczyk: any row for all", "digits:contract", "inside = all(", "inside = any(", KRAWCZYK),
    Fault("Krawczyk: derivative at the centre", "digits:contract", "system.jacobian(box)", "system.jacobian(x)", KRAWCZYK),
    Fault("Krawczyk: sign of the step", "digits:contract", "- inverse * system.gradient(x)", "+ inverse * system.gradient(x)", KRAWCZYK),
    Fault("Krawczyk: the step left out", "digits:contract", " - inverse * system.gradient(x)", "", KRAWCZYK),
    Fault("Krawczyk: Y J for I - Y J", "digits:contract", "_identity(n) - inverse * jacobian", "inverse * jacobian", KRAWCZYK),
    Fault("Krawczyk: a smaller box", "digits:contract", "[arb(0, r) for r in radii]", "[arb(0, r) / 1000 for r in radii]", KRAWCZYK),
    Fault("inertia not counted", "digits:_pivots", "negative += bool(pivot < 0)", "negative += 0", c.inertia_is_that_of_the_eigenvalues),
    Fault("singular pivots accepted", "digits:_pivots", "if pivot.contains(0)", "if False", c.inertia_is_that_of_the_eigenvalues),
    Fault("Schur complement of the wrong sign", "digits:negative_eigenvalues", "D - C *", "D + C *", c.inertia_is_that_of_the_eigenvalues),
    Fault("half of the inertia", "digits:negative_eigenvalues", "negative_eigenvalues(A) + ", "", c.inertia_is_that_of_the_eigenvalues),
    Fault("every proof a minimum", "digits:_prove", "strict_local_min=negative == 0", "strict_local_min=True", REFUSALS),
    Fault("edges by their size", "digits:_smallest_edge", "in zip(system.free, _above(system, root.box), strict=True)", "in zip(system.free, map(abs, _above(system, root.box)))", REFUSALS),
    Fault("ball multipliers by their size", "digits:_smallest_multiplier", "in system.multipliers(root.box, around)", "in ((e, abs(q)) for e, q in system.multipliers(root.box, around))", c.missing_edge_is_no_minimum),
    Fault("largest for smallest multiplier", "digits:_smallest_multiplier", "smallest.min(value.lower())", "value.lower() * 10", DIGITS),
    Fault("a point anywhere", "digits:distance", "if furthest > max(within * size, radius)", "if False", REFUSALS),
    Fault("distance of the last entry", "digits:distance", "max((at_most(abs(a - b)) for a, b in block), default=0.0)", "min((at_most(abs(a - b)) for a, b in block), default=0.0)", DIGITS),
    Fault("ball slope without its 2", "digits:squared", "2 * u, arb(2)", "u, arb(2)", DIGITS),
    Fault("ball logistic sign", "digits:logistic", "-sign * share", "sign * share", DIGITS),
    Fault("ball logistic curvature", "digits:logistic", "share / (1 + m.exp())", "-share / (1 + m.exp())", DIGITS),
    Fault("ball hinge not squared", "digits:squared_hinge", "Row(m * m,", "Row(m,", DIGITS),
    Fault("rows on a kink and multipliers at an end accepted", "digits:positive", "if not value > 0:", "if False:", KINKS),
    Fault("one end of the interval of a row", "digits:row_margin", "(v - wedge.low).min(wedge.high - v)", "(v - wedge.low)", KINKS),
    Fault("the other end of it", "digits:row_margin", "(v - wedge.low).min(wedge.high - v)", "(wedge.high - v)", KINKS),
    Fault("rows off the box", "digits:row_distance", "smallest.min(distance)", "smallest", KINKS),
    Fault("row multipliers at the centre", "digits:row_margin", "system.state(box, around)", "system.state(box.mid(), around)", KINKS),
    Fault("kinks counted as saddles", "digits:_prove", " - len(system.kinks)", "", KINKS),
    Fault("every kinked point a minimum", "digits:_prove", " - len(system.kinks)", " - len(system.kinks) * 10**6", KINKS),
    Fault("border of the wrong sign", "digits:FirstOrderSystem.jacobian", "[c] = self.X[t][k, i]", "[c] = -self.X[t][k, i]", KINKS),
    Fault("a row on its kink costs", "digits:Wedge.row", "Row(arb(0), arb(0), arb(0), \"kink\")", "Row(arb(1), arb(0), arb(0), \"kink\")", KINKS),
    Fault("a multiplier without its row", "digits:FirstOrderSystem.gradient", "+= eta * self.X[t][k, i]", "+= eta", KINKS),
    Fault("ball Poisson with y for log y", "digits:poisson", "count * count.log()", "count * count", DIGITS),
    Fault("ball Poisson curvature", "digits:poisson", "mean - count, mean)", "mean - count, mean - count)", DIGITS),
    Fault("ball Huber beyond its threshold", "digits:huber", "2 * K * r - K * K, 2 * K,", "2 * K * r - K * K, K,", DIGITS),
    Fault("ball Huber's constant", "digits:huber", "-2 * K * r - K * K", "-2 * K * r", DIGITS),
    Fault("ball squares without their 2", "digits:Atom.price", "2 * rate * losses[t]", "rate * losses[t]", c.digits_of_every_penalty_are_those_of_J),
    Fault("ball squares turn no loss", "digits:Atom.loss_rates", "2 * rate * x", "rate * x", c.digits_of_every_penalty_are_those_of_J),
    Fault("ball bounds left out", "digits:FirstOrderSystem.state", "[atom.lo if around is None", "[arb(0) if around is None", c.digits_of_every_penalty_are_those_of_J),
    Fault("one half of a ball pair", "digits:exact_atoms", "for place, size in places)", "for place, size in list(places)[:1])", c.digits_of_every_penalty_are_those_of_J),
    Fault("ball edges above 0 for their bound", "digits:_above", "value - system.atoms[k].lo", "value", c.required_edges_count_from_their_bound),
    Fault("ball prices without mu", "digits:Atom.price", "(rate * losses[t] for t, rate in self.rates.items())", "(losses[t] for t, rate in self.rates.items())", DIGITS),
    Fault("ball prices without c_t", "digits:FirstOrderSystem.weighted", "c * value for", "value for", DIGITS),
    Fault("ball B transposed", "digits:FirstOrderSystem.state", "B[s][t] = B[s][t] + size", "B[t][s] = B[t][s] + size", DIGITS),
    Fault("ball incoming for outgoing", "digits:exact_atoms", "{s: prices[s][1]}", "{t: prices[s][1]}", DIGITS),
    Fault("ball coupling without its 2", "digits:FirstOrderSystem.slopes_W", "pull = 2 * (self", "pull = 1 * (self", DIGITS),
    Fault("ball multipliers with plus", "digits:FirstOrderSystem._slopes", "1) - 2 * self", "1) + 2 * self", DIGITS),
    Fault("ball J without its prices", "digits:FirstOrderSystem.objective", "total += atom.cost", "total += 0 * atom.cost", DIGITS),
    Fault("Jacobian without the residual", "digits:FirstOrderSystem._mixed", "+= -twice * size * at.R[i, t]", "+= 0 * at.R[i, t]", DIGITS),
    Fault("a digit of one end", "digits:decimal", "_nearest(high, places)", "_nearest(low, places)", DECIMALS),
    Fault("a double below for above", "digits:at_most", "math.nextafter(value, math.inf)", "math.nextafter(value, -math.inf)", DECIMALS),
    Fault("the middle for the end", "digits:at_most", "value = float(rational(ball.upper()))", "return float(rational(ball.mid()))", DECIMALS),
    Fault("exact prices without 1/n_t", "digits.rational:exact_prices", "scale * sum(", "sum(", RATIONAL),
    Fault("exact prices without c_t", "digits.rational:exact_prices", "* c * loss", "* loss", RATIONAL),
    Fault("exact B-step without the 2", "digits.rational:exact_transfer", "p[s] / (2 * lam) for s in others]", "p[s] / lam for s in others]", RATIONAL),
    Fault("exact gap not summed", "digits.rational:exact_transfer", "gap += _column_gap", "gap += 1 + 0 * _column_gap", RATIONAL),
    Fault("exact W-step: incoming", "digits.rational:_loss_factors", "B[t, u] for u", "B[u, t] for u", RATIONAL),
    Fault("exact W-step: M'M", "digits.rational:exact_weights", "P = lam * (M * M.transpose())", "P = lam * (M.transpose() * M)", RATIONAL),
    Fault("exact conjugate without its quarter", "digits:Piecewise.conjugate", "u * u / 4", "u * u / 2", PIECES),
    Fault("exact value without its curvature", "digits:Piecewise.value", "u * u / 4", "0 * u", PIECES),
    Fault("exact threshold without its 2", "digits:piecewise", "end = 2 * exact", "end = exact", PIECES),
    Fault("exact hinge of the other sign", "digits:piecewise", "Piecewise(fmpq(-1), none", "Piecewise(fmpq(1), none", PIECES),
    Fault("exact rows stay at their lower end", "digits:WeightStep._inwards", "return rise if", "return -rise if", PIECES),
    Fault("exact rows stay at their upper end", "digits:WeightStep._inwards", "else -rise", "else 0 * rise", PIECES),
    Fault("exact rows beyond their ends", "digits:_room", "None if loss.inside(aim) else _way(loss, u, aim - u)", "None", PIECES),
    Fault("exact pull of the rows off the face", "digits:WeightStep._solve", "-= pull[k, 0]", "+= pull[k, 0]", PIECES),
    Fault("exact eta for u", "digits:WeightStep._solve", "eta[i] / self.rows[i].weight", "eta[i] * self.rows[i].weight * 2", PIECES),
    Fault("exact centre of the curved rows", "digits:WeightStep._add_curved", "[row.loss.centre for row in rows]", "[0 * row.loss.centre for row in rows]", PIECES),
    Fault("first negative multiplier left", "certificate.exact:Column.minimise", "if not q or q[j] >= 0", "if True", RATIONAL),
    Fault("negative edges kept", "certificate.exact:Column._settle", "if value <= 0", "if value <= -(10**9)", RATIONAL),
    Fault("twins said to be unique", "digits:Column.unique", "return not free or", "return True or", RATIONAL),
)  # fmt: skip

EXACT, BOX, POLYNOMIAL = (
    c.exact_problem_is_J,
    c.box_reaches_the_ends_of_its_ellipsoids,
    c.scaled_polynomial_is_J,
)
ROOTS, BY_HAND = c.roots_lie_above, c.boxes_by_hand_and_free_tasks_are_refused
ROUNDING, ENCLOSURE, FORGERIES = c.rounding_bounds_polynomials, c.enclosure_holds, c.checker_rejects_forgeries
GLOBAL = (
    Fault("exact weights without n_t", "enclosure:ExactProblem.read", "c.low / n for", "c.low for", EXACT),
    Fault("exact weights without c_t", "enclosure:ExactProblem.read", "c.low / n for", "Fraction(1) / n for", EXACT),
    Fault("exact loss: one h'w", "enclosure:ExactProblem.weighted_loss", "2 * dot(", "1 * dot(", EXACT),
    Fault("exact J: B transposed", "enclosure:ExactProblem.objective", "sources = list(zip(*B, strict=True))", "sources = [tuple(row) for row in B]", EXACT),
    Fault("exact G_B of the wrong sign", "enclosure:ExactProblem.gradients", "prices[s] - 2", "prices[s] + 2", EXACT),
    Fault("box without n_t/c_t", "enclosure:box_of", "slack * inv[i][i] / weight", "slack * inv[i][i]", BOX),
    Fault("box without the inverse", "enclosure:box_of", "slack * inv[i][i] / weight", "slack / weight", BOX),
    Fault("box around 0", "enclosure:box_of", "_round(w + r, r, math.ceil)", "_round(r, r, math.ceil)", BOX),
    Fault("box rounded inward", "enclosure:box_of", "_round(w + r, r, math.ceil)", "_round(w + r, r, math.floor)", BOX),
    Fault("box of B without mu", "enclosure:box_of", "slack / (problem.mu * m)", "slack / m", BOX),
    Fault("box of B with the sum of the losses", "enclosure:box_of", "slack / (problem.mu * m) for m in minima", "slack / (problem.mu * sum(minima)) for m in minima", BOX),
    Fault("box too small by 2", "enclosure:box_of", "slack = upper - sum(minima)", "slack = (upper - sum(minima)) / 2", BOX),
    Fault("box of the target", "enclosure:box_of", "row_sum[s] for t in", "row_sum[t] for t in", BOX),
    Fault("a box by hand", "enclosure:check_box", "if not given.contains(derived)", "if False", BY_HAND),
    Fault("boxes compared the other way", "enclosure:Box.contains", "_below(other.W_high, self.W_high)", "_below(self.W_high, other.W_high)", BY_HAND),
    Fault("B left out of the comparison", "enclosure:Box.contains", "and _below(other.B_high, self.B_high)", "", BY_HAND),
    Fault("perfect fits accepted", "enclosure:_minimum", "if minimum <= _ROUNDING", "if minimum < -_ROUNDING", BY_HAND),
    Fault("square root rounded down", "enclosure:sqrt_above", " + 1, 2**scale)", ", 2**scale)", ROOTS),
    Fault("root from one side", "enclosure:_inverse_root", "Fraction(low + 1, unit)", "Fraction(low, unit)", c.roots_of_weights_are_enclosed),
    Fault("checker: root from one side", "enclosure:ends", "Fraction(low + 1, 2**128)", "Fraction(low, 2**128)", c.roots_of_weights_are_enclosed),
    Fault("checker: root above", "enclosure:ends", "* n <= 4**128", "* n <= 5**128", c.roots_of_weights_are_enclosed),
    Fault("upper bound of the lower weights", "enclosure:_prove", "upper=upper * problem.ratio", "upper=upper", c.enclosure_of_the_real_roots_holds),
    Fault("checker: upper bound of the lower weights", "enclosure:check", "J[()] * problem.ratio", "J[()]", c.enclosure_of_the_real_roots_holds),
    Fault("J asked with the lower weights", "enclosure:enclose", "asked.objective * problem.ratio", "asked.objective", c.enclosure_of_the_real_roots_holds),
    Fault("checker: rows not counted", "enclosure:Problem.__init__", "and n == len(y)", "", FORGERIES),
    Fault("level below J", "enclosure:_level", "math.floor(value * scale) + 1", "math.floor(value * scale) - 1", c.level_above_J),
    Fault("bounds not rounded outward", "certificate:double_below", "math.nextafter(nearest, -math.inf)", "nearest", ROOTS),
    Fault("incoming prices in the polynomial", "enclosure:scale_problem", "if s == u)", "if t == u)", POLYNOMIAL),
    Fault("residual of the source", "enclosure:scale_problem", "times(b[s, t], row[s])", "times(b[s, t], row[t])", POLYNOMIAL),
    Fault("polynomial without its coupling", "enclosure:scale_problem", "scaled(times(r, r), problem.coupling)", "times(r, r)", POLYNOMIAL),
    Fault("radius rounded inward", "enclosure:_above", "math.ceil(value * scale)", "math.floor(value * scale)", POLYNOMIAL),
    Fault("radius from one side", "enclosure:scale_problem", "max(up - c, c - down)", "min(up - c, c - down)", POLYNOMIAL),
    Fault("budget twice as tight", "enclosure:scale_problem", "-problem.mu * box.minima", "-2 * problem.mu * box.minima", POLYNOMIAL),
    Fault("sublevel set too small", "enclosure:scale_problem", "{(): box.upper}", "{(): box.upper / 2}", POLYNOMIAL),
    Fault("lower bound rounded up", "enclosure:value_below", "- sum(", "+ sum(", ROUNDING),
    Fault("only negative coefficients", "enclosure:value_below", "abs(v)", "max(-v, 0)", ROUNDING),
    Fault("squares without their weight", "enclosure:_sum", "block.weight))", "{(): Fraction(1)}))", ROUNDING),
    Fault("half of the mixed squares", "enclosure:_sum", "for j, n in enumerate(block.basis):", "for j, n in list(enumerate(block.basis))[: i + 1]:", ROUNDING),
    Fault("unrounded value as bound", "enclosure:Cell.value", "value_below(add(excess, scaled(squares, Fraction(-1))))", "Fraction(0)", ENCLOSURE),
    Fault("what is left over ignored", "enclosure:Cell.value", "value_below(add(excess, scaled(squares, Fraction(-1))))", "add(excess, scaled(squares, Fraction(-1))).get((), Fraction(0))", c.loose_bound_holds),
    Fault("squares added for subtracted", "enclosure:Cell.value", "Fraction(-1))", "Fraction(1))", ENCLOSURE),
    Fault("bound of the better part", "enclosure:Cell.value", "return min(", "return max(", c.cut_box_holds),
    Fault("cut: numbers drift after a second cut", "enclosure:_with", "max(cell.linear) + 1", "len(cell.linear) + 1", c.twice_cut_box_holds),
    Fault("cut: both parts above", "enclosure:halves", "Fraction(-1)", "Fraction(1)", c.cuts_cover_the_box),
    Fault("cut somewhere else", "enclosure:halves", "-at", "at", c.cuts_cover_the_box),
    Fault("cut: another inequality dropped", "enclosure:_with", "<= 0", ">= 0", c.cuts_cover_the_box),
    Fault("cut under the number of another", "enclosure:_with", "max(cell.linear) + 1", "max(cell.linear)", c.cuts_cover_the_box),
    Fault("zoom: rows not shifted", "enclosure:Zoom.outward", "self.powers[k] for k in monomial", "0 for k in monomial", c.zoom_changes_variables),
    Fault("zoom: weights forgotten", "enclosure:Zoom.outward", "whole + sum(", "sum(", c.zoom_changes_variables),
    Fault("zoom: weights of the solver", "enclosure:Zoom.outward", "replace(block, weight=weight_of(box, block.of))", "block", c.zoom_changes_variables),
    Fault("zoom: radius kept", "enclosure:Zoom.inward", "radius / 2**power", "radius", c.zoom_changes_variables),
    Fault("zoom the wrong way", "enclosure:Zoom._moved", "power - sum(", "power + sum(", c.zoom_changes_variables),
    Fault("J of the polished point for that asked", "enclosure:enclose", "asked=asked.objective * problem.ratio", "asked=best.objective + 1", ENCLOSURE),
    Fault("checker: bound not compared", "enclosure:check", 'require(number(proof["lower"]) == lower,', "require(True,", FORGERIES),
    Fault("checker: upper not compared", "enclosure:check", 'require(number(proof["upper"]) == upper,', "require(True,", FORGERIES),
    Fault("checker: rest ignored", "enclosure:excess_above", "- sum(abs(value)", "- 0 * sum(abs(value)", FORGERIES),
    Fault("checker: negative B", "enclosure:check", "B[s][t] >= 0 and (s", "(s", FORGERIES),
    Fault("checker: diagonal", "enclosure:check", "and (s != t or B[s][t] == 0)", "", FORGERIES),
    Fault("checker: level below J", "enclosure:check", "require(low <= level,", "require(True,", FORGERIES),
    Fault("checker: negative unit", "enclosure:check", "require(unit > 0 and", "require(", FORGERIES),
    Fault("checker: box of W", "enclosure:Problem.check_box", "require(room >= 0 and room**2 >= reach,", "require(room >= 0,", FORGERIES),
    Fault("checker: box of B", "enclosure:Problem.check_box", "require(radius[k] >= reach,", "require(True,", FORGERIES),
    Fault("checker: one side of B's box", "enclosure:Problem.check_box", "max(centre[k], delta", "min(centre[k], delta", FORGERIES),
    Fault("checker: radii by tasks", "enclosure:Problem.check_box", "room = radius[i * self.T + t]", "room = radius[t * self.T + i]", FORGERIES),
    Fault("checker: inverse of the diagonal", "enclosure.checker:inverse", "a - rows[i][k] * b", "a", FORGERIES),
    Fault("checker: box without n_t/c_t", "enclosure:Problem.check_box", "/ self.weight[t]", "", FORGERIES),
    Fault("checker: J without prices", "enclosure:Problem.objective", "scale(given, self.mu)", "scale(given, ZERO)", FORGERIES),
    Fault("checker: the better part", "enclosure:excess_above", "return min(", "return max(", FORGERIES),
    Fault("checker: both parts above", "enclosure:excess_above", "scale(above, -ONE)", "above", FORGERIES),
    Fault("checker: unknown variable", "enclosure:excess_above", "require(len(set", "require(True or len(set", FORGERIES),
    Fault("checker: index -1", "enclosure:weight", "0 <= k < len(linear)", "k < len(linear)", FORGERIES),
)  # fmt: skip

SEARCH = (
    Fault("half the negative-curvature shift", "refine:Trust.convex", "1.01 * max", "0.505 * max", c.models_of_newton_are_convex),
    Fault("half of the shift that has a factor", "refine:Trust.convex", "return shifted(S, self.curvature)", "return shifted(S, self.curvature / 2.0)", c.models_of_newton_are_convex),
    Fault("rise limits twice the gap", "coordinator:_check_rise", "gap * (1.0 + 1e-6)", "gap * 2.0", c.rises_beyond_the_gap_are_errors),
    Fault("held-out loss summed", "experiment:held_out_loss", 'replace(path.model.loss, reduction="mean")', "path.model.loss", c.held_out_losses_are_means),
    Fault("held-out losses of the tasks summed", "experiment:held_out_loss", "np.mean(", "np.sum(", c.held_out_losses_are_means),
    Fault("held-out rows of one class", "holdout:_mask", "np.unique(classes)", "np.unique(classes)[:1]", c.held_out_rows_are_of_every_class),
    Fault("held-out rows whatever their class", "holdout:classes_of_rows", "if classification", "if False", c.held_out_rows_are_of_every_class),
    Fault("a lower point ignored", "enclosure:Prover._look_lower", "raise LowerPoint(point)", "pass", c.lower_points_are_taken_up),
    Fault("a lower point found and left", "enclosure:enclose", "best = lower.point", "pass", c.lower_points_are_taken_up),
    Fault("polish accepting a higher J", "enclosure:polish", "return min(point, raw, key=lambda candidate: candidate.objective)", "return point", c.polished_points_are_no_higher),
    Fault("a loose cell bound called tight", "enclosure:Prover._prove_bound", "best.gamma > reserve", "True", c.open_cells_are_not_tight),
    Fault("kappa from above only", "certificate:_newton_error", "(-1.0, 1.0)", "(1.0, 1.0)", c.error_W_holds_beyond_a_kink),
    Fault("kappa from below only", "certificate:_newton_error", "(-1.0, 1.0)", "(-1.0, -1.0)", c.error_W_holds_beyond_a_kink),
    Fault("nothing is within reach", "certificate:_judge", "reach = 2.0 * (size + rounding)", "reach = 0.0 * size", c.supports_within_a_newton_step_are_not_certain),
    Fault("at most, rounded down", "certificate:rounded_up", "ROUND_CEILING", "ROUND_FLOOR", c.words_are_rounded_outward),
    Fault("at least, rounded up", "certificate:rounded_down", "ROUND_FLOOR", "ROUND_CEILING", c.words_are_rounded_outward),
    Fault("a double below that is above", "certificate:double_below", "-math.inf", "math.inf", c.words_are_rounded_outward),
    Fault("a cycle carries all of f", "refine.recession:_move", "f / length + A.T @ so.nnls(A.T, -f / length)[0]", "f / length", c.cycles_carry_what_no_row_speaks_against),
    Fault("a cycle with an open end", "refine.recession:_move", "np.abs(u[chosen] @ M).max() > _OPEN", "False", c.cycles_carry_what_no_row_speaks_against),
    Fault("rows that rise with their score left out", "refine.recession:_against", "-task.X[down] / sizes[down, None]", "task.X[:0]", c.cycles_carry_what_no_row_speaks_against),
    Fault("falls for ever pass", "certificate:certify", 'reasons=reasons, passes=False, level="C1"', 'reasons=reasons', c.points_from_which_J_falls_for_ever_do_not_pass),
    Fault("falls within the limit are refused", "certificate.outward:outward", "fall > limit", "fall > 0.0", c.points_from_which_J_falls_for_ever_do_not_pass),
    Fault("growth from nothing", "certificate.outward:outward_fall", "seen + factor * (point.W - seen)", "point.W", c.points_from_which_J_falls_for_ever_do_not_pass),
    Fault("all of a predictor is seen", "rowspace:OwnSpaces.seen", "Q @ (Q.T @ w)", "w", c.far_points_are_lower_and_far),
    Fault("far points that are near", "refine.outside:farther", "trial.longest > 10.0 * point.longest", "True", c.far_points_are_lower_and_far),
    Fault("far points that are higher", "refine.outside:farther", "trial.objective < below and ", "", c.far_points_are_lower_and_far),
    Fault("one of a pair grows", "refine.outside:farther", "W[:, pair] +=", "W[:, pair[:1]] +=", c.far_points_are_lower_and_far),
)  # fmt: skip

PROGRAM, PROGRAM_GAP = c.programs_bound_from_below, c.gaps_by_a_program_are_sharp_and_hold
DOOR, OMEGA_DOOR = c.doors_refuse_what_is_no_penalty, c.omega_doors_refuse_what_is_no_penalty
TERM_GAP, NEAREST = c.gap_of_every_penalty_holds, c.projections_are_nearest_points
FACES, MARGINS = c.curvature_on_faces_is_that_of_J, c.margins_keep_what_the_prox_keeps
ATOMS, TANGENT, NAMES = (
    c.steps_by_atoms_are_best,
    c.tangents_have_the_slope_and_curvature_of_the_penalty,
    c.names_find_their_own_classes_only,
)
SYSTEMS = (
    Fault("scales of the tasks without their root", "subproblems:Alike.of", "root = np.sqrt(alpha)", "root = alpha", c.equal_hessians_are_solved_at_once),
    Fault("Hbar as if all tasks had one scale", "subproblems:Alike.of", "np.einsum(\"tii->ti\", turned) / h).mean(axis=1)", "0.0 * trace + 1.0)", c.equal_hessians_are_solved_at_once),
    Fault("coupling twice as large between modes", "subproblems:Alike.of", "2.0 * coupling", "4.0 * coupling", c.coordinates_are_those_of_the_system),
    Fault("coupling left out of the product", "subproblems:Alike.product", " + self.values[:, None] * Y", "", c.coordinates_are_those_of_the_system),
    Fault("residuals without their scales", "subproblems:Alike.rest", "self.alpha[:, None] * ", "", c.coordinates_are_those_of_the_system),
    Fault("all tasks taken for alike", "subproblems:Alike.of", "<= _ALIKE * len(h)", "<= np.inf", c.cheap_modes_are_solved_for),
    Fault("no modes but the tasks", "subproblems:Apart.of", "values < _CHEAP * values.mean()", "values < 0.0 * values", c.cheap_modes_are_solved_for),
    Fault("a task without its coupling", "subproblems:Apart.of", "(K * K).sum(axis=1)", "0.0 * (K * K).sum(axis=1)", c.cheap_modes_are_solved_for),
    Fault("modes that exclude each other", "subproblems:Apart.inverse", "alone + ", "", c.cheap_modes_are_solved_for),
    Fault("an unfinished solution is taken", "subproblems:WeightSystem._conjugate_gradients", "if miss <= 1.0:", "if miss <= 1e6:", c.coordinates_are_those_of_the_system),
)  # fmt: skip

TERMS = (
    Fault("gap by the conjugate too small by 2", "certificate.conjugate:_Judge.gap", "/ (4.0 * self.model", "/ (8.0 * self.model", TERM_GAP),
    Fault("gap without R and its conjugate", "certificate.conjugate:_Judge.gap", "max(self.spent + conjugate - inner, 0.0)", "0.0", TERM_GAP),
    Fault("conjugate not asked", "certificate.conjugate:_Judge._largest", "if np.isfinite(conjugate):\n        return 1.0, conjugate", "if True:\n        return 1.0, 0.0", TERM_GAP),
    Fault("dual point not shifted", "certificate.conjugate:shifted", "Theta[:, t] += np", "Theta[:, t] += 0.0 * np", TERM_GAP),
    Fault("shift against the subgradient", "certificate.conjugate:shifted", "V = h * (B - after) +", "V = h * (after - B) +", TERM_GAP),
    Fault("conjugate of squares too small by 2", "transfer:ElasticNet.conjugate", "4.0 * self.rho", "8.0 * self.rho", TERM_GAP),
    Fault("groups by target in the conjugate", "transfer:SourceGroupL2.conjugate", "axis=1", "axis=0", TERM_GAP),
    Fault("budget left out of the conjugate", "transfer:RowBudget.conjugate", "self.budget * D", "0.5 * self.budget * D", TERM_GAP),
    Fault("groups by source in the conjugate", "transfer:TargetGroupL2.conjugate", "axis=0", "axis=1", TERM_GAP),
    Fault("one edge too many in the conjugate", "transfer:DegreeCap.conjugate", "-self.degree :", "-self.degree - 1 :", TERM_GAP),
    Fault("edges that cost count for a total", "transfer:TotalBudget.conjugate", "D.max(initial=-np.inf)", "0.0 * D.max(initial=-np.inf)", TERM_GAP),
    Fault("losses left out of a total", "transfer:TotalBudget.conjugate", "self.mu * losses[:, None]", "0.0", TERM_GAP),
    Fault("one half of a pair in the conjugate", "transfer:Symmetric.conjugate", "D = D + D.T", "D = np.tril(D)", TERM_GAP),
    Fault("barred edges asked of the conjugate", "transfer:RowPriced.conjugate", ".allowed(len(S))", ".allowed(len(S)).T", TERM_GAP),
    Fault("a price of 1 doubled", "transfer:L1.prices", "float(self.mu)", "2.0 * float(self.mu)", TERM_GAP),
    Fault("dear where there are many rows", "transfer:SizePricedL1._factors", "counts.max() / counts", "counts / counts.max()", TERM_GAP),
    Fault("edges of one sign in the conjugate", "transfer:SignedL1.conjugate", "np.abs(self.project(S))", "self.project(S)", c.conjugates_are_not_exceeded),
    Fault("signs lost in the prox", "transfer:SignedL1.prox", "np.copysign(kept, V)", "kept", c.proxes_are_least),
    Fault("conjugate of weighted squares too small by 2", "transfer:SquaredTransfer.conjugate", "(4.0 * q[q > 0.0])", "(8.0 * q[q > 0.0])", TERM_GAP),
    Fault("required edges left out of the conjugate", "transfer:Required.conjugate", ".lowest(len(S)) * D", ".lowest(len(S)) * 0.0", TERM_GAP),
    Fault("required edges not kept", "transfer:AtLeast.project", "self.lowest(len(V))", "0.0", NEAREST),
    Fault("edges of one sign", "transfer:AnySign.project", "0.0, V)", "0.0, np.maximum(V, 0.0))", c.proxes_are_least),
    Fault("an order turned round", "transfer:Ordered.feasible", "places[s] > places[t]", "places[s] < places[t]", NEAREST),
    Fault("parts of one sign", "transfer:entry_atoms", "[E, -E]", "[E, E]", ATOMS),
    Fault("bounds of atoms left out", "transfer:entry_atoms", "else lowest.ravel()[places]", "else 0.0 * lowest.ravel()[places]", ATOMS),
    Fault("squares of atoms at twice their price", "transfer:SquaredTransfer.atoms", "square_rates=rates", "square_rates=2.0 * rates", ATOMS),
    Fault("squares in the units of prices", "refine:ColumnStep.solve", "np.diag(curved / coupling)", "np.diag(curved)", ATOMS),
    Fault("bounds not taken from the pull", "refine:ColumnStep.solve", " - (K @ lowest)[rows, targets]", "", ATOMS),
    Fault("barred edges kept", "transfer:Masked.project", "self.allowed(len(V))", "~np.eye(len(V), dtype=bool)", NEAREST),
    Fault("negative edges of a mask", "transfer:Masked.project", "np.maximum(V, 0.0)", "V", NEAREST),
    Fault("half sums without their half", "transfer:Mutual.project", "0.5 * (V", "1.0 * (V", NEAREST),
    Fault("budgets not kept", "transfer:RowBudgets.project", "over.any()", "False", NEAREST),
    Fault("budgets by scaling", "transfer:RowBudgets.project", "capped_rows(B[over], self.limit)", "B[over] * (self.limit / B[over].sum(axis=1))[:, None]", NEAREST),
    Fault("caps after the budget", "transfer:DegreeHull.project", "limit, cap=self.cap)", "limit)", NEAREST),
    Fault("a cap that stops no entry", "transfer:capped_rows", "np.hstack([signs, -signs])", "np.hstack([signs, 0.0 * signs])", NEAREST),
    Fault("totals by scaling", "transfer:TotalSum.nearest", "steps * np.maximum(breaks - tau, 0.0)", "np.maximum(V[off], 0.0)", NEAREST),
    Fault("another total stays", "transfer:TotalSum._within", "4.0 * _EPS", "0.5", NEAREST),
    Fault("squares of atoms without their 2", "refine:AtomStep.solve", "np.diag(2.0 * q)", "np.diag(1.0 * q)", ATOMS),
    Fault("atoms without prices", "transfer:Atoms.prices", "self.P @ losses + self.p0", "0.0 * (self.P @ losses)", ATOMS),
    Fault("price of one half of a pair", "transfer:Symmetric.atoms", "P[each, s], P[each, t] = self.mu, self.mu", "P[each, s] = self.mu", ATOMS),
    Fault("curvature of the tangent without its 1", "certificate.tangent:tangent_at", "(1.0 / e - 1.0)", "(1.0 / e)", TANGENT),
    Fault("slope of the tangent turned", "certificate.tangent:tangent_at", "Z, V - after)", "Z, after - V)", TANGENT),
    Fault("rates of the tangent turned", "certificate.tangent:tangent_at", "= -h * (F", "= h * (F", TANGENT),
    Fault("bound without the right side", "cones:Cone.least", "- float(self.b @ y)", "- 0.0 * float(self.b @ y)", PROGRAM),
    Fault("bound at the better end of the box", "cones:Cone.least", "np.minimum.reduce(ends)", "np.maximum.reduce(ends)", PROGRAM),
    Fault("bound without the residual", "cones:Cone.least", "+ float(worst.sum())", "", PROGRAM),
    Fault("square of x0 added", "cones:Cone.least", "-0.5 * float(x @ Px)", "0.5 * float(x @ Px)", PROGRAM),
    Fault("dual point below 0", "cones:Cone.dual_cone", "np.maximum(y[self.zero : self.zero + self.nonneg], 0.0)", "y[self.zero : self.zero + self.nonneg]", PROGRAM),
    Fault("dual point outside of its cone", "cones:Cone.dual_cone", "found[start] = max(head, length * (1.0 + 4.0 * (size + 2) * _EPS))", "found[start] = head", PROGRAM),
    Fault("box of half the level", "cones:Cone._inequalities", "level - self.d)", "0.5 * level - self.d)", PROGRAM),
    Fault("box of a row with an open end", "cones:tighten", "known = counts[row] - open_ <= 0.0", "known = counts[row] >= 0.0", PROGRAM),
    Fault("squares for half the level", "cones:Cone._square_sides", "np.sqrt(2.0 * max", "np.sqrt(0.02 * max", PROGRAM),
    Fault("variables lowered onto the lowest", "cones:lower_epigraphs", "np.maximum.at(found", "np.minimum.at(found", PROGRAM),
    Fault("prices of rows counted twice", "cones:priced_sums", "share = q[column[taken]]", "share = 2.0 * q[column[taken]]", PROGRAM),
    Fault("tails of cones left out", "cones:Cone._lowered", "size[start + 1 : start + length].sum()", "0.0", PROGRAM),
    Fault("gap by a program too small by 2", "certificate.by_cone:_gap", "/ (4.0 * coupling)", "/ (8.0 * coupling)", PROGRAM_GAP),
    Fault("gap by a program without R", "certificate.by_cone:_gap", "max(bracket, 0.0)", "0.0", PROGRAM_GAP),
    Fault("program of another function", "certificate.by_cone:_gap", "or bracket < -terms", "", c.programs_of_another_function_prove_nothing),
    Fault("door open for what is not affine", "transfer:_check_function", "if not fixed.is_affine():", "if False:", DOOR),
    Fault("door open for what falls with a loss", "transfer:_check_function", "if not found.is_nonneg():", "if False:", DOOR),
    Fault("door open for hidden constraints", "cones:check_alone", "if odd or limits:", "if odd:", DOOR),
    Fault("door open for a wrong prox", "transfer:_check_prox", "+ 1e-7 *", "+ 1e7 *", DOOR),
    Fault("residual of a penalty without a prox", "certificate.residuals:_transfer_misses", "np.full_like(B, np.inf)", "np.zeros_like(B)", c.without_a_prox_no_first_order_point),
    Fault("W by a program without what it leaves open", "certificate.by_cone:omega_dual", "max(mismatch, 0.0) if known", "0.0 if known", c.gains_by_a_program_hold),
    Fault("W by a program at another dual point", "certificate.by_cone:omega_dual", "order=\"F\")) - g", "order=\"F\")) + g", c.gains_by_a_program_hold),
    Fault("Omega's door open for what is negative", "weights:_check_function", "if not found.is_nonneg():", "if False:", OMEGA_DOOR),
    Fault("Omega's door open for what is not 0", "weights:_check_function", "if float(expression.value) > 0.0:", "if False:", OMEGA_DOOR),
    Fault("Omega's door open for a wrong prox", "weights:_check_prox", "+ 1e-7 *", "+ 1e7 *", OMEGA_DOOR),
    Fault("residual of W without a prox", "certificate.residuals:_residuals", "relative_W=found.largest_W() if known else np.inf", "relative_W=found.largest_W()", c.without_a_prox_of_omega_no_first_order_point),
    Fault("no curvature on a face", "certificate.tangent_model:TangentModel.blocks", "(turned * found.curvature) @ turned.T", "0.0 * turned @ turned.T", FACES),
    Fault("prices of a face that no loss moves", "certificate.tangent_model:TangentModel.blocks", "rates = turned @ found.rates", "rates = 0.0 * (turned @ found.rates)", FACES),
    Fault("any face will do", "certificate.tangent_model:TangentModel.pushed_to_zero", "if not len(changed):", "if True:", c.points_off_their_face_are_no_minimum),
    Fault("margins of no use", "certificate.tangent_model:TangentModel.touching", "self.margin > moved", "True", c.points_off_their_face_are_no_minimum),
    Fault("groups that change at any length", "transfer.norms:group_margin", "np.abs(excess) / (1.0 + np.sqrt(max(len(V) - 1, 1)))", "np.full(len(V), np.inf)", MARGINS),
    Fault("entries of a group that change sign", "transfer.norms:group_margin", "min(rows.min(), entries.min())", "rows.min()", MARGINS),
    Fault("budgets that are met unseen", "transfer:face_margin", "np.minimum(ends, slack)", "ends", MARGINS),
    Fault("thresholds that stand still", "transfer:face_margin", "0.5 * ends, tau", "2.0 * ends, tau", MARGINS),
    Fault("caps that are met unseen", "transfer:face_margin", "np.abs(V - tau - cap)", "np.full_like(V, np.inf)", MARGINS),
    Fault("a total whose threshold stands still", "transfer:TotalSum.margin", "0.5 * float", "2.0 * float", MARGINS),
    Fault("a label imports its module", "plugins:Plugins.find", "if label in self.classes:", "if is_path(label): return self._loaded(label)\n    if label in self.classes:", NAMES),
    Fault("classes of another kind", "plugins:Plugins._loaded", "if not self._derived(cls):", "if cls is None:", NAMES),
    Fault("two classes of one name", "plugins:Plugins.register", "not isinstance(name, str) or (", "not isinstance(name, str) and (", NAMES),
)  # fmt: skip

BLOCKS = (
    Fault("a rise is taken", "coordinator:half_step", "if point.objective <= before.objective + _NOISE", "if point.objective <= np.inf + _NOISE", c.rounds_descend_and_go_on),
    Fault("what stood still counts as moved", "coordinator:half_step", "moved or (run.moved and not fresh)", "moved or run.moved", c.rounds_descend_and_go_on),
    Fault("a round begins anew after an interrupt", "coordinator:rounds", "names.index(last) + 1 if last in names", "0 if last in names", c.rounds_descend_and_go_on),
    Fault("one round too many", "coordinator:rounds", "run.round < most", "run.round <= most", c.rounds_descend_and_go_on),
)  # fmt: skip

STORED = (
    Fault("a changed array is read", "problem.stored:_array", "if files and files.get", "if not files and files.get", c.stored_problems_come_back),
    Fault("a changed description is read", "problem.stored:read_about", 'if "sha256" in about', 'if "sha255" in about', c.stored_problems_come_back),
    Fault("changed names are read", "problem.stored:read", 'if "names.json" in files', 'if "names" in files', c.stored_problems_come_back),
    Fault("tasks that are equal by value share rows", "tasks:same_bits", "(one.view(np.int64) == other.view(np.int64))", "(one == other)", c.stored_problems_come_back),
    Fault("a mean over the rows of the factor", "problem.stored:_tasks", 'int(rows[t]) if', 'None if', c.stored_problems_come_back),
    Fault("the second number of a penalty is lost", "problem.making:made_from", 'stored.get("transfer_parameters")', "None", c.stored_problems_come_back),
    Fault("a model of another family is read as AMTL's", "problem.stored:model_from", 'stored.get("family", DEFAULT)', "DEFAULT", c.another_family_reads_its_own_models),
    Fault("rows of W stay where they were", "amtl.orders:arranged", "point.by_features(features)", "point", c.points_follow_their_names),
    Fault("a curriculum in the numbers of the file", "amtl.orders:arranged", "order=point.learned(found.order)", "order=found.order", c.points_follow_their_names),
    Fault("what a worker calls certified is believed", "experiment.jobs:_judged", "if certified and not certificate.passes:", "if not certified:", c.a_workers_claim_is_judged),
)  # fmt: skip

OMEGA = (
    Fault("Omega without its rho", "weights:Ridge.value", "self.rho * ", "", c.omegas_are_their_formulas),
    Fault("Gamma without centring", "weights:MeanRegularised.root", " - 1.0 / T", "", c.omegas_are_their_formulas),
    Fault("Gamma of the digits without centring", "weights:MeanRegularised.exact_gram", " - Fraction(1, T)", "", c.digits_with_omega_are_those_of_J),
    Fault("prox of Omega without its 2", "weights:MeanRegularised.prox", "2.0 * step", "1.0 * step", c.omegas_are_their_formulas),
    Fault("prox that takes the mean too", "weights:MeanRegularised.prox", "V - apart + apart", "V", c.omegas_are_their_formulas),
    Fault("prox of l1 without its step", "weights:L1.prox", "-step * self.rho, step", "-self.rho, step", c.kinked_omegas_are_their_formulas),
    Fault("conjugate of l1 with twice rho", "weights:L1.conjugate", "<= self.rho", "<= 2.0 * self.rho", c.kinked_omegas_are_their_formulas),
    Fault("lengths of columns", "weights:L21.value", "axis=1", "axis=0", c.kinked_omegas_are_their_formulas),
    Fault("rows shortened by the step alone", "weights:L21.prox", "step * self.rho", "step", c.kinked_omegas_are_their_formulas),
    Fault("singular values cut without their number", "weights:TraceNormSquared._cut", "1.0 + rate *", "1.0 + 0.0 *", c.kinked_omegas_are_their_formulas),
    Fault("trace norm's square in its conjugate with 2 rho", "weights:TraceNormSquared.conjugate", "4.0 *", "2.0 *", c.kinked_omegas_are_their_formulas),
    Fault("singular values cut at 0", "weights:_shortened", "values[kept] - cut", "values[kept]", c.kinked_omegas_are_their_formulas),
    Fault("a line ends without its rest", "weights:_least", "[low + u_low / (last + 1 - len(x))]", "[low]", c.lines_of_steps_are_least),
    Fault("a line falls where it rises", "weights:_least", "(low, k_low) if u_low < -cut", "(low, k_low) if u_high > cut", c.lines_of_steps_are_least),
    Fault("a row of tasks in another order", "weights:Fused.prox", "W[:, row] =", "W[:] =", c.kinked_omegas_are_their_formulas),
    Fault("the end of the row is free in the conjugate", "weights:Fused.conjugate", " and (np.abs(U[:, -1]) <= room).all()", "", c.kinked_omegas_are_their_formulas),
    Fault("gap of W without its subgradient", "certificate:OmegaDual.added_to", "pull.gradient + self.Z", "pull.gradient", c.kinked_gaps_are_no_less_than_the_gain),
    Fault("gap of W without Fenchel and Young", "certificate:OmegaDual.at", "max(sum(parts), 0.0)", "0.0", c.gains_beside_a_kink_are_of_first_order),
    Fault("product of W and its dual added", "certificate:OmegaDual.at", "-float((Z * W).sum())", "float((Z * W).sum())", c.kinked_gaps_are_no_less_than_the_gain),
    Fault("what Omega leaves open is not judged", "certificate:WeightProblem.judged", "gap.safe + open_", "gap.safe", c.gains_beside_a_kink_are_of_first_order),
    Fault("nor beside the decrement", "certificate:WeightProblem.judged", "proved.gain + open_", "proved.gain", c.gains_beside_a_kink_are_of_first_order),
    Fault("prox step without the gradient", "problem:Point.subgradient_W.func", "self.smooth_gradient_W, h", "0.0 * self.smooth_gradient_W, h", c.kinked_residuals_are_those_of_their_conditions),
    Fault("residual of W without the subgradient", "certificate:_weight_part", "gradient if own is None else gradient + own", "gradient", c.kinked_residuals_are_those_of_their_conditions),
    Fault("residual of W over rho squared", "certificate:_weight_part", "found.size + pull", "found.size + 1e3 * pull", c.kinked_residuals_are_those_of_their_conditions),
    Fault("rows that turn are not shortened", "weights:L21.tangent", "values[:, 1:] -=", "values[:, 1:] -= 0.0 *", c.tangents_are_derivatives_of_the_prox),
    Fault("groups of tasks not of length 1", "weights:Fused.tangent", "** -0.5", "** -1.0", c.tangents_are_derivatives_of_the_prox),
    Fault("singular vectors turn as if alone", "weights:_tangent", "(f[i] + f[later]) / (", "f[i] / (", c.tangents_are_derivatives_of_the_prox),
    Fault("a cut that does not follow", "weights:_tangent", "1.0 / (1.0 + rate * k)", "1.0", c.tangents_are_derivatives_of_the_prox),
    Fault("Omega does not bend", "certificate:HeldWeights._space", "1.0 / values - 1.0", "0.0 * values", c.kinked_curvature_is_that_of_differences),
    Fault("curvature off the tangent", "certificate:HeldWeights.__init__", "raw.T @ self.local.H @ raw", "self.local.H[: raw.shape[1], : raw.shape[1]]", c.kinked_curvature_is_that_of_differences),
    Fault("what W is held to may change", "certificate:HeldWeights.touching", "margin > move", "True", c.kinked_curvature_is_that_of_differences),
    Fault("margin of l1 without rho", "weights:L1.margin", " - step * self.rho", " + step * self.rho", c.margins_are_how_far_structures_stay),
    Fault("margin of l21 without rho", "weights:L21.margin", " - step * self.rho", " + step * self.rho", c.margins_are_how_far_structures_stay),
    Fault("margin of singular values without rho", "weights:TraceNorm.margin", " - step * self.rho", " + step * self.rho", c.margins_are_how_far_structures_stay),
    Fault("a margin twice as wide", "weights:TraceNormSquared.margin", "return float", "return 4.0 * float", c.margins_are_how_far_structures_stay),
    Fault("groups of tasks that stay apart for longer", "weights:Fused.margin", "0.5 * steps", "2.0 * steps", c.margins_are_how_far_structures_stay),
    Fault("conjugate of Omega with 2 rho", "weights:Ridge.conjugate", "4.0 * ", "2.0 * ", c.omegas_are_their_formulas),
    Fault("a common part is free in the conjugate", "weights:MeanRegularised.conjugate", "if (common <= rounding).all()", "if True", c.omegas_are_their_formulas),
    Fault("Omega left out of J", "problem:Point.terms", "0.0 if omega is None else omega.value(self.W)", "0.0", c.omega_is_part_of_J),
    Fault("root of Omega without rho", "problem:Squares.of", "np.sqrt(omega.rho / coupling)", "np.sqrt(1.0 / coupling)", c.omega_is_part_of_J),
    Fault("root of Omega beside coupling", "problem:Squares.of", "np.sqrt(omega.rho / coupling)", "np.sqrt(omega.rho)", c.omega_is_part_of_J),
    Fault("gradient of the coupling alone", "problem:Point.square_gradient_W", "self.R if self.squares.plain else self.W @ self.K", "np.hstack([self.R, 0.0 * self.W])", c.omega_is_part_of_J),
    Fault("rho dropped in the gap", "certificate:WeightProblem.gap", "L, lost, mismatch, room = self.squares.L,", "L, lost, mismatch, room = self.squares.K[:, : len(self.a)],", c.gap_W_with_omega_is_primal_minus_dual),
    Fault("rho dropped in the Hessian of the gain", "certificate:WeightProblem._newton", "newton_step(blocks, self.squares.K", "newton_step(blocks, self.squares.K[:, : len(self.a)]", c.gap_W_with_omega_is_primal_minus_dual),
    Fault("a square root that is none", "problem:Squares._factor", "return unit[:, None] * lower, min", "return lower, min", c.gap_W_with_omega_is_primal_minus_dual),
    Fault("a square root without its rounding", "problem:Squares._factor", "16.0 * T * _EPS", "0.0 * T * _EPS", c.roots_are_known_to_what_they_say),
    Fault("rounding of the root not in the gap", "certificate:WeightProblem.gap", "(most * (1.0 - lost))", "most", c.roots_are_known_to_what_they_say),
    Fault("the least value without its rounding", "problem:least_singular", "- (len(values) + more) * _EPS", "- 0.0 * _EPS", c.roots_are_known_to_what_they_say),
    Fault("sigma of I - B for that of K", "problem:Point.values_of_K", "if self.squares.plain", "if True", c.singular_graphs_have_a_gap_with_ridge),
    Fault("rho dropped in a task's own step", "subproblems:task_step", "K = point.K", "K = point.M", c.steps_know_omega),
    Fault("rho dropped in the joint step", "subproblems:joint_step", "point.K", "point.M", c.steps_know_omega),
    Fault("definition without Omega", "subproblems:WeightDefinition.__init__", "if omega is not None:", "if False:", c.steps_know_omega),
    Fault("rho dropped in NumPy's step", "subproblems:WeightSystem.at", "K=point.K", "K=point.M", c.steps_know_omega),
    Fault("rho dropped in the digits' curvature", "digits:FirstOrderSystem.jacobian", " + 2 * self.gram", "", c.digits_with_omega_are_those_of_J),
    Fault("rho dropped in the digits' gradient", "digits:FirstOrderSystem.slopes_W", " + at.W * self.gram", "", c.digits_with_omega_are_those_of_J),
    Fault("rho dropped in the digits' J", "digits:FirstOrderSystem.objective", " + omega", "", c.digits_with_omega_are_those_of_J),
    Fault("exact W-step without rho", "digits.rational:exact_weights", " + exact_gram(model, T)", "", c.digits_with_omega_are_those_of_J),
    Fault("a stored penalty on W is lost", "problem.making:made_from", 'stored.get("omega")', "None", c.omega_is_read_back),
    Fault("rho of another penalty", "amtl.settings:settled", '(words or name != known.get(term.setting))', "words", c.omega_is_read_back),
    Fault("none is a penalty", "amtl.settings:settled", 'given.get("omega") == NO_OMEGA', "False", c.omega_is_read_back),
    Fault("growth at no cost in Omega", "certificate:change", "found + risen", "found", c.growth_pays_for_omega),
    Fault("exact J without Omega", "enclosure:ExactProblem.objective", " + omega", "", c.exact_J_has_omega),
    Fault("exact gradient without Omega", "enclosure:ExactProblem.gradients", "+ 2 * dot(self.omega[t], W[i])", "", c.exact_J_has_omega),
    Fault("polynomial of J without Omega", "enclosure:scale_problem", "if problem.omega[s][t]", "if False", c.exact_J_has_omega),
    Fault("the checker's J without Omega", "enclosure.checker:Problem.objective", ", p), a) for a", ", p), 0 * a) for a", c.global_bounds_with_omega_hold),
    Fault("negative penalties on W in a proof", "enclosure.checker:Problem.__init__", "a >= 0 and ", "", c.global_bounds_with_omega_hold),
    Fault("a pivot of 0 is taken", "enclosure:squares_of", "(pivot[k] == 0 and any(pivot[k:]))", "False", c.definite_is_told_from_indefinite),
    Fault("negative pivots are taken", "enclosure:squares_of", "pivot[k] < 0 or", "", c.definite_is_told_from_indefinite),
    Fault("squares without their weights", "enclosure:squares_of", "1 / pivot[k]", "Fraction(1)", c.definite_is_told_from_indefinite),
    Fault("a proof of another Omega", "enclosure.stored:_difference", 'if not _equal(proof.get("omega", []), mine.get("omega", [])):', "if False:", c.global_bounds_with_omega_hold),
    Fault("what a proof says of itself is believed", "enclosure.stored:problem_in", "(other := _difference(proof, found))", '(other := "")', c.global_bounds_with_omega_hold),
    Fault("SCIP's J without Omega", "enclosure:_Program.__init__", " + self._omega()", "", c.claims_have_omega),
    Fault("SCIP's J without rho", "enclosure:_Program._omega", "omega.rho / self.model.coupling", "1.0 / self.model.coupling", c.claims_have_omega),
    Fault("a graph without its weights", "weights:Laplacian.value", ".sum(axis=0) @ a", ".sum()", c.omegas_are_their_formulas),
    Fault("weights for their roots", "weights:Laplacian.root", "= np.sqrt(a), -np.sqrt(a)", "= a, -a", c.omegas_are_their_formulas),
    Fault("Gamma of a graph with loose ends", "weights:Laplacian.exact_gram", "((s, t), (t, s))", "((s, t),)", c.omegas_are_their_formulas),
    Fault("prox of a graph without its 2", "weights:Laplacian.prox", "2.0 * step", "1.0 * step", c.omegas_are_their_formulas),
    Fault("a graph's conjugate with 2 rho", "weights:Laplacian.conjugate", "(4.0 * self.rho)", "(2.0 * self.rho)", c.omegas_are_their_formulas),
    Fault("what parts of a graph have in common costs", "weights:Laplacian.conjugate", "V @ parts", "0.0 * V @ parts", c.omegas_are_their_formulas),
    Fault("a graph joined to one part", "weights:Laplacian._parts", "labels[:, None] == np.arange(count)", "labels[:, None] >= 0", c.omegas_are_their_formulas),
    Fault("an array without its heavy edges", "weights.laplacian:_listed", "np.triu(A != 0)", "np.triu(A != 0) & (A < 1.0)", c.omegas_are_their_formulas),
    Fault("a radius too short", "weights:L1.radius", "value / self.rho", "0.5 * value / self.rho", c.radii_hold_all_that_a_penalty_allows),
    Fault("a radius of J for its root", "weights:TraceNormSquared.radius", "np.sqrt(value / self.rho)", "value / self.rho", c.radii_hold_all_that_a_penalty_allows),
    Fault("a residual that reaches nowhere", "certificate:_penalised", "off * reach", "off", c.bounds_of_penalties_with_kinks_hold),
    Fault("how far W may be is left out", "certificate:_penalised", "longest_of_no_higher_J(point, omega, problem.omega.Z, off) + ", "", c.bounds_of_penalties_with_kinks_hold),
    Fault("tasks closer than they are", "weights:Fused.spread", "math.sqrt(T) * value", "0.4 * value", c.radii_hold_all_that_a_penalty_allows),
    Fault("a price without a coupling", "amtl.settings:_without_price", '{**settings, "mu": 0.0} if alone else settings', "settings", c.mu_is_0_without_a_coupling),
    Fault("no price at any coupling", "amtl.settings:_without_price", "== 0.0", ">= 0.0", c.mu_is_0_without_a_coupling),
    Fault("coupling 0 without rho", "problem:Squares._alone", "1.0 if omega is None else float(omega.rho)", "1.0", c.bounds_of_single_tasks_hold),
    Fault("a bound that is J", "certificate:bounded", "J - gap - room", "J - room", c.bounds_of_single_tasks_hold),
    Fault("an excess without the gap", "certificate:bounded", "math.nextafter(upper - lower, math.inf)", "math.nextafter(upper - J, math.inf)", c.bounds_of_single_tasks_hold),
    Fault("C5 at a loose tolerance", "certificate:bounded", "min(certificate.tol, EXCESS)", "certificate.tol", c.bounds_of_single_tasks_hold),
    Fault("C5 of a point that does not pass", "certificate:bounded", '"C5" if certificate.passes and close', '"C5" if close', c.bounds_of_single_tasks_hold),
    Fault("levels of W and B for W alone", "certificate:with_bound", '"C3": _CONVEX, "C4": _CONVEX', "", c.bounds_of_single_tasks_hold),
    Fault("what Omega joins is taken apart", "certificate:joined", "sizes @ sizes.T > 0.0", "np.eye(len(K)) > 0.0", c.what_no_row_sees_costs_what_omega_says),
    Fault("what no row sees is free", "certificate:alone_evidence", "max(rest, 0.0)", "0.0", c.what_no_row_sees_costs_what_omega_says),
    Fault("labels without their signs", "certificate:falls_for_ever", "[:, None] * rows", "[:, None] ** 2 * rows", c.falling_losses_have_no_minimum),
    Fault("directions that Omega sees", "certificate:falls_for_ever", "U[:, len(U) - kept :]", "U[:, :kept]", c.falling_losses_have_no_minimum),
    Fault("a curriculum that knows no Omega", "amtl.starts:_learned_starts", " and model.omega is None", "", c.another_omega_is_another_problem),
)  # fmt: skip

FIGURES = (
    Fault("a bound from above rounded down", "certificate:_shown", 'figure.holds == "at most"', 'figure.holds == "at least"', c.tables_hold_and_say_why),
    Fault("bounds rounded to nearest", "certificate:_shown", "if figure.holds:", "if False:", c.tables_hold_and_say_why),
    Fault("a level's reason not told of its figures", "certificate:fact", "found.reasons.get(level)", "None", c.tables_hold_and_say_why),
    Fault("figures without a reason", "certificate:conclude", "**dict.fromkeys(unsaid, unknown), ", "", c.tables_hold_and_say_why),
    Fault("one reason for all that is not known", "certificate:conclude", "{**dict.fromkeys(unsaid, unknown), **reasons}", "{**reasons, **dict.fromkeys(unsaid, unknown)}", c.tables_hold_and_say_why),
)  # fmt: skip

WEIGHTS = c.weights_are_rows
COUNTED = (
    Fault("weights forgotten in the values", "losses:Weighted.rows", "self.weight * ", "", WEIGHTS),
    Fault("weights forgotten in the slopes", "losses:Weighted.slopes", "self.weight * ", "", WEIGHTS),
    Fault("weights forgotten in the curvatures", "losses:Weighted.curvatures", "self.weight * ", "", WEIGHTS),
    Fault("weights of a conjugate inside only", "losses:Weighted.conjugate", "self.weight * self", "self", c.weighted_conjugates_are_suprema),
    Fault("weights of a conjugate outside only", "losses:Weighted.conjugate", "v / self.weight", "v", c.weighted_conjugates_are_suprema),
    Fault("multipliers in intervals of their own", "losses:Weighted.domain", "self.weight * low, self.weight * high", "low, high", c.weighted_conjugates_are_suprema),
    Fault("weights forgotten beside a kink", "losses:Weighted.subgradients", "self.weight * low, self.weight * high", "low, high", c.weighted_kinks_have_room),
    Fault("norms that count weights twice", "losses:Weighted.norm", "np.sqrt(self.weight)", "1.0", WEIGHTS),
    Fault("rows for the sum of weights", "tasks:Task.n", "self.rows if self.total is None else self.total", "self.rows", WEIGHTS),
    Fault("weights forgotten in the lengths", "tasks:feature_lengths", "np.sqrt(weight)[:, None] * task.X", "task.X", WEIGHTS),
    Fault("rows of a factor times their weights", "losses:Loss.compress", "np.sqrt(weight)", "weight", c.weighted_factors_keep_the_objective),
    Fault("rows of a factor once each", "losses:Loss.compress", "np.sqrt(weight)[:, None] * rows", "rows", c.weighted_factors_keep_the_objective),
    Fault("weights forgotten in balls", "digits:_counted", "row.times(weight)", "row", c.weighted_digits_are_those_of_rows),
    Fault("a wedge with the ends of weight 1", "digits:Wedge.times", "v * self.low, v * self.high", "self.low, self.high", c.weighted_digits_are_those_of_rows),
    Fault("balls divided by the number of rows", "digits:exact_count", "sum(row_counts(task), fmpq(0))", "fmpq(task.rows)", c.weighted_digits_are_those_of_rows),
    Fault("one weight for the curved rows of a task", "digits:WeightStep._add_curved", "2 * row.weight * x", "2 * rows[0].weight * x", c.weighted_rationals_are_those_of_rows),
    Fault("an exchange that forgets weights", "digits:WeightStep._exchange", "share * row.weight / self.rows[i].weight", "share", c.weighted_rationals_are_those_of_rows),
    Fault("exact prices without weights", "digits.rational:exact_prices", "v * piecewise", "piecewise", c.weighted_rationals_are_those_of_rows),
    Fault("exact Gram without weights", "enclosure:_times", "weight * x", "x", c.weighted_bounds_are_those_of_rows),
    Fault("exact means by the number of rows", "enclosure:ExactProblem.read", "sum(v, Fraction(0)) if mean", "Fraction(len(v)) if mean", c.weighted_bounds_are_those_of_rows),
    Fault("c_t by the number of rows", "enclosure.exact:task_weights", "sum(row_counts(task), Fraction(0))", "Fraction(task.rows)", c.weighted_bounds_are_those_of_rows),
    Fault("the checker counts rows once", "enclosure.checker:Problem.__init__", "spent(a * b)", "spent(b)", c.weighted_bounds_are_those_of_rows),
    Fault("the checker's means by the number of rows", "enclosure.checker:Problem.__init__", "c / sum(v)", "c / n", c.weighted_bounds_are_those_of_rows),
    Fault("weights in a proof of version 2", "enclosure.checker:check", "FORMATS[3 * any(\"weights\" in x for x in proof[\"tasks\"]) :]", "FORMATS", c.other_weights_are_another_problem),
    Fault("a proof of other weights", "enclosure.stored:_difference", 'if not _equal(there.get("weights", []), here.get("weights", [])):', "if False:", c.other_weights_are_another_problem),
    Fault("held-out rows without their weights", "holdout:split_off", "frozen(task.sample_weight[mask])", "None", c.weighted_parts_keep_their_weights),
)  # fmt: skip

ESTIMATORS = (
    Fault("coefficients of prepared rows", "estimators:in_units_of_X", "W[: preparation.d] / preparation.scale[:, None]", "W[: preparation.d]", c.rows_are_answered_by_the_ridge_of_their_task),
    Fault("centres added to the intercept", "estimators:in_units_of_X", "ones - preparation", "ones + preparation", c.rows_are_answered_by_the_ridge_of_their_task),
    Fault("tasks by the order of the rows to predict", "estimators:codes_of", "[known.index(name) for name in names]", "list(range(len(names)))", c.rows_are_answered_by_the_ridge_of_their_task),
    Fault("rows of weight 0 make a task", "estimators:Rows.that_count", "np.flatnonzero(self.weights)", "np.arange(len(self.weights))", c.rows_are_answered_by_the_ridge_of_their_task),
    Fault("weights in the order of the tasks", "estimators:TaskEstimator._tasks", "frozen(rows.weights[part])", "frozen(rows.weights[: len(part)])", c.rows_are_answered_by_the_ridge_of_their_task),
    Fault("scores of another class", "estimators:TaskEstimator._learn", "each.answer] = place", "each.answer] = each.task", c.classes_of_a_task_are_told_from_its_rest),
    Fault("a class and those after it", "estimators:Classification.fit", "classes == k", "classes >= k", c.classes_of_a_task_are_told_from_its_rest),
    Fault("classes balanced as in the first task", "estimators:Classification._weights", "sums[rows.codes, classes]", "sums[0, classes]", c.balanced_classes_weigh_the_same_in_each_task),
    Fault("the price of the term wins", "estimators:AmtlEstimator._model", "replace(transfer, mu=self.mu)", "transfer", c.the_price_given_is_the_price),
    Fault("an uncertified fit is silent", "estimators:TaskEstimator._learn", "not self.certificate_.passes", "False", c.what_is_not_certified_is_told),
)  # fmt: skip

SETTINGS = (
    Fault("a problem's price of transfer is one of features", "commands.settings:resolve", " and name in advised", "", c.settings_are_of_their_family),
    Fault("what is needed is not asked for", "commands.settings:resolve", "each.needed and ", "False and ", c.settings_are_of_their_family),
    Fault("half a feature", "commands.settings:setting_number", "found != float(value)", "False", c.settings_are_of_their_family),
    Fault("options of others pass", "commands.settings:check_options", "other.names - table.names", "frozenset()", c.options_of_another_family_are_refused),
    Fault("options that are shared are another's", "commands.settings:check_options", "other.names - table.names", "other.names if other is not table else ()", c.options_of_another_family_are_refused),
    Fault("a run records the options of all", "commands.setup:recorded", "others - table.names", "set()", c.options_of_another_family_are_refused),
)  # fmt: skip

POOL = (
    Fault("shared rows by their shape and ends", "tasks:groups", "if same_bits(distinct[g], X)", "if True", c.rows_are_pooled_once),
    Fault("copies are other rows", "tasks:groups", "X[:1].tobytes()", "bytes(str(id(X)), 'ascii')", c.rows_are_pooled_once),
    Fault("rows without a label left out", "tasks:links_of", "left = here & ~there", "left = here & there & ~there", c.rows_are_pooled_once),
    Fault("rows of weight 0 among those without a label", "tasks:links_of", "number[source.present]", "number", c.rows_are_pooled_once),
    Fault("labelled rows are all rows", "tasks:pool_of", "if labelled else rows", "if False else rows", c.rows_are_pooled_once),
    Fault("held-out rows are reconstructed", "tasks:links_without", "each[mask] for", "each for", c.rows_held_out_leave_the_pool),
    Fault("a folder forgets which rows are one", "problem.stored:_tasks", "links=links_from(arrays, found, same=\"basis\" not in arrays)", "links=None", c.stored_rows_are_pooled_as_they_were),
    Fault("weighted factors are rows", "tasks:pool_of", "if task.total is not None", "if False", c.factors_are_refused_where_they_do_not_tell),
    Fault("factors of the same rows count twice", "tasks:_check_alike", "task.X.sum(axis=1)", "task.X.sum(axis=1) * len(seen)", c.factors_are_refused_where_they_do_not_tell),
)  # fmt: skip

FEATURES, NO_FEATURES = c.feature_digits_are_those_of_the_oracle, c.feature_proofs_refuse_what_is_not_there
FEATURE_DIGITS = (
    Fault("ball features: M without A", "features:FeatureSystem.state", "- S * A", "- S * A * 0", FEATURES),
    Fault("ball features: gamma halved", "features:FeatureSystem.slopes", "self._pull(at), 2 * self.gamma", "self._pull(at), self.gamma", FEATURES),
    Fault("ball features: prices without a floor", "features:FeatureSystem.prices", "c * value + floor", "c * value", FEATURES),
    Fault("ball features: incoming for outgoing", "features:FeatureSystem.state", "norms[t] +=", "norms[j] +=", FEATURES),
    Fault("ball features: cross term of K M'", "features:FeatureSystem._along", " + at.K * dM.transpose()", "", FEATURES),
    Fault("ball features: loss weights stand still", "features:FeatureSystem._along", "self.alpha * self.c[t] * gain", "0 * gain", FEATURES),
    Fault("gamma per row for total", "features:_reconstruction", "if per_row else 1", "if False else 1", FEATURES),
    Fault("ball features: S held from one side", "features:FeatureSystem.rooms", "self.mu - abs(G.S[j, t])", "self.mu - G.S[j, t]", NO_FEATURES),
    Fault("ball features: A held whatever its pull", "features:FeatureSystem.rooms", "prices[t] - pull", "prices[t]", NO_FEATURES),
    Fault("ball features: signs not asked", "features:FeatureSystem.sizes", "at.A[t, j] * sign)", "abs(at.A[t, j]))", NO_FEATURES),
    Fault("every split feature a minimum", "features:_prove", "inertia(root.jacobian) == 0", "True", NO_FEATURES),
)  # fmt: skip

FEATURES_SHOWN = (
    Fault("feedback by feature for feedback by task", "bipartite:FeatureGraph.giving", "axis=1", "axis=0", c.arrows_of_features_have_their_direction),
    Fault("feedback runs to tasks", "bipartite:FeatureGraph.to_networkx", 'graph.add_edge(f"t{t}", f"z{j}", kind="feedback"', 'graph.add_edge(f"z{j}", f"t{t}", kind="feedback"', c.arrows_of_features_have_their_direction),
    Fault("errors are sizes", "features.figures:figures", "point.E, axis=0", "point.Z, axis=0", c.figures_of_features_are_their_definitions),
    Fault("A in the order of the file", "features.orders:arranged", 'found["A"] = found["A"][tasks]', "pass", c.orders_of_features_keep_J),
    Fault("every task takes every column of S", "features.orders:_task_costs", "costs[:, t] =", "costs[t, :] =", c.a_wrong_order_of_features_is_cured_by_what_is_said),
    Fault("pixels in the order of the columns", "plotting.features.raster:Raster.image", "found[list(self.places)] =", "found[:] =", c.pixels_stand_where_their_names_say),
    Fault("any two numbers are a pixel", "plotting.features.raster:raster_of", "_PIXEL.fullmatch", "re.compile(r'[^0-9]*([0-9]+)_([0-9]+)|(a)(b)').fullmatch", c.pixels_stand_where_their_names_say),
)  # fmt: skip

SCALES, BLOCK_STEPS = c.scales_of_features_are_the_best, c.block_steps_end_at_the_minima_of_J
FEATURE_ROUNDS = (
    Fault("scales without the reconstruction", "features.balance:balance", "(point.L**2).sum(axis=0) + reconstruction", "(point.L**2).sum(axis=0)", SCALES),
    Fault("scales with the feedback of a task", "features.balance:balance", "point.prices @ np.abs(point.A)", "point.prices.mean() * np.abs(point.A).sum(axis=0)", SCALES),
    Fault("a square counted once", "features.balance:best_scales", "np.cbrt(2.0 * q)", "np.cbrt(q)", SCALES),
    Fault("S scaled with L", "features.balance:balanced", "point.S / np.where", "point.S * np.where", SCALES),
    Fault("losses of the L-step without feedback", "features.steps:quadratic_of_L", "point.loss_weight * S", "S", BLOCK_STEPS),
    Fault("M'M in the L-step", "features.steps:quadratic_of_L", "point.M @ point.M.T", "point.M.T @ point.M", BLOCK_STEPS),
    Fault("a whole Hessian for half of it", "features.steps:quadratic_of_S", "0.5 * point.loss_weight", "point.loss_weight", BLOCK_STEPS),
    Fault("feedback at one price", "features.steps:FeedbackStep.solve", "price=point.prices", "price=0.0 * point.prices + point.prices.mean()", BLOCK_STEPS),
    Fault("a polish at twice the price", "features.gram:polished", "g - 0.5 * price * sign", "g - price * sign", BLOCK_STEPS),
    Fault("signs that nobody can give to", "features.starts:_turned", ">= -pull.min(axis=1)", "<= -pull.min(axis=1)", c.starts_have_the_signs_of_feedback),
    Fault("more features than the rank of W", "features.starts:factors", "np.linalg.qr(rng.normal(size=(k, r)))[0]", "np.eye(k, r)", c.starts_have_the_signs_of_feedback),
)  # fmt: skip

JOINT_STEPS = (
    Fault("feedback and use do not cross", "features.curvature:_rates", "point.model.alpha * ", "0.0 * ", c.second_derivatives_are_differences_of_slopes),
    Fault("curvature of features without M'", "features.curvature:_of_L", "M @ M.T", "M", c.second_derivatives_are_differences_of_slopes),
    Fault("curvature of S for every pair of tasks", "features.curvature:_of_S", "SS[:, same, :, same] += curvature", "SS[:, same, :, same[::-1]] += curvature", c.second_derivatives_are_differences_of_slopes),
    Fault("feedback that starts the wrong way", "features.curvature:feedback_signs", "-np.sign(point.gradient_A)", "np.sign(point.gradient_A)", c.joint_steps_end_at_the_known_point),
    Fault("feedback moves at no price", "features.newton:_Model.at", "A_signs * point.gradient_A + price", "A_signs * point.gradient_A", c.joint_steps_end_at_the_known_point),
    Fault("every end is convergence", "features.newton:_ended", "residuals(point).relative <= tol", "True", c.joint_steps_end_at_the_known_point),
)  # fmt: skip

FAULTS = (
    *ESTIMATORS,
    *POOL,
    *LOSSES_AND_J,
    *COUNTED,
    *RESIDUALS_AND_VERDICT,
    *GAPS,
    *SECOND_ORDER,
    *PROVEN_DIGITS,
    *FEATURE_DIGITS,
    *GLOBAL,
    *SEARCH,
    *SYSTEMS,
    *TERMS,
    *BLOCKS,
    *STORED,
    *OMEGA,
    *FIGURES,
    *FEATURES_SHOWN,
    *SETTINGS,
    *FEATURE_ROUNDS,
    *JOINT_STEPS,
)
"""Every planted fault of the verifier."""
CHECKS = tuple(dict.fromkeys(fault.caught_by for fault in FAULTS))
"""Every check that is to catch one."""
