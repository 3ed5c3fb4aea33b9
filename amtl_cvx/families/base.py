"""What the package asks of a family; what it asks of a method is in `method`.

A problem has `tasks`, `model` and ``at(**blocks)``; that is a point, with `blocks` and `objective`, and
``at(**some)`` for other values of some of its blocks. A certificate has `objective`, `relative`, `tol`,
`passes`, `level`, `kind`, `reasons`, `verdict()`, `sentences()`, `rungs()`, `has(level)`, `to_dict()`, and
its figures are the rows of a table (`known`).
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.families.found import Evidence, Found
from amtl_cvx.families.method import Method

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from amtl_cvx.arrays import Array, Indices
    from amtl_cvx.graph import TransferGraph
    from amtl_cvx.options import Options
    from amtl_cvx.solution import Solution
    from amtl_cvx.tasks import TaskSet


class Family(abc.ABC):
    """A family of models; see the package's essay."""

    name: ClassVar[str]
    blocks: ClassVar[tuple[str, ...]]
    """Those that every point has, in the order of a round."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Those that a point may have beside them, as its model says."""
    methods: ClassVar[Mapping[str, type[Method]]]
    places: ClassVar[tuple[str, str]] = ("columns of the predictors", "rows of the predictors")
    """What the tasks and the features count, in words."""
    axes: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """What rows and columns of a block count where that is "task" or "feature"; "" for neither."""
    exploration: ClassVar[Any] = None
    """How it is explored from many starts (`explore.Exploration`); None where it is not."""
    further: ClassVar[tuple[str, ...]] = ()
    """Arrays that a file may hold beside the blocks (`rest`), by name."""
    predictors_named: ClassVar[str] = "Predictors"
    """What the report calls the predictors."""
    others: ClassVar[str] = "another --solver, or a larger --tol"
    """What to try where a fit ended without a certificate and more rounds do not help."""
    linear: ClassVar[bool] = True
    """Whether scores are ``X @ predictors``; where they are not, the family says `scores` and `shape`."""
    streams: ClassVar[bool] = False
    """Whether its certificates can be held against rows that are not in memory (`confirm`)."""

    pooled: ClassVar[bool] = False
    """Whether J sums over rows beside the losses, each once (`TaskSet.pool`)."""

    @property
    def residuals_of(self) -> tuple[str, ...]:
        """What the history has a residual of, in order (`Evidence.stationarity`): the blocks."""
        return self.blocks

    @property
    def default_method(self) -> str:
        """The name of the method that fits where none is named: the first one."""
        return next(iter(self.methods))

    @abc.abstractmethod
    def model_from(self, stored: Mapping[str, Any]) -> Any:
        """The model that ``model.to_dict()`` described; anything may be raised for what it did not write."""

    @abc.abstractmethod
    def problem(self, tasks: Any, model: Any) -> Any:
        """Tasks and model as a problem; `AMTLError` where they do not fit each other."""

    @abc.abstractmethod
    def start(self, problem: Any) -> Mapping[str, Array]:
        """The blocks at which a fit begins by itself."""

    @abc.abstractmethod
    def checked(self, blocks: Mapping[str, Any], *, tasks: TaskSet | None = None) -> dict[str, Array]:
        """Blocks as doubles that fit each other, and tasks where they are given; else `DataError`."""

    @abc.abstractmethod
    def evidence(self, point: Any) -> Evidence:
        """The residuals of a point."""

    @abc.abstractmethod
    def unjudged(self, point: Any, *, kind: str, tol: float, reason: str) -> Any:
        """A certificate that holds what is known of a point without work, and does not pass."""

    def predictors(self, blocks: Mapping[str, Array]) -> Array:
        """The predictors, (d, T): one column a task; `ModelError` where scores are not linear."""
        raise ModelError(f"the family {self.name!r} has no linear predictors: take its scores")

    def scores(self, blocks: Mapping[str, Array], X: Array) -> Array:
        """The scores of every task, (n, T), for prepared rows X (n, d)."""
        return X @ self.predictors(blocks)

    def shape(self, blocks: Mapping[str, Array]) -> tuple[int, int]:
        """How many prepared features and how many tasks the blocks are of, (d, T)."""
        d, T = self.predictors(blocks).shape
        return d, T

    @abc.abstractmethod
    def losses(self, tasks: TaskSet, model: Any, blocks: Mapping[str, Array]) -> Array:
        """The losses of the tasks, (T,), without weights."""

    def check(self, tasks: TaskSet, model: Any) -> None:
        """`AMTLError` where data and a model that were read from files do not fit each other."""
        self.problem(tasks, model)

    def settled(
        self, settings: Mapping[str, Any], *, given: Mapping[str, Any], known: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The settings of the command line, where one says something of another one.

        `given` are those that the user gave now, `known` those of a problem or a run.
        """
        return dict(settings)

    def told(self, blocks: Mapping[str, Array]) -> dict[str, Any]:
        """The settings that blocks by themselves tell, such as how many features are learned."""
        return {}

    def method_for(self, blocks: Mapping[str, Array]) -> str | None:
        """The method whose point blocks are, where their shapes say so; None is the first one."""
        return None

    def made(self, settings: Mapping[str, Any], tasks: TaskSet) -> Any:
        """The model by the words of the command line; what is left to `auto` has a stand-in.

        Anything may be raised for what is no model; `AMTLError` where it does not fit the tasks.
        """
        return self.model_from(settings)

    def begin(self, problem: Any, settings: Mapping[str, Any], *, seed: int) -> Mapping[str, Array] | None:
        """The start that the settings ask for; None where the method begins by itself."""
        return None

    def arrays(self, tasks: TaskSet, model: Any) -> Mapping[str, Array]:
        """What a stored problem holds beside rows and model, by name: for readers in other languages."""
        return {}

    def read(self, source: Any, *, arrays: Callable[..., Mapping[str, Any]]) -> Found:
        """The blocks in a file, open or not; `arrays` reads named arrays and names without trust."""
        names = ("losses", "task_names", "feature_names", *self.optional, *self.further)
        found = arrays(source, required=self.blocks, optional=names)
        return Found(
            {name: found[name] for name in (*self.blocks, *self.optional) if name in found},
            found.get("losses"),
            task_names=found.get("task_names"),
            feature_names=found.get("feature_names"),
            rest={name: found[name] for name in self.further if name in found},
        )

    def prepare_start(self, problem: Any, start: Any) -> dict[str, Array]:
        """The blocks of a start that the user gives, or `AMTLError`."""
        if not isinstance(start, Mapping):
            start = {name: getattr(start, name, None) for name in (*self.blocks, *self.optional)}
        if missing := [name for name in self.blocks if start.get(name) is None]:
            raise DataError(
                f"a start has {' and '.join(self.blocks)}, this one lacks {' and '.join(missing)}"
            )
        known = (*self.blocks, *(name for name in self.optional if start.get(name) is not None))
        return self.checked({name: start[name] for name in known}, tasks=problem.tasks)

    def arranged(self, found: Found, *, tasks: Indices | None, features: Indices | None) -> Found:
        """Blocks, and the order of a curriculum, in another order of the tasks and the features.

        Task t of the result is task ``tasks[t]`` of what is given; None leaves all as they are.
        """
        for order in (tasks, features):
            if order is not None and list(order) != list(range(len(order))):
                raise DataError(
                    f"the blocks of the family {self.name!r} cannot be taken in another order of tasks or"
                    " features: give the data in theirs"
                )
        return found

    def point(self, found: Found, *, ridge: float | None = None) -> Any:
        """Blocks as the methods judge and begin at them; `ridge` is what the user says of a curriculum."""
        return dict(found.blocks)

    def repair(self, problem: Any, point: Any, *, judge: Callable[[Any], Any]) -> str | None:
        """The line that names an order or a transpose with which a point passes that does not; else None."""
        return None

    def judging(self, method: Method, given: Mapping[str, Any]) -> Method:
        """The method as it judges where options of `certify` say how, those that are not given being None."""
        return method

    def confirm(self, certificate: Any, tasks: TaskSet, model: Any, sums: Any) -> Any:
        """The certificate held against sums over rows that are streamed (`data.evaluate`)."""
        raise DataError(f"the family {self.name!r} judges rows in memory: read the data with keep_rows=True")

    def climb(
        self,
        certificate: Any,
        problem: Any,
        blocks: Mapping[str, Array],
        *,
        level: str,
        limit: float,
        digits: int = 40,
        proof: dict[str, Any] | None = None,
        observe: Callable[[str], None] | None = None,
    ) -> Any:
        """How far a point that was judged gets above its judge (`ladder.Climb`); None without such rungs."""
        return None

    def baselines(self, model: Any) -> Mapping[str, tuple[str, Any]]:
        """What a fit is scored beside, by its name: a method and a model."""
        return {}

    def check_memory(self, tasks: TaskSet, model: Any) -> None:
        """`DataError` where a certificate takes more memory than there is."""
        return None

    def rule_that_changed(self, was: Mapping[str, Any], certificate: Any) -> str:
        """The rule since which a point no longer passes that an earlier version certified; "" for none."""
        return ""

    def fit(self, method: Method, tasks: TaskSet, model: Any, options: Options) -> Solution:
        """The fit by a method; a family may change coordinates around it."""
        return method.run(tasks, model, options)

    def rest(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """What a solution stores beside its blocks, by name: arrays."""
        return {}

    def stored_graph(self, stored: Any, *, threshold: float) -> TransferGraph | None:
        """The directed graph over the tasks of a stored run, for a family that learns one."""
        return None

    def figure(
        self, stored: Any, kind: str, *, title: str, shape: str | None, image_map: Array | None = None
    ) -> Figure | None:
        """A picture of a stored run (`plot --kind`); None for one of a graph, and for what it has not.

        `shape` is that of the images that the inputs are, as the user says it: rows x columns; `image_map`
        takes inputs that are linear in pixels back to these, (d, pixels) or (d, rows, columns).
        """
        return None

    def model_words(self, model: Any) -> str:
        """A model in words, after its loss."""
        return ""

    def settings_words(self, model: Any) -> str:
        """The same where a fit says what it does: with four digits."""
        return self.model_words(model)

    def unlabelled_words(self, model: Any) -> str:
        """What becomes of rows without a label."""
        return "left out"

    def shortfall(self, certificate: Any) -> str:
        """What misses which limit."""
        return (
            f"not certified: the relative residual is {certificate.relative:.1e}, its limit"
            f" {certificate.tol:g}"
        )

    def advice(self, certificate: Any, model: Any, blocks: Mapping[str, Array]) -> str:
        """What to try where blocks from elsewhere do not pass."""
        return "check the model, then run the solver longer"

    def summary(self, solution: Solution) -> str:
        """What was learned, in a line."""
        return ", ".join(f"{name} {block.shape}" for name, block in solution.blocks.items())

    def png(self, solution: Solution) -> bytes | None:
        """A picture of what was learned for a notebook."""
        return None

    def pictures(self, solution: Solution, *, title: str) -> Mapping[str, Callable[[Path], None]]:
        """The files of a run folder beside numbers and report, with what writes each."""
        return {}

    def sections(self, solution: Solution, *, truth: Any = None) -> Mapping[str, str]:
        """The family's own HTML in the report, escaped: "learned", "about" (its certificate), "details"."""
        return {}

    def tiles(self, solution: Solution) -> Sequence[tuple[str, str]]:
        """Figures under the headline of the report."""
        return ()

    def headline(self, certificate: Any) -> str:
        """The verdict in one line, without claiming more than was shown."""
        return "The certificate passes" if certificate.passes else "The certificate does not pass"
