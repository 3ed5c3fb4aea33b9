r"""The convex subproblems of AMTL: the only `cp.Problem` objects of the alternation.

W-step, B fixed, one problem for the joint step and for a single task (SPEC section 3):

    min_W  sum_t a_t L_t(w_t) + ||W Q - O||_F^2

    joint      Q = sqrt(coupling) (I - B),  O = 0                          all tasks, T d variables
    one task   Q = k,  O = k v_t,  k = sqrt(coupling kappa_t),  kappa_t = 1 + sum_u B[t, u]^2,
               v_t = w_t - (W P)_t / kappa_t,  P = (I - B)(I - B)'         d variables, one shape for all

B-step, W fixed, whole or by column (W_-t is W without w_t; linear penalties only):

    min_B  coupling ||W - W B||_F^2 + R(B; c*l)     B >= 0 off the diagonal (the diagonal is no variable)
    min_b  coupling ||w_t - W_-t b||^2 + p'b        b >= 0

All are DPP: what changes between rounds or along a tuning grid is a `cp.Parameter`, so a problem is compiled
once. `WeightProblem` holds the quadratic form  sum_t ||F_t w_t - f_t||^2 + <G, W> + ||W Q - O||_F^2. For the
squared loss it is the W-step (F_t the triangular factor of sqrt(a_t / n_t) [X_t y_t]: nothing grows with
n_t); for another smooth loss it is a Newton step, F_t'F_t half the weighted Hessian, iterated with a line
search to the W-step's own minimum. `WeightDefinition` is the same step written with the loss's CVXPY atom
(exponential cones for the logistic loss), which tests hold against it.

Scaling: with unit = the mean loss at W = 0, problems are posed in W / sqrt(unit) and J / unit, so that solver
tolerances mean the same for every scale of y. The B-step is divided by mu where the penalty is proportional
to it, and its W replaced by a triangular factor when d > T. A diagonal fixed by an equality would leave
B >= 0 without interior point (Clarabel fails, OSQP cannot polish; measured), hence off-diagonal variables
only.
"""

from amtl_cvx.subproblems.halfstep import HalfStep, unit_of
from amtl_cvx.subproblems.transfer import (
    ColumnTransferStep,
    TransferStep,
    compile_transfer_step,
    exactly_feasible,
)
from amtl_cvx.subproblems.weights import (
    Coupled,
    TaskWeightStep,
    WeightDefinition,
    WeightProblem,
    WeightStep,
    joint_step,
    task_step,
)

__all__ = [
    "ColumnTransferStep",
    "Coupled",
    "HalfStep",
    "TaskWeightStep",
    "TransferStep",
    "WeightDefinition",
    "WeightProblem",
    "WeightStep",
    "compile_transfer_step",
    "exactly_feasible",
    "joint_step",
    "task_step",
    "unit_of",
]
