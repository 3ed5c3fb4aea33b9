"""What a pack minimises, in one line for people; `problem/problem.json` holds it for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LAYOUT = "row s, column t: B[s, t] is how much of w_s enters the reconstruction of w_t, task s helps task t"
FORMULAS: Mapping[str, str] = {
    "features": "J(L, S, A) = sum_t (1 + alpha ||a_t||_1) c_t L_t(X L s_t) + mu ||S||_1"
    " + gamma ||Z - Z S A||_F^2 + decay ||L||_F^2, Z = X L",
    "go-mtl": "J(L, S) = sum_t c_t L_t(X L s_t) + mu ||S||_1 + decay ||L||_F^2",
    "network": "J = sum_t (1 + alpha ||a_t||_1) c_t L_t(Z s_t) + mu ||S||_1 + gamma ||Z - relu(Z S A)||_F^2"
    " + decay (sum of squares of lower weights and biases), Z = relu(... relu(X W1) ...)",
}
"""What is minimised, by family; of AMTL `formula_of` says it term by term."""


def formula_of(problem: Any) -> str:
    """What is minimised, in a line."""
    from amtl_cvx.families import family_of

    model = problem.model
    if (told := FORMULAS.get(family_of(model).name)) is not None:
        return told
    per = "(1/n_t) sum_i" if model.loss.reduction == "mean" else "sum_i"
    omega = "" if model.omega is None else f" + {model.omega.label}(W)"
    linear = model.transfer.name == "loss-weighted-l1"
    terms = (
        "sum_t (1 + mu sum_u B[t, u]) c_t L_t(w_t)"
        if linear
        else f"sum_t c_t L_t(w_t) + {model.transfer.name}(B; c L(W))"
    )
    return (
        f"J(W, B) = {terms} + coupling ||W - W B||_F^2{omega}, L_t = {per} {model.loss.name}(y_ti, x_ti'w_t)"
    )


def told_of(problem: Any) -> dict[str, Any]:
    """What pack.json says of a problem, entry by entry."""
    from amtl_cvx.families import family_of

    tasks, model = problem.tasks, problem.model
    words = model.to_dict()
    return {
        "family": family_of(model).name,
        "loss": model.loss.name,
        "reduction": model.loss.reduction,
        "transfer": words.get("transfer"),
        "omega": words.get("omega"),
        "T": tasks.T,
        "d": tasks.d,
        "rows": tasks.rows.tolist(),
        "formula": formula_of(problem),
        "layout": LAYOUT,
    }
