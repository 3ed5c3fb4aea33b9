r"""The certificate: how good a point (W, B) is, judged from the data alone.

Nothing here comes from a solver: no status, dual, residual or gap. NumPy recomputes, on the original rows,

first-order residuals (SPEC section 4), with P = (I - B)(I - B)', h_s = 2 coupling ||w_s||^2, c*l the weighted
losses and p the prices of edges (p_s = mu c_s l_s for AMTL)

    stationarity_W = max |G_W|                    G_W[:, t] = a_t grad L_t(w_t) + 2 coupling (W P)_t
    stationarity_B = max |min(h_s B, G_B)|        G_B[s, t] = p_s - 2 coupling w_s'(w_t - W b_t)
    relative_W, relative_B                        the same over the size of their terms, by column and row

duality gaps (CERTIFICATES sections 1 and 2)

    gap_W  squared loss: (1/2) g'H^-1 g, the exact sub-optimality of W; otherwise the Fenchel bound
           ||G_W M^-T||_F^2 / (4 coupling), M = I - B
    gain_W (1/2) g'H^-1 g for every loss: what W alone can gain, exactly or to second order
    gap_B  per column, r = w_t - W b, q = p - 2 s coupling W'r >= 0 for a feasible scaling s >= 0:
           coupling (1 - s)^2 ||r||^2 + b'q,   a sum of non-negative terms (no cancellation)

so J(W, B) - gap_W <= min over W of J(., B) and J(W, B) - gap_B <= min over B of J(W, .). J is biconvex: a
point that passes is a first-order point and a partial optimum, never "the optimum".

Levels: C0 evaluated; C1 eps-partial-optimum (both gaps small); C2 first-order-verified (`passes`).

Two deliberate departures from SPEC section 4. For w_s = 0 the residual of row s uses max h instead of
h_s = 0: with h_s = 0 the minimum is 0 for every B[s, t] > 0 although lowering it saves p_s B[s, t]. And
gain_W is judged for every loss: where labels are separable and I - B is singular, gradient and J vanish
together while a longer W still lowers J by a large part of itself; the relative residual, held against the
gradient at 0, cannot see that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from amtl_cvx.certificate.gaps import free_edges, transfer_gap, weight_gain, weight_gap
from amtl_cvx.certificate.residuals import Residuals, infeasibility, prox_steps, residuals
from amtl_cvx.certificate.rows import RowSums, confirm
from amtl_cvx.certificate.verdict import LEVELS, Certificate, check_tolerance, conclude
from amtl_cvx.errors import ModelError
from amtl_cvx.model import Model
from amtl_cvx.tasks import Array, TaskSet, check_weights

__all__ = [
    "LEVELS",
    "Certificate",
    "Residuals",
    "RowSums",
    "certify",
    "check_tolerance",
    "conclude",
    "confirm",
    "free_edges",
    "infeasibility",
    "prox_steps",
    "residuals",
    "transfer_gap",
    "weight_gain",
    "weight_gap",
]


def certify(
    tasks: TaskSet, model: Model, W: Array, B: Array, *, tol: float = 1e-8, kind: str = "joint"
) -> Certificate:
    """Judge a point from any source.

    Parameters
    ----------
    tasks, model
        The problem.
    W, B : (d, T), (T, T) array_like
        The point. B is judged as it is: a negative entry or a diagonal makes it infeasible.
    tol : float
        Limit for the relative residual, and for the gaps relative to J.
    kind : {"joint", "single-task"}
        The problem the point claims to solve (the curriculum is judged by `certify_curriculum`).

    Raises
    ------
    DataError
        For a wrong shape, a NaN or an infinity.
    """
    if kind not in ("joint", "single-task"):
        raise ModelError(f"kind must be 'joint' or 'single-task', got {kind!r}")
    check_tolerance(tol)
    model.check(tasks)
    W, B = check_weights(W, B, d=tasks.d, T=tasks.T)
    feasibility = infeasibility(model, B)
    objective = model.objective(tasks, W, B)
    found = residuals(tasks, model, W, B)
    reasons: dict[str, str] = {}
    gap_W, exact, reason_W = weight_gap(tasks, model, W, B)
    gap_B, reason_B = transfer_gap(tasks, model, W, B) if feasibility <= 0.0 else (None, "B is not feasible")
    if kind == "single-task":
        gap_B, reason_B = None, "B is fixed at 0 in this problem"
        if np.any(B):
            feasibility = max(feasibility, float(np.abs(B).max()))
    gain_W = gap_W if exact else weight_gain(tasks, model, W, B)
    if gap_W is None:
        reasons["gap_W"] = reason_W
    if gain_W is None:
        reasons["gain_W"] = "too many unknowns for a dense factorisation; the residual alone judges W"
    if gap_B is None:
        reasons["gap_B"] = reason_B
    relative = found.relative if kind == "joint" else found.relative_W
    certificate = conclude(
        kind=kind,
        objective=objective,
        found=found,
        relative=relative,
        joint_relative=found.relative,
        feasibility=feasibility,
        gaps=(gap_W, gap_B),
        gap_W_exact=exact,
        gain_W=gain_W,
        B=B,
        tol=tol,
        reasons=reasons,
    )
    if not certificate.passes and (free := free_edges(tasks, model, W, B)):
        return replace(certificate, reasons={**reasons, "minimum": free})
    return certificate
