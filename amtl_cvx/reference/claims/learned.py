"""Answers of learned features: AMTFL with linear features, GO-MTL, and networks of ReLUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.linalg as sl

from amtl_cvx.arrays import Array
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.reference.claims.facts import Facts, finite
from amtl_cvx.reference.claims.response import Response, dense
from amtl_cvx.reference.claims.terms import FIRST_ORDER, ROUNDING
from amtl_cvx.reference.claims.tolerances import largest_share

RELU, DEEP = 1e-10, 1e-9
"""What networks of one layer and of several are held to."""
_ISOLATED = (
    "a strict local minimum: the only first-order point near it; the same with features in another order{},"
    " and there may be other ones elsewhere"
)


def learned_facts(problem: Any, solution: Mapping[str, Array], family: str, *, extras: bool) -> Facts:
    """Of all blocks; digits are proved with the extras."""
    point = problem.at(**solution)
    if family == "network":
        return _network(point)
    return _features(point, extras)


def learned_residual(problem: Any, blocks: Mapping[str, Array], family: str) -> tuple[Any, float, float]:
    """A point, its relative residual, and what that is held to."""
    point = problem.at(**blocks)
    if family == "network":
        from amtl_cvx.network.residuals import residuals as of_network

        return point, of_network(point).relative, _network_tolerance(point)
    from amtl_cvx.features.residuals import residuals as of_features

    return point, of_features(point).relative, max(FIRST_ORDER, ROUNDING * _shares(point))


def _features(point: Any, extras: bool) -> Facts:
    from amtl_cvx.features.certificate import certify
    from amtl_cvx.features.climbing import STEPS
    from amtl_cvx.features.residuals import long
    from amtl_cvx.ladder import climb_from

    shares = _shares(point)
    tol = max(FIRST_ORDER, ROUNDING * shares)
    steps = STEPS if extras else {"C3": STEPS["C3"]}
    certificate: Any = certify(point, tol=tol)
    climbed = climb_from(certificate, point, level="C4", limit=600.0, steps=steps)
    found: Any = climbed.certificate
    response, why = _tried(lambda: _features_response(point))
    size = long(point)
    weight = point.problem.task_weight * point.problem.loss_scales
    reach = size.slopes * (size.reach + point.tasks.target_lengths)
    turned = " or with signs turned"
    gaps = [each for each in (found.gap_L, found.gap_S, found.gap_A) if each is not None]
    return Facts(
        objective=point.objective,
        terms=float(sum(map(abs, point.terms)) + weight @ reach),
        certificate=found.to_dict(),
        passes=found.passes,
        level=found.level,
        tol=tol,
        gap=float(sum(gaps)),
        shares=shares,
        curved=_features_curved(point, response),
        response=response,
        no_response=why,
        unique=_unique(point, found),
        unique_why=_why_unique(found, turned),
        support={
            name: [[int(i), int(j)] for i, j in np.argwhere(point.blocks[name] != 0.0)]
            for name in ("S", "A")
            if name in point.blocks
        },
        min_positive_B=None,
        min_multiplier=finite(found.min_multiplier),
        digits=None if climbed.proven is None else climbed.proven.named(point.tasks),
        no_digits=_no_digits(found, extras),
        no_bound=found.reasons.get("C5", "no way is known to a lower bound of J"),
        figures=_figures(found),
    )


def _network(point: Any) -> Facts:
    from amtl_cvx.network.certificate import certify, strict_local
    from amtl_cvx.network.spread import PART

    tol = _network_tolerance(point)
    found = certify(point, tol=tol)
    if found.passes:
        found = strict_local(found, point)
    response, why = _tried(lambda: _network_response(point))
    rounding = _tried_local(point)
    terms = point.objective if rounding is None else float(rounding.rounded.objective) / PART
    return Facts(
        objective=point.objective,
        terms=terms,
        certificate=found.to_dict(),
        passes=found.passes,
        level=found.level,
        tol=tol,
        gap=0.0,
        shares=1.0,
        curved=1.0,
        response=response,
        no_response=why,
        unique=_unique(point, found),
        unique_why=_why_unique(found, ""),
        support={
            name: [[int(i), int(j)] for i, j in np.argwhere(point.blocks[name] != 0.0)] for name in ("S", "A")
        },
        min_multiplier=finite(found.min_multiplier),
        no_digits=found.reasons.get("C4", "no way is known to prove digits of a network"),
        no_bound=found.reasons.get("C5", "no way is known to a lower bound of J"),
        figures=_figures(found),
    )


def _network_tolerance(point: Any) -> float:
    return RELU if len(point.V) == 1 else DEEP


def _unique(point: Any, found: Any) -> dict[str, bool | None]:
    return dict.fromkeys(point.blocks, True if found.has("C3") else None)


def _why_unique(found: Any, turned: str) -> str:
    if found.has("C3"):
        return _ISOLATED.format(turned)
    return str(found.reasons.get("C3", "not known to be a strict local minimum"))


def _no_digits(found: Any, extras: bool) -> str:
    if not extras:
        return "the extra [verify] is not used"
    return str(found.reasons.get("C4", found.reasons.get("C3", "C2 is not reached")))


def _figures(found: Any) -> dict[str, float]:
    known = finite(found.reduced_hessian_min)
    return {} if known is None else {"reduced_hessian_min": known}


def _tried(find: Callable[[], Response]) -> tuple[Response | None, str]:
    try:
        return find(), ""
    except (NotCertifiable, np.linalg.LinAlgError) as refusal:
        return None, str(refusal)


def _shares(point: Any) -> float:
    """The largest ratio of an entry's terms to its size, not below 1."""
    from amtl_cvx.features.residuals import long, misses

    terms, found = long(point).gradients(), misses(point)
    parts = [1.0]
    for name, each in found.items():
        moves = np.ones_like(each.size, dtype=bool) if name == "L" else point.blocks[name] != 0.0
        parts.append(largest_share(terms[name][moves], each.size[moves]))
    return max(parts)


