"""Faults planted in J, the derivatives, the kinks and the judge of networks, as in `faults`; all of them fast."""

from __future__ import annotations

from checks import network as c
from checks import network_judge as j
from checks import network_solver as s
from faults import Fault

GRADIENT, PIECES = c.network_derivatives_are_differences_of_J, c.network_masks_and_signs_name_a_piece_of_J
SLOPES, ENTRIES = (
    c.network_slopes_at_kinks_are_one_sided_differences,
    c.network_residuals_are_one_sided_slopes,
)
PLANTED, BEST = j.network_multipliers_are_those_planted, j.network_multipliers_are_the_best_there_are
DAMAGE, COUNT, MINIMUM = (
    j.network_damage_is_seen,
    j.network_dependence_is_counted,
    j.network_minima_are_told_from_saddles,
)
VERDICT, SNAP = (
    j.network_verdicts_are_those_of_known_points,
    j.network_points_are_snapped_onto_kinks_and_told_so,
)
QP, NORMALS = s.network_quadratics_with_kinks_are_least, s.network_normals_of_units_are_differences
STEPS, SCALES = s.network_steps_fall_onto_the_kinks, s.network_scales_are_the_best_and_feedback_comes
START = s.network_slopes_of_the_start_are_differences

NETWORK_FAULTS = (
    Fault("network: missing 2 of the reconstruction", "network.backward:backward", "E = 2.0 * problem.gamma", "E = problem.gamma", GRADIENT),
    Fault("network: missing 2 of the decay", "network.backward:backward", "+ 2.0 * decay * point.V", "+ decay * point.V", GRADIENT),
    Fault("network: bias of the feedback without decay", "network.backward:backward", "+= 2.0 * decay", "+= 0.0 * decay", GRADIENT),
    Fault("network: sign of what is rebuilt", "network.backward:backward", "R = -E", "R = E", GRADIENT),
    Fault("network: what is rebuilt pulls the wrong way", "network.backward:backward", "+ R @ point.A.T", "- R @ point.A.T", GRADIENT),
    Fault("network: features do not rebuild themselves", "network.backward:backward", "F @ point.S.T + E", "F @ point.S.T", GRADIENT),
    Fault("network: units that are off pass slopes on", "network.backward:backward", "masks[number] * w", "1.0 * w", GRADIENT),
    Fault("network: incoming for outgoing feedback", "network.backward:backward", "axis=1", "axis=0", GRADIENT),
    Fault("network: duplicates count once", "network:Rows.of", "np.bincount(place, minlength=len(X)).astype(float)", "np.ones(len(X))", GRADIENT),
    Fault("network: rows without a label count", "network:Rows.of", "labelled or not rebuilt", "not rebuilt", GRADIENT),
    Fault("network: gamma per row for total", "network:NetworkProblem.gamma", "model.gamma / float", "model.gamma * float", GRADIENT),
    Fault("network: floor grows with the rows", "features.prices:ProblemPrices.floor", "price_floor / np", "price_floor * np", GRADIENT),
    Fault("network: row weights dropped", "network:NetworkPoint.row_loss", "self.problem.rows.weight", "None", GRADIENT),
    Fault("network: price floor dropped", "features.prices:PointPrices.prices", " + self.problem.floor", "", GRADIENT),
    Fault("network: lower layers do not move upper ones", "network.hessian:_products", "du += dz[-1]", "du += 0.0 * dz[-1]", GRADIENT),
    Fault("network: what is off is rebuilt", "network.hessian:_products", "D * dR)", "dR)", GRADIENT),
    Fault("network: prices stand still", "network.hessian:_products", "prices[:, :, None] * signs", "0.0 * prices[:, :, None] * signs", GRADIENT),
    Fault("network: weights of losses stand still", "network.hessian:_products", "+ rates[:, None, :]", "+ 0.0 * rates[:, None, :]", GRADIENT),
    Fault("network: cross term of S and the layers", "network.hessian:_products", "+ gradient.F @ dS", "+ 0.0 * gradient.F @ dS", GRADIENT),
    Fault("network: cross term of two layers", "network.hessian:_products", "dw += gradient.slopes[number]", "dw += 0.0 * gradient.slopes[number]", GRADIENT),
    Fault("network: units on their kinks count as on", "network:NetworkPoint.on", "& ~at", "| at", SLOPES),
    Fault("network: masks are not the Hessian's", "network.hessian:products", "point.on if masks is None else masks", "point.on", PIECES),
    Fault("network: sides of zeros are not the Hessian's", "network.hessian:products", "feedback_signs(point) if signs is None else signs", "feedback_signs(point)", PIECES),
    Fault("network: normals through units that are off", "network:Kinks._fill", "slope * point.on[lower][rows]", "slope * 1.0", SLOPES),
    Fault("network: kinks of other rows lift a unit", "network:Kinks._fill", "np.where(same,", "np.where(same | True,", SLOPES),
    Fault("network: dead units have kinks", "network.kinks:_active", "at & ~dead for", "at for", COUNT),
    Fault("network: parallel normals are independent", "network:Kinks.deficiency", "len(normals) - _rank(normals)", "len(normals) - len(normals)", COUNT),
    Fault("network: half of a concave kink", "network.vertex:concave", "2.0 * point", "point", ENTRIES),
    Fault("network: no concave kink", "network.vertex:concave", "np.where(point.meeting, pull", "np.where(point.R > 0.0, pull", ENTRIES),
    Fault("network: sides of S exchanged", "network.vertex:_vertex", "(Z.T @ (c @ _plus(A).T)", "(Z.T @ (c @ _plus(-A).T)", ENTRIES),
    Fault("network: sides of A exchanged", "network.vertex:_vertex", "(_plus(F).T @ c", "(_plus(-F).T @ c", ENTRIES),
    Fault("network: kinks on kinks", "network.vertex:_vertex", "point.touching[-1], up", "point.touching[-1], 0.0 * up", ENTRIES),
    Fault("network: unprotected kinks do not jump", "network.vertex:_vertex", "np.maximum(up, down)", "np.minimum(up, down)", ENTRIES),
    Fault("network: sign of an entry in its box", "network.residuals:_off", "slope + price", "slope - price", ENTRIES),
    Fault("network: zeros without a box", "network.residuals:_off", "np.where(block == 0.0, price", "np.where(block == 0.0, 0.0 * price", ENTRIES),
    Fault("network: one side of a zero is not asked", "network.residuals:_off", "np.maximum(np.maximum(up, down)", "np.maximum(up", ENTRIES),
    Fault("network: concave kinks of layers are allowed", "network.residuals:_kinks", "np.where(at, -w", "np.where(at, 0.0 * w", ENTRIES),
    Fault("network: convex for concave", "network.residuals:concave_kinks", "w < 0.0", "w > 0.0", ENTRIES),
    Fault("network: the layers are not asked", "network.residuals:misses", "Misses(np.abs(g), s)", "Misses(0.0 * np.abs(g), s)", GRADIENT),
    Fault("network: room that hides the layers", "network.residuals:misses", "Misses(np.abs(g), s)", "Misses(np.abs(g), 1e9 + s)", DAMAGE),
    Fault("network: room that hides S", "network.residuals:misses", "point.model.mu + size.S", "1e9 + size.S", DAMAGE),
    Fault("network: room that hides A", "network.residuals:misses", "held + size.A[:T]", "1e9 + size.A[:T]", DAMAGE),
    Fault("network: multipliers below 0", "network.multipliers:_with", "np.clip(pool.mean(theta[number]), 0.0,", "np.clip(theta[number], -9.0,", BEST),
    Fault("network: multipliers above w", "network.multipliers:_with", "np.maximum(weights[number][rows, units], 0.0)", "9.0 + np.maximum(weights[number][rows, units], 0.0)", BEST),
    Fault("network: bounds are cut afterwards", "network.multipliers:_within", "np.clip(_bounded(A, b, 1.0)", "np.clip(free", BEST),
    Fault("network: multipliers are not used", "network.multipliers:_with", "= share, kept", "= 0.0 * share, kept", PLANTED),
    Fault("network: multipliers of other kinks", "network.multipliers:_several", "free[at] for at in active.parts", "free[at][::-1] for at in active.parts", PLANTED),
    Fault("network: the largest eigenvalue decides", "network.second_order:second_order", "float(values[0])", "float(values[-1])", MINIMUM),
    Fault("network: theta may be w", "network:Local.rooms", "np.minimum(self.theta, self.weights - self.theta)", "self.theta", MINIMUM),
    Fault("network: theta may be 0", "network:Local.rooms", "np.minimum(self.theta, self.weights - self.theta)", "self.weights - self.theta", MINIMUM),
    Fault("network: a zero of S on the edge of its box", "network:Local.boxes", "point.model.mu - np.maximum", "point.model.mu - 0.0 * np.maximum", MINIMUM),
    Fault("network: an empty column on the edge of its box", "network:Local.boxes", "up, down = concave.A[0]", "up, down = 0.0 * concave.A[0]", MINIMUM),
    Fault("network: saddles are not told", "network.second_order:_judge", "if fall is not None", "if False", MINIMUM),
    Fault("network: kinks do not hold", "network:Local.__init__", "self.active.normals[:, self.free] / self.root", "0.0 * self.active.normals[:, self.free] / self.root", MINIMUM),
    Fault("network: zero passes", "network.certificate:_judged", " and known.live_features > 0", "", VERDICT),
    Fault("network: negative feedback is feasible", "network.certificate:evaluated", "0.0 if model.signed else", "0.0 if True else", VERDICT),
    Fault("network: every residual passes", "network.certificate:_judged", "known.relative <= tol", "known.relative <= 1e9 * tol", VERDICT),
    Fault("network: concave kinks of the reconstruction pass", "network.residuals:_kinks", "vertex(point).jumps", "0.0 * vertex(point).jumps", ENTRIES),
    Fault("network: the point given is judged, not the snapped one", "network.certificate:certify", "_judged(found.point", "_judged(point", SNAP),
    Fault("network: no distance is told", "network.snap:_told", "distance, distance / length", "0.0, distance / length", SNAP),
    Fault("network: the change of J is told the other way", "network.snap:_told", "new.objective - point.objective", "point.objective - new.objective", SNAP),
    Fault("network: far units are near", "network.snap:_near", "<= width * size", "<= 1e4 * width * size", SNAP),
    Fault("network: any candidate is better", "network.snap:snap", "(after := _merit(candidate)) < before", "(after := _merit(candidate)) or True", SNAP),
    Fault("network: zeros of S and A are not snapped", "network.snap:_zeroed", "width * np.abs(block)", "0.0 * np.abs(block)", SNAP),
    Fault("network: kinks at the origin", "network:KinkQP.minimum", "self._half.T @ self._pull - self._offsets", "self._half.T @ self._pull", QP),
    Fault("network: the first guess is the answer", "network.kink_qp:_Box.guessed", "same = count and np.array_equal(~(low | high), inside)", "same = count > 0", QP),
    Fault("network: kinks on the wrong side", "network.kink_qp:_Lines._least", "np.where(up, self.upper, self.lower)", "np.where(up, self.lower, self.upper)", QP),
    Fault("network: kinks that are crossed do not bend", "network.kink_qp:_Lines._search", "(self.upper[off] - self.lower[off]) * np.abs(slopes[off])", "0.0 * np.abs(slopes[off])", QP),
    Fault("network: held kinks are never let go", "network.kink_qp:_Lines._beyond", "np.where(held & (off > _ROOM), off, 0.0)", "0.0 * off", QP),
    Fault("network: the rise of kinks has no start", "network.kink_qp:KinkQP.rise", " - _support(self._lower, self._upper, self._offsets)", "", QP),
    Fault("network: the correction goes the other way", "network.kink_qp:KinkQP.correction", "-self._half[:, held] @ theta", "self._half[:, held] @ theta", QP),
    Fault("network: units move with their own layer alone", "network.units:unit_slopes", "if dz is not None", "if False", NORMALS),
    Fault("network: normals through units that are off, in a step", "network.units:unit_normals", " * masks[lower - 1][rows]", "", NORMALS),
    Fault("network: a step has the Hessian of a cell", "network.piecewise:Piecewise.H", "masks=self.masks", "masks=None", STEPS),
    Fault("network: kinks of units have no bounds", "network.piecewise:Piecewise._add", "np.minimum(-masks * w, -stiff)", "np.minimum(0.0 * w, -stiff)", STEPS),
    Fault("network: entries forget their price", "network.piecewise:Piecewise.__init__", "self.g + self.price * np.sign(self.x)", "self.g", STEPS),
    Fault("network: no second-order correction", "network.newton:_corrected", "range(_CORRECTIONS)", "range(0)", STEPS),
    Fault("network: a step is not taken whole", "network.newton:_moved", "length * move.direction", "0.9 * length * move.direction", STEPS),
    Fault("network: J may rise", "network.newton:_taken", "fall > 1e-3 * length * move.foretold", "True", STEPS),
    Fault("network: the scale forgets the reconstruction", "network.balance:balance", "problem.rows.times @ point.E**2", "0.0 * problem.rows.times @ point.E**2", SCALES),
    Fault("network: the scale forgets feedback", "network.balance:balance", "point.prices @ np.abs(point.A)", "0.0 * point.prices @ np.abs(point.A)", SCALES),
    Fault("network: lower units at another balance", "network.balance:balanced", "** 0.25", "** 0.5", SCALES),
    Fault("network: feedback comes too far", "network.pruning:escaped", "np.divide(more, bend", "np.divide(2.0 * more, bend", SCALES),
    Fault("network: no feedback comes", "network.pruning:escaped", "(more > _ABOVE", "(-more > _ABOVE", SCALES),
    Fault("network: spare parts have no price", "network.lbfgs:_Split.value", "+ float(point.prices @ given)", "", START),
    Fault("network: losses do not see both parts", "network.lbfgs:_Split.value", "if given.any()", "if False", START),
    Fault("network: negative parts have the slope of positive ones", "network.lbfgs:_Split.value", "whole[self.twice] - slope[self.twice]", "whole[self.twice] + slope[self.twice]", START),
)  # fmt: skip
