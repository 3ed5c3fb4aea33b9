"""A back end before one problem: what it is asked there, and its answers, each asked for once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.reference.judge.answers import NoAnswer
from amtl_cvx.reference.judge.asked import Asked, doubles, exact_in, problem_of
from amtl_cvx.reference.judge.backends import BackEnd
from amtl_cvx.reference.judge.failure import Failure
from amtl_cvx.reference.judge.points import generic_B, generic_W, rounded
from amtl_cvx.reference.judge.tolerance import Limits

PATIENCE = 2
"""On how many packs in a row an ask may not end before it is asked no more."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a check, before anybody asks why."""

    status: Literal["passed", "failed", "skipped"]
    words: str
    figures: Mapping[str, float] = field(default_factory=dict)
    evidence: Mapping[str, Array] = field(default_factory=dict)
    failure: Failure | None = None


class Case:
    """A back end and a pack.

    Parameters
    ----------
    backend : BackEnd
    pack : Pack
        Of the family "amtl".
    hung : Counter, optional
        On how many packs in a row each ask did not end, shared by the cases of a back end: after `PATIENCE`
        it is asked no more.
    """

    def __init__(self, backend: BackEnd, pack: Any, *, hung: Counter[str] | None = None) -> None:
        self.backend, self.pack = backend, pack
        self._hung = Counter() if hung is None else hung
        self._slow: set[str] = set()
        self.kept: dict[str, Any] = {}
        """What was computed of this problem once, such as the best W for some B."""
        self._answers: dict[tuple[Any, ...], dict[str, Array] | NoAnswer] = {}

    @property
    def name(self) -> str:
        """That of the pack."""
        return str(self.pack.name)

    @property
    def dtype(self) -> str:
        """That of the back end."""
        return self.backend.dtype

    @cached_property
    def problem(self) -> Any:
        """The problem as the back end sees it, in double precision."""
        return problem_of(self.pack.problem, self.dtype)

    @property
    def exact(self) -> bool:
        """Whether the dtype holds the data without rounding: then the pack's answer is the right one."""
        return exact_in(self.pack.problem, self.dtype)

    def unique(self, block: str) -> bool:
        """Whether the pack says that a block of its answer, or "W B", is the only one."""
        return (self.pack.claims.get("unique") or {}).get(block) is True

    @property
    def weighted(self) -> bool:
        """Whether rows have weights."""
        return any(task.sample_weight is not None for task in self.problem.tasks)

    @property
    def T(self) -> int:
        """How many tasks there are."""
        return int(self.problem.tasks.T)

    @cached_property
    def W(self) -> Mapping[str, Array]:
        """The W that are asked about: zero, generic, answer."""
        tasks = self.problem.tasks
        found = self.pack.solution.get("W", self.pack.given.get("W"))
        generic = rounded(generic_W(self.name, tasks, found), self.dtype)
        points = {"zero": np.zeros((tasks.d, tasks.T)), "generic": generic}
        return points | ({} if found is None else {"answer": rounded(found, self.dtype)})

    @cached_property
    def B(self) -> Mapping[str, Array]:
        """The B that are asked about: zero, generic, answer."""
        transfer = self.problem.model.transfer
        found = self.pack.solution.get("B", self.pack.given.get("B"))
        points = {"zero": transfer.start(self.T), "generic": transfer.project(generic_B(self.name, self.T))}
        points |= {} if found is None else {"answer": found}
        return {name: rounded(block, self.dtype) for name, block in points.items()}

    def asked(
        self,
        ask: str,
        *,
        W: Array | None = None,
        B: Array | None = None,
        task: int | None = None,
        count: int | None = None,
    ) -> Asked:
        """A question about this problem."""
        return Asked.of(self.problem, ask, W=W, B=B, task=task, count=count, dtype=self.dtype)

    def answer(self, asked: Asked) -> dict[str, Array]:
        """The answer to a question about this problem; `NoAnswer` where there is none."""
        key = (asked.ask, asked.W.tobytes(), asked.B.tobytes(), asked.task, asked.count)
        if key not in self._answers:
            self._answers[key] = self.tried(asked)
        found = self._answers[key]
        if isinstance(found, NoAnswer):
            raise found
        return found

    def before(self, pack: Any) -> Case:
        """The same back end before another problem."""
        return Case(self.backend, pack, hung=self._hung)

    def tried(self, asked: Asked) -> dict[str, Array] | NoAnswer:
        """An answer, or why there is none; to whatever is asked."""
        if asked.ask in self._slow:
            return NoAnswer("hung", f"{asked.ask} is not asked again here: it did not end once")
        if self._hung[asked.ask] >= PATIENCE:
            return NoAnswer("hung", f"{asked.ask} is not asked any more: it did not end on {PATIENCE} packs")
        try:
            found = self.backend.answer(asked)
        except NoAnswer as error:
            if error.kind == "hung":
                self._slow.add(asked.ask)
                self._hung[asked.ask] += 1
            return error
        self._hung[asked.ask] = 0
        return found

    def point(self, asked: Asked, *, W: Array | None = None, B: Array | None = None) -> Any:
        """The point of a question, in double precision, with a block of the answer in its place."""
        return self.problem.at(doubles(asked.W) if W is None else W, doubles(asked.B) if B is None else B)

    def limits(self, point: Any) -> Limits:
        """What an answer at a point may be off by."""
        return Limits(point, self.dtype, self.backend.accuracy)
