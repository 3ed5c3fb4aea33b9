"""What the package asks of a method, and of what a method carries from step to step."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from amtl_cvx.arrays import Array
    from amtl_cvx.options import Options
    from amtl_cvx.solution import Solution, State
    from amtl_cvx.tasks import TaskSet


class Memory:
    """What a method carries from one step to the next beside the point; by itself nothing.

    A stored state holds it as data: facts, which are JSON, and arrays.
    """

    arrays_named: ClassVar[tuple[str, ...]] = ()
    """Names of the arrays that there may be."""

    def facts(self) -> dict[str, Any]:
        """The numbers and names."""
        return {}

    def arrays(self) -> dict[str, Array]:
        """The arrays there are."""
        return {}

    def enter(self, phase: str) -> None:
        """A part of the fit begins."""

    def told(self) -> dict[str, Any]:
        """What the solution says of it (`Solution.facts`)."""
        return {}

    def restore(self, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Take up what a state holds; anything may be raised for what no fit left."""


class Method(abc.ABC):
    """A way to find the blocks, with its own settings, and the judge of what it found."""

    name: ClassVar[str]
    kind: ClassVar[str]
    """What its certificate judges."""
    takes_start: ClassVar[bool] = False
    """Whether it begins at any point, not only at a state of its own."""
    uncoupled: ClassVar[bool] = False
    """Whether it minimises J at coupling 0 as well."""

    @classmethod
    def of(cls, options: Options) -> Method:
        """The method with the settings that options give to one that is only named."""
        return cls()

    @abc.abstractmethod
    def run(self, tasks: TaskSet, model: Any, options: Options) -> Solution:
        """The fit."""

    @abc.abstractmethod
    def judge(self, tasks: TaskSet, model: Any, point: Any, tol: float) -> Any:
        """The certificate of blocks from any source."""

    def memory(self) -> Memory:
        """What it carries, as it is before the first step."""
        return Memory()

    def accepts(self, state: State) -> bool:
        """Whether a state can be one of its own."""
        return True