def _features_terms(point: Any) -> Array:
    """What the gradient in each entry is summed from, (n,) in the order of `curvature.Entries`."""
    from amtl_cvx.features.curvature import Entries
    from amtl_cvx.features.residuals import long

    size = long(point)
    found, prices = size.gradients(), size.prices()[:, None] + point.prices[:, None]
    return Entries(found["L"], found["S"] + point.model.mu, found["A"] + prices).stacked


def _features_response(point: Any) -> Response:
    from amtl_cvx.features.curvature import Entries, live_entries, reduced_hessian

    places = live_entries(point)
    H = reduced_hessian(point, places)
    values = np.abs(Entries(point.L, point.S, point.A).stacked)[places]
    ends = np.cumsum([0, point.L.size, point.S.size, point.A.size])
    blocks, sizes = {}, {}
    for name, low, high in zip("LSA", ends[:-1], ends[1:], strict=True):
        if name not in point.blocks:
            continue
        first, last = np.searchsorted(places, [low, high])
        blocks[name] = slice(int(first), int(last))
        sizes[name] = float(np.abs(point.blocks[name]).max(initial=0.0))
    found = dense(H, blocks=blocks, sizes=sizes, terms=_features_terms(point)[places], values=values)
    if found is None:
        raise NotCertifiable("the Hessian on the active set is not positive definite beyond rounding")
    return found


def _features_curved(point: Any, response: Response | None) -> float:
    from amtl_cvx.features.curvature import Entries, live_entries
    from amtl_cvx.features.residuals import misses

    if response is None:
        return 0.0
    found = misses(point)
    A = found["A"].size if "A" in found else np.full_like(point.A, np.inf)
    sizes = Entries(found["L"].size, found["S"].size, A).stacked[live_entries(point)]
    return largest_share(response.curve(response.values), sizes)


def _tried_local(point: Any) -> Any:
    from amtl_cvx.network.local import Local

    try:
        return Local(point)
    except (NotCertifiable, np.linalg.LinAlgError):
        return None


def _network_response(point: Any) -> Response:
    """C along the kinks; terms are the sizes that residuals are divided by."""
    from amtl_cvx.network.local import Local
    from amtl_cvx.network.residuals import misses

    if point.problem.size > 4000:
        raise NotCertifiable("the network has too many entries for a Hessian")
    local = Local(point)
    found = misses(point)
    *layers, bias = (each.size for each in found["weights"])
    size = [each.ravel() for each in (*layers, found["S"][0].size, found["A"][0].size, bias)]
    terms = np.concatenate(size)[local.free]
    root, Q = local.root, local.tangent.Q
    if not len(local.S):
        core = np.zeros((0, 0))
    else:
        try:
            core = sl.cho_solve(sl.cho_factor(local.S), np.eye(len(local.S)))
        except np.linalg.LinAlgError as error:
            raise NotCertifiable("the Hessian along the kinks is not positive definite") from error
    C = (Q @ core @ Q.T) / np.outer(root, root)
    x = np.abs(point.vector)[local.free]
    blocks, sizes, layout = {}, {}, point.problem.layout
    places = {f"W{k}": at for k, at in enumerate(layout.V, start=1)} | {"S": layout.S, "A": layout.A}
    for name, at in places.items():
        first, last = np.searchsorted(local.free, [at.start, at.stop])
        blocks[name] = slice(int(first), int(last))
        sizes[name] = float(np.abs(point.vector[at]).max(initial=0.0))
    H = local.H
    found_response = dense(H, blocks=blocks, sizes=sizes, terms=terms, values=x, inverse=C)
    assert found_response is not None
    return found_response
