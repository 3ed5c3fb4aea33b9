"""The claims of one answer, as pack.json holds them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.families import family_of
from amtl_cvx.reference.claims.facts import Facts
from amtl_cvx.reference.claims.finding import facts_of
from amtl_cvx.reference.claims.minima import minima_claims, minima_hold
from amtl_cvx.reference.claims.numbers import MOST, exact_decimal, proven_digits, significant
from amtl_cvx.reference.claims.proved_again import proved_again
from amtl_cvx.reference.claims.routes import Route, second_route
from amtl_cvx.reference.claims.tolerances import tolerances

SHARED = 11
"""Digits that two derivations of a unique answer share at least."""


def claims_of(
    problem: Any,
    ask: str,
    solution: Mapping[str, Array],
    *,
    given: Mapping[str, Array] | None = None,
    minima: Sequence[Mapping[str, Array]] = (),
    digits: Mapping[str, Any] | None = None,
    proof: Mapping[str, Any] | None = None,
    task: int | None = None,
    extras: bool = True,
) -> dict[str, Any]:
    """What is claimed of an answer, every figure computed from the data and these arrays.

    Parameters
    ----------
    problem
        Of any family: tasks with their rows, and a model.
    ask : str
        What the answer answers, one of `schema.ASKS`.
    solution, given : mapping of name to array
        The blocks of the answer, and those that a single step is given.
    minima : sequence of mappings
        Other first-order points.
    digits : mapping, optional
        What digits.json holds, as `digits_of` gives it; proved again next to the stored blocks.
    proof : mapping, optional
        What proof.json holds; goes to the checker.
    task : int, optional
        Of "one-task".
    extras : bool
        Whether the optional packages are used; without them digits and routes are not claimed.

    Returns
    -------
    dict
        JSON-safe; see the package's essay.

    Raises
    ------
    DataError, ModelError
        For blocks that do not fit the problem, a proof that does not hold, an ask that the family has not.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
    >>> from amtl_cvx.reference.claims import claims_of
    >>> tasks = TaskSet.from_arrays([np.eye(2), np.eye(2)], [[1.0, 0.0], [0.0, 1.0]])
    >>> problem = Problem(tasks, Model(transfer=LossWeightedL1(mu=1.0), coupling=0.5))
    >>> claims = claims_of(problem, "joint", {"W": np.eye(2) / 2, "B": np.zeros((2, 2))}, extras=False)
    >>> claims["level"], claims["unique"]["W"], claims["objective"]["hex"]
    ('C3', True, '0x1.0000000000000p-1')
    """
    given = given or {}
    facts = facts_of(problem, ask, solution, given, task=task, extras=extras, proof=proof)
    route = None
    if extras:
        route = second_route(problem, ask, solution, given, task=task, digits=digits, unique=facts.unique)
    listed = minima_claims(problem, ask, solution, minima)
    known = digits if digits is not None else None
    found: dict[str, Any] = _plain(
        {
            "objective": _objective(facts, known, route),
            "certificate": dict(facts.certificate),
            "level": facts.level,
            "unique": dict(facts.unique),
            "unique_why": facts.unique_why,
            "support": facts.support,
            "min_positive_B": facts.min_positive_B,
            "min_multiplier": facts.min_multiplier,
            "condition": _condition(facts),
            "tolerances": tolerances(
                objective=facts.objective,
                terms=facts.terms,
                shares=facts.shares,
                gap=facts.gap,
                response=facts.response,
                curved=facts.curved,
            ),
            "digits": None if known is None else _digits(known),
            "digits_why": None if known is not None else _why_not(facts),
            "bound": None if facts.bound is None else dict(facts.bound),
            "bound_why": None if facts.bound is not None else facts.no_bound,
            "routes": None if route is None else route.claims(),
            "minima": listed,
            "checks": {
                "first-order": facts.passes,
                "labels": _labels(problem),
                "data": dyadic(problem),
                **({} if route is None else {"routes": _agree(facts, route)}),
                **(
                    {}
                    if known is None or not extras
                    else {"digits": proved_again(solution, known, facts.digits)}
                ),
                **({} if facts.bound is None else {"bound": _bounded(facts)}),
                **({} if not minima else {"minima": minima_hold(problem, solution, minima, listed)}),
            },
        }
    )
    return found


def _plain(value: Any) -> Any:
    """Nested values that JSON has: a number that is not finite is null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, bool) or value is None or isinstance(value, str | int):
        return value
    return float(value) if math.isfinite(value) else None


def _objective(facts: Facts, digits: Mapping[str, Any] | None, route: Route | None) -> dict[str, Any]:
    """J as the double at the stored blocks, and to as many digits as are proven or shared."""
    found: dict[str, Any] = {"hex": float(facts.objective).hex(), "terms": facts.terms}
    if digits is not None:
        decimal = str(digits["objective"])
        return {**found, "decimal": decimal, "digits": significant(decimal), "proven": True}
    if route is not None and route.objective is not None:
        return {**found, "decimal": route.objective, "digits": route.objective_digits, "proven": False}
    return {**found, "decimal": exact_decimal(facts.objective), "digits": 0, "proven": False}


def _condition(facts: Facts) -> dict[str, Any]:
    figures = {name: value for name, value in facts.figures.items() if math.isfinite(value)}
    if facts.response is None:
        return {"kappa": None, "why": facts.no_response, **figures}
    return {
        "kappa": facts.response.kappa(),
        **{f"kappa_{name}": value for name, value in facts.response.kappas().items()},
        "how": facts.response.how,
        **{name: value for name, value in facts.response.figures.items() if math.isfinite(value)},
        **figures,
    }


def _digits(digits: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "proven": proven_digits(digits),
        "radius": float(digits["radius"]),
        "strict_local_min": bool(digits["strict_local_min"]),
    }


def _why_not(facts: Facts) -> str:
    if facts.digits is not None:
        return "digits can be proven, and are not kept"
    return facts.no_digits or "no way is known to prove digits of this answer"


def _labels(problem: Any) -> bool:
    """Whether labels of classes are -1 and +1."""
    if not problem.model.loss.classification:
        return True
    return all(bool(np.isin(task.y, (-1.0, 1.0)).all()) for task in problem.tasks)


def dyadic(problem: Any, bits: int = 24) -> bool:
    """Whether features and targets have `bits` significant bits at most: doubles and singles hold them."""
    arrays = [array for task in problem.tasks for array in (task.X, task.y)]
    return all(bool((np.ldexp(np.frexp(array)[0], bits) % 1.0 == 0.0).all()) for array in arrays)


def _agree(facts: Facts, route: Route) -> bool:
    """Whether two derivations share enough digits of what is unique."""
    unique = any(value is True for value in facts.unique.values())
    return not unique or (route.digits is not None and route.digits >= SHARED)


def _bounded(facts: Facts) -> bool:
    """Whether J lies within the bound, but for its rounding."""
    assert facts.bound is not None
    room = 16.0 * float(np.finfo(np.float64).eps) * facts.terms
    within = float(facts.bound["lower"]) <= facts.objective + room
    return within and float(facts.bound["width"]) <= 1e-3 and MOST > 0


def family_name(problem: Any) -> str:
    """The family of a problem."""
    return family_of(problem.model).name
