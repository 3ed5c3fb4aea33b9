r"""A second derivation of an answer, from elsewhere and by other means, and how many digits it shares.

The first one is what made the pack: the alternation with refinement, a curriculum, L-BFGS with kink Newton,
in doubles and with the NumPy formulas of J. The second one, by what is asked:

    joint, AMTL       every entry of W and every free one of B is moved by a part of itself, up to a tenth;
                      Newton's method on the free variables leads back in doubles, then to 40 digits with
                      residuals in ball arithmetic, whose formulas of the gradient are their own (`digits`)
    joint, others     of AMTL where J has no such system: refinement from a moved start; of features Newton's
                      method in balls from a moved start; of networks kink Newton from a moved start
    w-step, single    Newton's method from W = 0, to 70 digits with residuals in balls
    one task          the same from w = 0
    b-step            the active-set method over the rationals from the empty graph; of a penalty without
                      prices by rows, accelerated proximal steps from the empty graph
    curriculum        all of it again in balls, its choices included

The digits that both share are those of the largest entry of a block, for entry by entry, of what is unique.
They are counted against the proven decimals where there are some, else against the stored doubles, which have
15 to 17.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import AMTLError, NotCertifiable
from amtl_cvx.families import family_of
from amtl_cvx.reference.claims.numbers import shared, shared_objective
from amtl_cvx.reference.claims.point import point_of
from amtl_cvx.reference.claims.routes.again import MOVES, Again, moved, start_words


@dataclass(frozen=True, kw_only=True)
class Route:
    """A second derivation.

    Attributes
    ----------
    first, second : str
        What led to the answer, and what led there again.
    digits : int or None
        That both share; None where there was no second one, with `why`.
    objective : str or None
        J to the digits that both share.
    objective_digits : int
    """

    first: str
    second: str
    digits: int | None
    objective: str | None = None
    objective_digits: int = 0
    why: str = ""

    def claims(self) -> dict[str, Any]:
        """What pack.json says of it."""
        told = {"first": self.first, "second": self.second, "digits": self.digits}
        return {**told, "why": self.why} if self.digits is None else told


FIRST = {
    "joint": "alternation and refinement",
    "single-task": "Newton's method in NumPy",
    "w-step": "Newton's method in NumPy",
    "one-task": "Newton's method in NumPy",
    "b-step": "the active-set method in NumPy",
    "curriculum": "Algorithm 2 in doubles",
}


def second_route(
    problem: Any,
    ask: str,
    solution: Mapping[str, Array],
    given: Mapping[str, Array],
    *,
    task: int | None = None,
    digits: Mapping[str, Any] | None = None,
    unique: Mapping[str, bool | None] | None = None,
) -> Route:
    """The second derivation of an answer, held against it; the extra ``[verify]`` is needed for most.

    Parameters
    ----------
    problem, ask, solution, given, task, digits
        As of `claims.claims_of`.
    unique : mapping of block to bool or None, optional
        As claimed; the digits are those of the blocks that are unique, of W B where B is not, of all blocks
        where none is known to be.
    """
    family = family_of(problem.model).name
    first = FIRST[ask] if family == "amtl" else f"the methods of the family {family!r}"
    try:
        again = _derivation(family, ask)(problem, ask, solution, given, task)
    except (AMTLError, np.linalg.LinAlgError) as refusal:
        return Route(first=first, second="none", digits=None, why=str(refusal))
    mine, theirs = _compared({**given, **solution}, again.blocks, digits or {}, unique or {})
    value, count = shared_objective(_objective(problem, ask, solution, given, task, digits), again.objective)
    return Route(
        first=first,
        second=again.how,
        digits=shared(mine, theirs),
        objective=value,
        objective_digits=count,
    )


def _compared(
    stored: Mapping[str, Array],
    again: Mapping[str, Any],
    digits: Mapping[str, Any],
    unique: Mapping[str, bool | None],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is held against what: the blocks that are unique, and W B where B is not; else all of them."""
    found = [name for name in again if name in stored and name != "order"]
    names = [name for name in found if unique.get(name) is True]
    mine: dict[str, Any] = {name: digits.get(name, stored[name]) for name in names}
    theirs = {name: again[name] for name in names}
    if unique.get("W B") is True and unique.get("B") is not True and "B" in again:
        W = _doubles(again.get("W", stored["W"]))
        mine["W B"], theirs["W B"] = stored["W"] @ stored["B"], W @ _doubles(again["B"])
    if mine:
        return mine, theirs
    return {name: digits.get(name, stored[name]) for name in found}, {name: again[name] for name in found}


