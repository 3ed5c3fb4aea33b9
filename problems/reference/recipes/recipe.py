"""A recipe: which problem a pack holds, and which way its answer is found.

    def shops(draws):                                 # a function of the draws of the name, nothing else
        X = draws.integers("X", (3, 12, 2), -64, 64)
        ...
        return Stated(tasks=TaskSet.from_arrays(...), model=Model(...))

    RECIPES = (Recipe(name="tiny-shops", title="...", grade="easy", traits=("n < d",), state=shops),)

`state` makes the same problem on every machine: whole numbers of `Draws`, exact sums of them, `dyadic`. mu,
coupling and the like are written down, as numbers of few binary digits. `answer` finds the answer from it, by
default that of `answers.answered` for what is asked: it may differ in its last bits, its digits do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from amtl_cvx.tasks import TaskSet
from recipes.integers import Draws

Array = np.ndarray
Arrays = Mapping[str, Array]

TRAITS = (
    "n < d",
    "collinear features",
    "collinear tasks",
    "near-singular I - B",
    "perfectly fitted task",
    "separable labels",
    "separable labels with ridge",
    "unbalanced n_t",
    "weights over ten orders of magnitude",
    "non-unique B with unique W B",
    "several known minima",
    "mu at the value where the graph empties",
    "mu just above the value where the graph empties",
    "mu just below the value where the graph empties",
    "mu = 0",
    "empty graph",
    "one task",
    "one feature",
    "row weights",
    "task weights",
    "ridge",
    "penalty on predictors",
    "shared rows",
    "many tasks",
    "many features",
    "features in other units",
    "real data",
)
"""The words that packs are found by; a recipe has no others."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Stated:
    """A problem: its tasks, its model, and what is given of a single step.

    Attributes
    ----------
    tasks, model
        Of any family.
    given : mapping of name to array
        The blocks that a single step is given.
    start : mapping of name to array, optional
        Where a fit begins, if not by itself.
    """

    tasks: TaskSet
    model: Any
    given: Arrays = field(default_factory=dict)
    start: Arrays | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What was found: the answer, what is proved of it, and how.

    Attributes
    ----------
    solution : mapping of name to array
        The blocks of the answer.
    minima : tuple of mappings
        Other first-order points, lowest J first.
    digits, proof : dict, optional
        The contents of digits.json and proof.json.
    settings : mapping
        How it was found, for people.
    """

    solution: Arrays
    minima: tuple[Arrays, ...] = ()
    digits: dict[str, Any] | None = None
    proof: dict[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Recipe:
    """One pack.

    Attributes
    ----------
    name, title, grade, traits
        As pack.json has them; traits out of `TRAITS`.
    state : callable(Draws) -> Stated
        The problem.
    ask : str
        What is asked: one of `amtl_cvx.reference.schema.ASKS`.
    task : int, optional
        The task of "one-task".
    starts : int
        Of a joint problem: from how many B, dyadic ones, fits begin; the lowest J is the answer.
    digits : bool
        Whether digits are to be proven; where they are not to be had the pack has none.
    enclosed : bool
        Whether an exact lower bound is wanted.
    answer : callable(Recipe, Stated, proof) -> Answer, optional
        How it is found, if not by `answers.answered`; `proof` is a stored one, which is not searched again.
    source : str
        Where the data come from.
    """

    name: str
    title: str
    grade: str
    traits: tuple[str, ...]
    state: Callable[[Draws], Stated]
    ask: str = "joint"
    task: int | None = None
    starts: int = 12
    digits: bool = True
    enclosed: bool = False
    answer: Callable[[Recipe, Stated, dict[str, Any] | None], Answer] | None = None
    source: str = "whole numbers from SHAKE-256 of the name"

    def __post_init__(self) -> None:
        if unknown := [trait for trait in self.traits if trait not in TRAITS]:
            raise ValueError(f"{self.name}: unknown traits {unknown}: choose among TRAITS, or add one there")

    def stated(self) -> Stated:
        """The problem, made again."""
        return self.state(Draws(self.name))

    @property
    def origin(self) -> dict[str, str]:
        """What pack.json says of where the data come from."""
        return {"generator": "problems/reference/make.py", "seed": self.name, "source": self.source}
