"""Faults planted in J, the derivatives and the judge of shared features, as in `faults`; all of them fast."""

from __future__ import annotations

from checks import feature_certificate as c
from faults import Fault

GRADIENT, HESSIAN = c.feature_gradients_are_differences, c.feature_hessian_is_differences
GAINS, NOTHING = c.feature_gaps_of_L_are_gains, c.feature_gaps_are_nothing_at_solutions
DUAL = c.feature_gaps_are_differences_of_primal_and_dual
ENTRY = c.feature_residuals_find_the_entry
VERDICT, MINIMUM = c.feature_verdicts_are_those_of_known_points, c.feature_minima_are_told_from_saddles

FEATURE_FAULTS = (
    Fault("S for A in M", "features:FeaturePoint.M", "self.S @ self.A", "self.S @ self.S.T", GRADIENT),
    Fault("incoming for outgoing feedback", "features.prices:PointPrices.loss_weight", "axis=1", "axis=0", GRADIENT),
    Fault("missing 2 in G_A", "features:FeaturePoint.gradient_A", "-2.0", "-1.0", GRADIENT),
    Fault("missing 2 in the reconstruction's G_L", "features:FeaturePoint.gradient_L", "2.0 * self.problem.gamma", "self.problem.gamma", GRADIENT),
    Fault("missing 2 in the decay's G_L", "features:FeaturePoint.gradient_L", "2.0 * self.model.decay", "self.model.decay", GRADIENT),
    Fault("cross term of K M' dropped", "features:FeaturePoint.gradient_L", "self.K @ self.M.T", "self.K", GRADIENT),
    Fault("reconstruction's sign in G_S", "features:FeaturePoint.gradient_S", "- pull", "+ pull", GRADIENT),
    Fault("A transposed in G_S", "features:FeaturePoint.gradient_S", "self.A.T", "self.A", GRADIENT),
    Fault("features: gamma per row for total", "features:FeatureProblem.gamma", "model.gamma / self.reconstruction.rows", "model.gamma", GRADIENT),
    Fault("stale losses", "features:FeaturePoint.at", " and not set(of) & set(some)", "", GRADIENT),
    Fault("features: c_t dropped from the losses", "features:FeaturePoint.weighted_losses", "self.problem.task_weight * ", "", GRADIENT),
    Fault("price floor dropped", "features:FeaturePoint.prices", " + self.problem.floor", "", GRADIENT),
    Fault("J without alpha", "features:FeaturePoint.prices", "self.model.alpha * ", "", GRADIENT),
    Fault("cross term of L and S dropped", "features:_of_L", "(point.weighted_gradient - g", "(0.0 - g", HESSIAN),
    Fault("price does not move with L", "features:_rates", "point.model.alpha * ", "0.0 * ", HESSIAN),
    Fault("reconstruction's curvature in S", "features:_of_S", "2.0 * point.problem.gamma", "point.problem.gamma", HESSIAN),
    Fault("sign of S in its box", "features:_off", "slope + price", "slope - price", ENTRY),
    Fault("zeros without a box", "features:_off", "np.maximum(pull - price, 0.0)", "0.0 * pull", ENTRY),
    Fault("A's box of one side", "features:_off", "np.abs(slope) if signed else -slope", "-slope", ENTRY),
    Fault("A's box of two sides where A >= 0", "features:_off", "np.abs(slope) if signed else -slope", "np.abs(slope)", ENTRY),
    Fault("L is not asked", "features:misses", "np.abs(point.gradient_L)", "0.0 * np.abs(point.gradient_L)", ENTRY),
    Fault("room that hides what is wrong", "features:misses", "held + ROOM", "held + 1e9", ENTRY),
    Fault("half of the gain of L", "features:_by_curvature", "nu * nu / (2.0 *", "nu * nu / (4.0 *", GAINS),
    Fault("features of L apart", "features:hessian_L", "point.loss_weight * S, S,", "point.loss_weight * S, np.eye(*S.shape),", GAINS),
    Fault("half of the bound of L", "features:_by_duality", "0.25 *", "0.125 *", GAINS),
    Fault("S scaled by its own excess alone", "features:gap_S", "mu * np.abs(point.S) + s", "s * mu * np.abs(point.S) + s", DUAL),
    Fault("S is not scaled", "features:gap_S", "s = 1.0 / max(1.0,", "s = 1.0 / min(1.0,", DUAL),
    Fault("conjugate of the loss dropped", "features:_fenchel", "value + conjugate - product", "value - product", NOTHING),
    Fault("rows count once in gap_S", "features:_fenchel", "size.rate @ parts", "parts.sum()", DUAL),
    Fault("A's dual point held from one side", "features:gap_A", "np.abs(pull) if point.model.signed else pull", "pull", DUAL),
    Fault("half of the gap of A", "features:gap_A", "missed = (np.abs(1.0 - s)", "missed = 0.0 * (np.abs(1.0 - s)", DUAL),
    Fault("zero passes", "features:certify", " and known.live_features > 0", "", VERDICT),
    Fault("negative feedback is feasible", "features:evaluated", "0.0 if model.signed else", "0.0 if True else", VERDICT),
    Fault("saddles are not told", "features:_judge", "if fall is not None", "if False", MINIMUM),
    Fault("the largest eigenvalue decides", "features:second_order", "float(values[0])", "float(values[-1])", MINIMUM),
    Fault("a zero on the edge of its box", "features:Local.margins", "model.mu - np.abs(point.gradient_S)", "model.mu - 0.0 * np.abs(point.gradient_S)", MINIMUM),
    Fault("S is free where it is 0", "features:Local.__init__", "point.S != 0.0", "point.S != np.inf", MINIMUM),
)  # fmt: skip
