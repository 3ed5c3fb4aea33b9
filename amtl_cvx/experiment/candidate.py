"""Candidate: a named method with its settings and parameters, as a model of given tasks and as a fit.

    Candidate(method=named("amtl"), parameters={"coupling": 1.0, "mu": 0.1, "rounds": 3}).fit(tasks)

Beside the parameters of the method there is one of the fit, `rounds`, where the method goes in rounds: the
alternation is stopped after so many of them, for what it predicts there. Such a point is judged like any
other and its certificate says what it is, "stopped after 3 rounds", unless it had come to its end by then.
W of round r is that of its W-step, so that one round is single-task learning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from amtl_cvx.certificate.levels import stopped_kind
from amtl_cvx.errors import ModelError
from amtl_cvx.families import settings_of
from amtl_cvx.families.settings.named import NamedMethod
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.solution import Solution, Status
from amtl_cvx.tasks import TaskSet

ROUNDS = "rounds"
"""The parameter of the fit after how many rounds it is stopped."""
_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A named method with settings and parameters.

    Parameters
    ----------
    method : NamedMethod
    settings : mapping
        Settings of the family beside those of the name: the loss, the reduction, parameters that are held,
        settings of its fits such as the ridge of a curriculum.
    parameters : mapping
        Values of the method's parameters, and of `rounds`.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TaskSet, named
    >>> from amtl_cvx.experiment.candidate import Candidate
    >>> tasks = TaskSet.from_matrix(np.eye(3), [[1.5, 1.0], [2.0, 1.0], [0.0, 1.0]])
    >>> parameters = {"coupling": 1.0, "mu": 0.1, "rounds": 2}
    >>> early = Candidate(method=named("amtl"), parameters=parameters).fit(tasks)
    >>> early.certificate.level, early.certificate.kind
    ('C0', 'stopped after 2 rounds')
    """

    method: NamedMethod
    settings: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    parameters: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)

    def __post_init__(self) -> None:
        rounds = self.parameters.get(ROUNDS)
        if rounds is not None and not self.method.rounds:
            self.method.parameter(ROUNDS)
        if rounds is not None and not (isinstance(rounds, int) and rounds >= 1):
            raise ModelError(f"rounds must be a whole number >= 1, got {rounds!r}")

    @property
    def _own(self) -> dict[str, Any]:
        """The parameters but for `rounds`."""
        return {name: value for name, value in self.parameters.items() if name != ROUNDS}

    @property
    def _running(self) -> frozenset[str]:
        """The settings of a fit of the family that `Options` have."""
        table = settings_of(self.method.family)
        names = {each.name for each in table.fit} if table else set()
        return frozenset(names & {field.name for field in fields(Options)})

    @property
    def rounds(self) -> int | None:
        """After how many rounds it is stopped; None where it goes to its end."""
        return self.parameters.get(ROUNDS)

    def model(self, tasks: TaskSet) -> Any:
        """The model for these tasks.

        Raises
        ------
        ModelError, DataError
            For settings or parameters that make no model, or none for these tasks.
        """
        settings = {name: value for name, value in self.settings.items() if name not in self._running}
        return self.method.model(tasks, self._own, settings=settings)

    def options(self, options: Options | None = None) -> Options:
        """The options with the settings of the fit that are among settings and parameters."""
        own = {name: self.settings[name] for name in self._running if name in self.settings}
        return replace(options or Options(), **own, **self.method.running(self._own))

    def fit(self, tasks: TaskSet, options: Options | None = None) -> Solution:
        """The fit, with its certificate; stopped after `rounds` where they are given."""
        options = self.options(options)
        if self.rounds is None:
            return fit(tasks, self.model(tasks), method=self.method.method, options=options)
        options = replace(options, max_rounds=self.rounds, refine=False)
        return stopped(fit(tasks, self.model(tasks), method=self.method.method, options=options))


def stopped(solution: Solution) -> Solution:
    """A solution that was stopped on purpose at its limit of rounds, its certificate saying so."""
    if solution.status is not Status.ROUND_LIMIT or solution.certificate.passes:
        return solution
    kind = stopped_kind(solution.history[-1].round)
    return replace(solution, certificate=replace(solution.certificate, kind=kind))
