r"""The convex subproblems of AMTL: the only `cp.Problem` objects of the alternation.

W-step, B fixed, one problem for the joint step and for a single task (theory.md section 3):

    min_W  sum_t a_t L_t(w_t) + ||W Q - O||_F^2

    joint      Q = sqrt(coupling) K,  K = I - B,  O = 0                    all tasks, T d variables
    one task   Q = k,  O = k v_t,  k = sqrt(coupling kappa_t),  kappa_t = 1 + sum_u B[t, u]^2,
               v_t = w_t - (W P)_t / kappa_t,  P = K K'                    d variables, one shape for all

A quadratic penalty on W widens K (`problem.squares`) and changes nothing else; kappa_t = P_tt then. With one
that has kinks the joint step is `penalised`.

B-step, W fixed, whole or by column (W_-t is W without w_t; linear penalties only):

    min_B  coupling ||W - W B||_F^2 + R(B; c*l)     B >= 0 off the diagonal (the diagonal is no variable)
    min_b  coupling ||w_t - W_-t b||^2 + p'b        b >= 0

All are DPP: what changes between rounds or along a tuning grid is a `cp.Parameter`, and `Problems` keeps
what is compiled, so that fits share it. `WeightProblem` holds the second-order model of the losses at a
point, plus the coupling. For the squared loss that is the W-step; for another smooth loss it is a Newton
step, iterated with a line search to the W-step's own minimum. Nothing grows with n_t. `WeightDefinition` is
the same step written with the loss's CVXPY atom (exponential cones for the logistic loss), which tests hold
against it; where the loss has kinks it is the step itself, made exact by `kinks`. A linear penalty has
`ColumnProblem` for all its columns or for one; `TransferProblem` is the B-step of any other.

Scaling: quadratic forms are posed on W'W, H and so on with a unit diagonal, where solver tolerances mean the
same for every scale of X and y; the B-step of other penalties in J / unit, unit the order of magnitude of the
mean loss at W = 0, and divided by mu where the penalty is proportional to it. A diagonal fixed by an equality
would leave B >= 0 without interior point (Clarabel fails, OSQP cannot polish; measured), hence off-diagonal
variables only.
"""

from amtl_cvx.subproblems.coupled import Coupled, joint_step, one_task, task_step
from amtl_cvx.subproblems.halfstep import HalfStep, unit_of
from amtl_cvx.subproblems.penalised import PenalisedWeightStep, compile_weight_step
from amtl_cvx.subproblems.polish import exactly_feasible
from amtl_cvx.subproblems.problems import Problems, kept
from amtl_cvx.subproblems.transfer import (
    ColumnProblem,
    LinearTransferStep,
    TransferStep,
    compile_transfer_step,
    solve_columns,
)
from amtl_cvx.subproblems.weights import TaskWeightStep, WeightDefinition, WeightProblem, WeightStep

__all__ = [
    "ColumnProblem",
    "Coupled",
    "HalfStep",
    "LinearTransferStep",
    "PenalisedWeightStep",
    "Problems",
    "TaskWeightStep",
    "TransferStep",
    "WeightDefinition",
    "WeightProblem",
    "WeightStep",
    "compile_transfer_step",
    "compile_weight_step",
    "exactly_feasible",
    "joint_step",
    "kept",
    "one_task",
    "solve_columns",
    "task_step",
    "unit_of",
]