def _doubles(block: Any) -> Array:
    """A block of doubles or decimals as doubles."""
    return np.array([[float(value) for value in row] for row in block], dtype=np.float64)


def _objective(
    problem: Any,
    ask: str,
    solution: Mapping[str, Array],
    given: Mapping[str, Array],
    task: int | None,
    digits: Mapping[str, Any] | None,
) -> Any:
    """J of the answer: its proven decimal, else the double at the stored blocks."""
    if digits is not None:
        return str(digits["objective"])
    if family_of(problem.model).name != "amtl":
        return float(problem.at(**solution).objective)
    return float(point_of(problem, ask, solution, given, task=task).objective)


def _derivation(family: str, ask: str) -> Callable[..., Again]:
    """What derives an answer again."""
    if family in ("features", "go-mtl"):
        return _features
    if family == "network":
        return _network
    if ask == "joint":
        return _joint
    if ask == "b-step":
        return _edges
    return _curriculum if ask == "curriculum" else _weights


def _joint(problem: Any, ask: str, solution: Any, given: Any, task: int | None) -> Again:
    """Of W and B."""
    from amtl_cvx.digits.proof import check_rows

    point = problem.at(solution["W"], solution["B"])
    smooth = point.model.prox_omega is None and point.problem.atoms is not None
    if smooth:
        with contextlib.suppress(NotCertifiable):
            check_rows(point.tasks, point.model.loss)
            from amtl_cvx.reference.claims.routes.newton import joint_again

            return joint_again(point, MOVES, moved)
    return _refined(point)


def _refined(point: Any) -> Again:
    """By refinement from a moved start, of a J without a system in balls."""
    from amtl_cvx.refine import can_refine, refine

    if not can_refine(point.model, point.tasks.T):
        raise NotCertifiable(
            "refinement does not know this penalty, and nothing else derives the answer again"
        )
    best = None
    for part in (0.1, 1e-2, 1e-4):
        start = point.at(
            W=moved(point.W, part, "W"), B=point.model.transfer.project(moved(point.B, part, "B"))
        )
        found = refine(start, tol=1e-13, max_steps=40)
        count = shared({"W": point.W, "B": point.B}, {"W": found.W, "B": found.B})
        if best is None or count > best[0]:
            best = count, found, part
        if count >= 12:
            break
    assert best is not None
    _, found, part = best
    return Again(
        {"W": found.W, "B": found.B},
        found.objective,
        f"refinement from {start_words(part)}",
    )


def _weights(problem: Any, ask: str, solution: Any, given: Any, task: int | None) -> Again:
    """Of W, or of w of one task, from 0."""
    from amtl_cvx.reference.claims.routes.newton import (
        kinked_weights_again,
        task_again,
        weights_again,
    )

    point = point_of(problem, ask, solution, given, task=task)
    if point.model.prox_omega is None and point.model.loss.smooth:
        with contextlib.suppress(NotCertifiable):
            return weights_again(point, task)
    if task is not None:
        return task_again(point, task)
    return kinked_weights_again(point)


def _edges(problem: Any, ask: str, solution: Any, given: Any, task: int | None) -> Again:
    """Of B, from the empty graph."""
    from amtl_cvx.reference.claims.routes.edges import edges_again

    return edges_again(point_of(problem, ask, solution, given, task=task))


def _curriculum(problem: Any, ask: str, solution: Any, given: Any, task: int | None) -> Again:
    """Of all steps."""
    from amtl_cvx.digits import require_flint

    require_flint()
    from amtl_cvx.reference.claims.curriculum_balls import curriculum_digits

    found = curriculum_digits(problem, solution)
    return Again(found, str(found["objective"]), "all steps again in ball arithmetic, choices included")


def _features(problem: Any, ask: str, solution: Any, given: Any, task: int | None) -> Again:
    """Of L, S and A."""
    from amtl_cvx.reference.claims.routes.learned import features_again

    return features_again(problem.at(**solution), MOVES, moved)


def _network(problem: Any, ask: str, solution: Any, given: Any, task: int | None) -> Again:
    """Of the layers, S and A."""
    from amtl_cvx.reference.claims.routes.learned import network_again

    return network_again(problem.at(**solution), MOVES, moved)
