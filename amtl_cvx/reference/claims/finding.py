"""The facts of an answer by its family and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amtl_cvx.arrays import Array
from amtl_cvx.errors import ModelError
from amtl_cvx.families import family_of
from amtl_cvx.reference.claims.facts import Facts
from amtl_cvx.reference.claims.joint import joint_facts
from amtl_cvx.reference.claims.point import point_of
from amtl_cvx.reference.claims.proving import with_digits
from amtl_cvx.reference.claims.steps import task_facts, transfer_facts, weight_facts


def facts_of(
    problem: Any,
    ask: str,
    solution: Mapping[str, Array],
    given: Mapping[str, Array],
    *,
    task: int | None,
    extras: bool,
    proof: Mapping[str, Any] | None,
) -> Facts:
    """What is found out about an answer; errors as of `claims_of`."""
    family = family_of(problem.model).name
    if family != "amtl":
        if ask != "joint":
            raise ModelError(f"a pack of the family {family!r} asks for all blocks, got the ask {ask!r}")
        from amtl_cvx.reference.claims.learned import learned_facts  # its families are imported late

        return learned_facts(problem, solution, family, extras=extras)
    if ask == "curriculum":
        from amtl_cvx.reference.claims.curriculum import curriculum_facts

        return curriculum_facts(problem, solution, extras=extras)
    point = point_of(problem, ask, solution, given, task=task)
    if ask in ("joint", "single-task"):
        found = joint_facts(point, extras=extras, proof=proof, kind=ask)
    elif ask == "w-step":
        found = weight_facts(point)
    elif ask == "b-step":
        found = transfer_facts(point, extras=extras)
    else:
        assert task is not None
        found = task_facts(point, task)
    if ask == "joint":
        return found
    return with_digits(found, problem, ask, solution, given, task=task, extras=extras)
