"""The list of broken back ends: what each is, why it is wrong, and which checks have to see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backends.dense import Dense
from backends.terms import Array


@dataclass(frozen=True)
class Broken:
    """A back end that is wrong in one place.

    `cause` is the mistake as the judge calls it, "" where the check itself says all; `fails` the checks, by
    id or pattern: of each it must fail at least one; `pack` the reference pack that shows it; `limit` the
    seconds that a call may take.
    """

    name: str
    make: Callable[..., object]
    cause: str
    fails: tuple[str, ...]
    pack: str
    limit: float = 60.0


PACKS = {
    "squares": "squared-mean-t5-d4",
    "sums": "squared-sum-t6-d5",
    "labels": "logistic-mean-t3-d3",
    "sums of labels": "logistic-sum-t4-d4",
    "row weights": "squared-row-weights-t4",
    "task weights": "tiny-t2-task-weights",
}
"""Where a mistake is looked for, by what is there: as many features as other tasks, so that B is unique."""

BROKEN: list[Broken] = []


class Alternating(Dense):
    """The fit goes on alternating until nothing moves: where its steps and J belong to different problems."""

    alternations = 3000
    moved = 1e-13

    def fit(self, asked: Any) -> tuple[Array, Array]:
        return self.alternate(*self.start(asked))


def listed(
    cause: str, *fails: str, on: str = "squares", limit: float = 60.0
) -> Callable[[type[Dense]], type[Dense]]:
    """Enter a class into the list; its docstring says what is wrong."""

    def enter(made: type[Dense]) -> type[Dense]:
        def make(dtype: str = "float64") -> object:
            return made(dtype, made.__name__)

        BROKEN.append(Broken(made.__name__, make, cause, fails, PACKS[on], limit))
        return made

    return enter
