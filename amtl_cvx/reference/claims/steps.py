"""A single step of AMTL: the best W for a B, the best B for a W, the best predictor of one task.

Each is convex, so that what a move may gain at most bounds the step from below: the level is C5 with the
method "convex-duality" where that is little, as for predictors by themselves (`certificate.alone`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from amtl_cvx.certificate import infeasibility, residuals, resolution, task_gain
from amtl_cvx.certificate.alone import METHOD
from amtl_cvx.certificate.b_step import transfer_evidence
from amtl_cvx.certificate.levels import EXCESS
from amtl_cvx.certificate.residuals import misses
from amtl_cvx.certificate.w_step import weight_evidence
from amtl_cvx.errors import ModelError, NotCertifiable
from amtl_cvx.problem import Point
from amtl_cvx.reference.claims.condition import task_response, transfer_response, weight_response
from amtl_cvx.reference.claims.facts import Facts, finite
from amtl_cvx.reference.claims.joint import curved_share
from amtl_cvx.reference.claims.response import Response
from amtl_cvx.reference.claims.terms import EPS, FIRST_ORDER, ROUNDING, Terms
from amtl_cvx.reference.claims.tolerances import largest_share
from amtl_cvx.reference.claims.unique import unique_task, unique_transfer, unique_weights
from amtl_cvx.subproblems.coupled import task_step


def weight_facts(point: Point) -> Facts:
    """Of the best W for the B of the point."""
    terms, about = Terms(point), misses(point)
    shares = max(1.0, largest_share(terms.W, about.W.size))
    found = residuals(point)
    evidence = weight_evidence(point.reduced)
    response, why = _response(weight_response, point)
    gap = min(evidence.judged, point.objective)
    return _facts(
        point,
        ask="w-step",
        shares=shares,
        relative=found.relative_W,
        stationarity=found.stationarity_W,
        gap=gap,
        gap_by=evidence.by,
        infeasible=infeasibility(point.model, point.B),
        response=response,
        why=why,
        curved=curved_share(point, response, blocks=("W",)),
        unique=unique_weights(point, response),
        support=[],
        figures={"condition_W": finite(evidence.condition), "sigma_min": point.sigma_min},
    )


def transfer_facts(point: Point, *, extras: bool) -> Facts:
    """Of the best B for the W of the point."""
    terms, about, support = Terms(point), misses(point), point.B != 0.0
    parts = terms.coupled if terms.B is None else terms.B
    shares = max(1.0, largest_share(parts[support], about.B.size[support]))
    found = residuals(point)
    limit = max(FIRST_ORDER, ROUNDING * shares) * abs(point.objective)
    evidence = transfer_evidence(point, enough=limit)
    response, why = _response(transfer_response, point)
    gap = math.inf if evidence.gap is None else evidence.gap
    least = _least_multiplier(point)
    return _facts(
        point,
        ask="b-step",
        shares=shares,
        relative=found.relative_B,
        stationarity=found.stationarity_B,
        gap=gap,
        gap_by="gap" if evidence.gap is not None else "none",
        infeasible=infeasibility(point.model, point.B),
        response=response,
        why=why,
        curved=curved_share(point, response, blocks=("B",)),
        unique=unique_transfer(point, evidence.error, response, extras=extras),
        support=[[int(s), int(t)] for s, t in np.argwhere(support)],
        min_positive_B=finite(float(np.abs(point.B[support]).min(initial=math.inf))),
        min_multiplier=least,
        figures={"condition_B": finite(evidence.condition)},
    )


def task_facts(point: Point, t: int) -> Facts:
    """Of the best predictor of task t, the others and B as in the point.

    Raises
    ------
    ModelError
        For a loss or a penalty on W with kinks, of which one task alone is not judged.
    """
    model = point.model
    if not model.loss.smooth or model.prox_omega is not None:
        raise ModelError(
            "the step of one task needs a smooth loss and no penalty on W with kinks: ask for the w-step"
        )
    terms, step, w = Terms(point), task_step(point, t), point.W[:, t : t + 1]
    size = misses(point).W.size[:, t]
    gain, by = _task_gain(point, t)
    response, why = _response(lambda at: task_response(at, t), point)
    gradient = step.pull(w) + step.coupling(w)
    curved = 0.0 if response is None else largest_share(response.curve(response.values), size)
    return _facts(
        point,
        ask="one-task",
        shares=max(1.0, largest_share(terms.W[:, t], size)),
        relative=step.relative(w),
        stationarity=float(np.abs(gradient).max()),
        gap=gain,
        gap_by=by,
        infeasible=infeasibility(model, point.B),
        response=response,
        why=why,
        curved=curved,
        unique=unique_task(),
        support=[],
        figures={},
    )


def _task_gain(point: Point, t: int) -> tuple[float, str]:
    """What a move of w_t can gain, and by which bound."""
    W, K = point.W, point.K
    kappa = float((K[t] ** 2).sum())
    pulled = (np.abs(W) @ np.abs(K)) @ np.abs(K[t]) / kappa
    return task_gain(
        point.model.loss,
        point.tasks.tasks[t],
        W[:, t],
        float(point.loss_weight[t]),
        coupling=point.square_weight * kappa,
        target=W[:, t] - (W @ K) @ K[t] / kappa,
        room=(len(K) + 4) * EPS * (np.abs(W[:, t]) + pulled),
        turned=False,
    )


def _least_multiplier(point: Point) -> float | None:
    """The smallest multiplier of an entry at its bound, of a penalty with prices."""
    atoms = point.problem.atoms
    if atoms is None:
        return None
    fixed = ~(point.coefficients > atoms.lo)
    return finite(float(point.gradient_x[fixed].min(initial=math.inf)))


def _response(find: Callable[[Point], Response], point: Point) -> tuple[Response | None, str]:
    try:
        return find(point), ""
    except NotCertifiable as refusal:
        return None, str(refusal)


def _facts(
    point: Point,
    *,
    ask: str,
    shares: float,
    relative: float,
    stationarity: float,
    gap: float,
    gap_by: str,
    infeasible: float,
    response: Response | None,
    why: str,
    curved: float,
    unique: tuple[Mapping[str, bool | None], str],
    support: Any,
    figures: Mapping[str, float | None],
    min_positive_B: float | None = None,
    min_multiplier: float | None = None,
) -> Facts:
    """The facts of a step with its verdict: feasible, residual and gap within their limits."""
    tol, J, terms = max(FIRST_ORDER, ROUNDING * shares), point.objective, Terms(point).objective
    limit = max(tol * abs(J), resolution(point.problem), ROUNDING * terms)
    passes = infeasible <= 0.0 and relative <= tol and gap <= limit
    room = 16.0 * EPS * terms
    close = gap + 2.0 * room <= max(EXCESS * abs(J), limit) or not J > 0.0
    bound = None
    if passes and math.isfinite(gap):
        lower, upper = max(math.nextafter(J - gap - room, -math.inf), 0.0), J + room
        width = (upper - lower) / upper if upper > 0.0 else 0.0
        bound = {"lower": lower, "upper": upper, "width": width, "method": METHOD}
    level = None if infeasible > 0.0 else "C5" if passes and close else "C2" if passes else "C0"
    certificate = {
        "kind": ask,
        "objective": J,
        "tol": tol,
        "passes": passes,
        "level": level,
        "feasibility": infeasible,
        "relative": relative,
        "stationarity": stationarity,
        "gap": finite(gap),
        "gap_by": gap_by,
        "limit": limit,
    }
    return Facts(
        objective=J,
        terms=terms,
        certificate=certificate,
        passes=passes,
        level=level,
        tol=tol,
        gap=gap if math.isfinite(gap) else 0.0,
        shares=shares,
        curved=curved,
        response=response,
        no_response=why,
        unique=unique[0],
        unique_why=unique[1],
        support=support,
        min_positive_B=min_positive_B,
        min_multiplier=min_multiplier,
        bound=bound,
        no_bound="" if bound else "the gap of the step is not known, or is too large",
        figures={name: value for name, value in figures.items() if value is not None},
    )
