"""What failed, for whoever looks for the mistake behind it; and the mistake that was found.

A failed check hands a `Failure` to `causes.causes_of`, which recomputes what each of the common mistakes
would give and answers with those that explain it. This is all that the two know of each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.asked import Asked

Quantity = Literal[
    "objective", "losses", "gradient_W", "gradient_B", "w_step", "one_task", "b_step", "rounds", "fit"
]


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A mistake that explains a failed check.

    Parameters
    ----------
    name : str
        What it is called in tables and JUnit: "incoming-weights".
    sentence : str
        "your gradient equals the one with incoming weights".
    fix : str
        What to change.
    gives : array, optional
        What the mistake gives in the place of the answer, for the picture: a value, a gradient, objectives.
    """

    name: str
    sentence: str
    fix: str = ""
    gives: Array | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Failure:
    """An answer that is not right.

    Parameters
    ----------
    check : str
        The id of the check.
    asked : Asked
        What the back end was handed, in its dtype.
    problem
        The problem of what was asked, in double precision: `tasks`, `model`, ``at(W=, B=)``.
    quantity : str
        What is not right: "objective", "losses", "gradient_W", "gradient_B" at (asked.W, asked.B);
        "w_step", "one_task", "b_step", "fit": a point that is not stationary, or not the right one; "rounds".
    answer : mapping of name to array
        What the back end said, in double precision, of the right shapes and finite: "objective" (),
        "losses" (T,), "gradient_W" (d, T), "gradient_B" (T, T), "W", "B", "w" (d,), "objectives" (2 count,).
        "evaluate" has all that was said, a fit W and B.
    right : mapping of name to array
        The right answers by the same names, where there is one.
    limit : number or array
        How far the answer may be from the right one: absolute, entry by entry, for "objective", "losses",
        gradients and "rounds"; for steps and fits the largest relative residual (`misses`).
    pack : Pack, optional
        The pack the problem is of.
    figures : mapping of name to number
        What was measured.
    """

    check: str
    asked: Asked
    problem: Any
    quantity: Quantity
    answer: Mapping[str, Array]
    right: Mapping[str, Array] = field(default_factory=dict)
    limit: Array | float = 0.0
    pack: Any = None
    figures: Mapping[str, float] = field(default_factory=dict)
