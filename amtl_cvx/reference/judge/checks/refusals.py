"""L5: bad input is refused: by an exception, by an executable with an exit code that is not 0.

An answer to such input is a wrong answer, however finite it is: whoever gets it does not know that it means
nothing. One thing is spoilt at a time, in the first pack that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.answers import NoAnswer
from amtl_cvx.reference.judge.asked import Asked, Numbers
from amtl_cvx.reference.judge.case import Case, Outcome
from amtl_cvx.reference.judge.checks.registry import check

_ALL = ("evaluate", "w-step", "fit")


@dataclass(frozen=True, kw_only=True)
class Spoilt:
    """One thing that is wrong with what is asked."""

    name: str
    words: str
    change: Callable[[Asked], Asked]
    asks: tuple[str, ...] = _ALL
    applies: Callable[[Case], str] = lambda case: ""


def _several(case: Case) -> str:
    return "one task has no edges" if case.T == 1 else ""


def _labelled(case: Case) -> str:
    return "" if case.problem.model.loss.classification else "its targets are no labels"


def _weighted(case: Case) -> str:
    return "" if case.weighted else "its rows have no weights"


def _part(parts: Sequence[Numbers], change: Callable[[Numbers], Numbers]) -> list[Numbers]:
    """A list of arrays, the last of them changed."""
    return [*(each.copy() for each in parts[:-1]), change(parts[-1].copy())]


def _put(value: float) -> Callable[[Numbers], Numbers]:
    """One entry of an array replaced."""

    def change(array: Numbers) -> Numbers:
        array.flat[-1] = value
        return array

    return change


def _in_X(value: float) -> Callable[[Asked], Asked]:
    return lambda asked: replace(asked, X=_part(asked.X, _put(value)))


def _in_y(value: float) -> Callable[[Asked], Asked]:
    return lambda asked: replace(asked, y=_part(asked.y, _put(value)))


def _in_W(value: float) -> Callable[[Asked], Asked]:
    return lambda asked: replace(asked, W=_put(value)(asked.W.copy()))


def _in_B(s: int, t: int, value: float) -> Callable[[Asked], Asked]:
    def change(asked: Asked) -> Asked:
        B = asked.B.copy()
        B[s, t] = value
        return replace(asked, B=B)

    return change


def _in_weights(value: float) -> Callable[[Asked], Asked]:
    return lambda asked: replace(asked, task_weights=_put(value)(asked.task_weights.copy()))


def _in_row_weights(value: float) -> Callable[[Asked], Asked]:
    def change(asked: Asked) -> Asked:
        assert asked.sample_weight is not None
        return replace(asked, sample_weight=_part(asked.sample_weight, _put(value)))

    return change


def _emptied(asked: Asked) -> Asked:
    weights = asked.sample_weight
    return replace(
        asked,
        X=_part(asked.X, lambda X: X[:0]),
        y=_part(asked.y, lambda y: y[:0]),
        sample_weight=None if weights is None else _part(weights, lambda v: v[:0]),
    )


def _shorter_y(asked: Asked) -> Asked:
    return replace(asked, y=_part(asked.y, lambda y: y[:-1]))


def _shorter_weights(asked: Asked) -> Asked:
    return replace(asked, task_weights=asked.task_weights[:-1].copy())


def _larger(array: Numbers) -> Numbers:
    """With one more column."""
    return np.ascontiguousarray(np.hstack([array, array[:, -1:]]))


SPOILT = (
    Spoilt(name="nan-in-X", words="a NaN in X", change=_in_X(np.nan)),
    Spoilt(name="inf-in-X", words="an infinite number in X", change=_in_X(np.inf)),
    Spoilt(name="nan-in-y", words="a NaN in y", change=_in_y(np.nan)),
    Spoilt(name="inf-in-y", words="an infinite number in y", change=_in_y(-np.inf)),
    Spoilt(name="nan-in-W", words="a NaN in W", change=_in_W(np.nan), asks=("evaluate", "b-step")),
    Spoilt(
        name="inf-in-W", words="an infinite number in W", change=_in_W(np.inf), asks=("evaluate", "b-step")
    ),
    Spoilt(
        name="nan-in-B",
        words="a NaN in B",
        change=_in_B(0, -1, np.nan),
        asks=("evaluate", "w-step"),
        applies=_several,
    ),
    Spoilt(name="rows-of-y", words="a y with a row less than X", change=_shorter_y),
    Spoilt(
        name="shape-of-W",
        words="a W with a column too many",
        change=lambda asked: replace(asked, W=_larger(asked.W)),
        asks=("evaluate", "b-step"),
    ),
    Spoilt(
        name="shape-of-B",
        words="a B with a column too many",
        change=lambda asked: replace(asked, B=_larger(asked.B)),
        asks=("evaluate", "w-step"),
    ),
    Spoilt(name="empty-task", words="a task without rows", change=_emptied),
    Spoilt(name="number-of-task-weights", words="a task weight too few", change=_shorter_weights),
    Spoilt(name="negative-task-weight", words="a task weight of -1", change=_in_weights(-1.0)),
    Spoilt(
        name="negative-row-weight",
        words="a row of weight -1",
        change=_in_row_weights(-1.0),
        applies=_weighted,
    ),
    Spoilt(name="negative-mu", words="mu = -1", change=lambda asked: replace(asked, mu=-1.0)),
    Spoilt(name="nan-mu", words="mu = NaN", change=lambda asked: replace(asked, mu=float("nan"))),
    Spoilt(
        name="negative-coupling", words="coupling = -1", change=lambda asked: replace(asked, coupling=-1.0)
    ),
    Spoilt(
        name="coupling-zero",
        words="coupling = 0",
        change=lambda asked: replace(asked, coupling=0.0),
        asks=("b-step", "fit"),
    ),
    Spoilt(
        name="diagonal-of-start",
        words="a start B with a diagonal",
        change=_in_B(0, 0, 0.5),
        asks=("fit",),
    ),
    Spoilt(
        name="negative-start",
        words="a start B with a negative entry",
        change=_in_B(0, -1, -0.5),
        asks=("fit",),
        applies=_several,
    ),
    Spoilt(name="no-classes", words="a label 3", change=_in_y(3.0), applies=_labelled),
)
"""Everything that is spoilt, in turn."""


def _refused(spoilt: Spoilt, ask: str) -> Callable[[Case], Outcome]:
    def run(case: Case) -> Outcome:
        W, B = _start(case, ask)
        found = case.tried(spoilt.change(case.asked(ask, W=W, B=B)))
        if not isinstance(found, NoAnswer):
            return Outcome("failed", f"{spoilt.words} is answered, as if nothing were: refuse it")
        if found.kind == "refused":
            return Outcome("passed", f"{spoilt.words} is refused")
        if found.kind == "invalid":
            return Outcome("failed", f"{spoilt.words} is answered: {found}; refuse it")
        raise found

    return run


def _start(case: Case, ask: str) -> tuple[Array, Array]:
    """In general position; a fit begins at the empty graph."""
    if ask == "fit":
        return case.W["zero"], case.B["zero"]
    return case.W["generic"], case.B["generic"]


for _spoilt in SPOILT:
    for _ask in _spoilt.asks:
        check(
            "L5",
            f"{_spoilt.name}/{_ask}",
            needs=_ask,
            title=f"{_spoilt.words} is refused ({_ask})",
            most=1,
            applies=_spoilt.applies,
        )(_refused(_spoilt, _ask))
