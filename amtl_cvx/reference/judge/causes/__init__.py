r"""Which mistake explains a failed check: what each would give is recomputed and held against the answer.

    for cause in causes_of(failure):
        print(cause.name, cause.sentence)    # "your gradient in W equals the one with incoming weights"

    mistakes     the names, and what to do about each
    formula      J with every place where a mistake is made as a field
    varied       every mistake in its ways: which fields it changes, in which parts of a method
    rows         mistakes in the rows: sums and means, weights, one row a task, standardised features
    evaluated    values, losses, gradients: equal, entry by entry, to those of a mistake
    stepped      steps and final points: a mistaken stationarity vanishes, the right one does not
    arranged     ... in another order of tasks or features, or transposed
    scaled       ... with B brought to a sum
    alternated   the objectives of half-steps, gone through with the mistake
    quality      what is right but not to the end: an early stop, float32

A cause is named only where it matches to the tolerance of the check and is clearly (`case.CLEAR`) nearer than
the right answer; several may, the more specific first. Where no mistake does, two at once are tried, and then
none is named. The formulas are AMTL's; for another transfer penalty, or a penalty on W beside the ridge,
nothing is said.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from amtl_cvx.reference.judge.causes.alternated import alternated
from amtl_cvx.reference.judge.causes.case import Case, Match
from amtl_cvx.reference.judge.causes.evaluated import evaluated
from amtl_cvx.reference.judge.causes.mistakes import MISTAKES
from amtl_cvx.reference.judge.causes.question import Question
from amtl_cvx.reference.judge.causes.stepped import stepped
from amtl_cvx.reference.judge.failure import Cause, Failure

_BOUND = 1e100  # of an answer: squares of it are finite

__all__ = ["MISTAKES", "Case", "Match", "Question", "causes_of", "matches"]


def causes_of(failure: Failure) -> tuple[Cause, ...]:
    """The mistakes that explain a failed check, the most specific first; none where none does."""
    return _searched(_Key(failure))


def matches(case: Case) -> list[Match]:
    """What explains the answer of a case; nothing explains one beyond all bounds."""
    if not all(np.abs(part).max(initial=0.0) <= _BOUND for part in case.answer.values()):
        return []
    search = {"rounds": alternated, **dict.fromkeys(("w_step", "one_task", "b_step", "fit"), stepped)}
    with np.errstate(all="ignore"):
        try:
            return search.get(case.quantity, evaluated)(case)
        except (ArithmeticError, ValueError, np.linalg.LinAlgError):
            return []


@dataclass(frozen=True, eq=False)
class _Key:
    """A failure by the bytes of what was asked and answered: several checks look at one answer."""

    failure: Failure

    @cached_property
    def digest(self) -> bytes:
        asked, found = self.failure.asked, hashlib.sha256()
        words = (asked.ask, asked.task, asked.count, asked.loss, dict(asked.loss_parameters), asked.reduction)
        model = (asked.coupling, asked.mu, asked.transfer, asked.omega, dict(asked.omega_parameters))
        limit = np.asarray(self.failure.limit)
        found.update(repr((self.failure.quantity, asked.dtype, words, model)).encode())
        for name, array in {**asked.arrays(), **self.failure.answer, "limit": limit}.items():
            found.update(f"{name}{np.shape(array)}".encode() + np.ascontiguousarray(array).tobytes())
        return found.digest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.digest == other.digest


@lru_cache(maxsize=256)
def _searched(key: _Key) -> tuple[Cause, ...]:
    failure = key.failure
    question = Question.of(failure.asked)
    if question is None:
        return ()
    case = Case(
        question=question,
        quantity=failure.quantity,
        answer=failure.answer,
        limit=failure.limit,
        single=failure.asked.dtype == "float32",
    )
    found: dict[str, Cause] = {}
    for match in matches(case):
        for name in match.name.split(" + "):
            cause = Cause(name=name, sentence=match.words, fix=MISTAKES[name], gives=match.value)
            found.setdefault(name, cause)
    return tuple(found.values())
