"""A problem of a network: tasks, a model, the rows, and where each entry stands in a vector of all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from amtl_cvx.arrays import Array, frozen, in_named_order, numbers
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.features.prices import ProblemPrices
from amtl_cvx.network.model import NetworkModel
from amtl_cvx.network.point import NetworkPoint
from amtl_cvx.network.rows import Rows, beside_ones
from amtl_cvx.problem.given import shown
from amtl_cvx.tasks import TaskSet, check_tasks


@dataclass(frozen=True)
class Layout:
    """Where the layers V_1, ..., V_h, then S, then A stand in the vector x of all entries, row by row.

    V_l (d_l, k_l) is W_l with its bias as last row, A (T, k) with that of the feedback.
    """

    shapes: tuple[tuple[int, int], ...]

    @cached_property
    def parts(self) -> tuple[slice, ...]:
        """The places of each."""
        ends = np.cumsum([0, *(rows * columns for rows, columns in self.shapes)])
        return tuple(slice(int(a), int(b)) for a, b in zip(ends, ends[1:], strict=False))

    @property
    def V(self) -> tuple[slice, ...]:
        """The places of the layers."""
        return self.parts[:-2]

    @property
    def S(self) -> slice:
        """The places of S."""
        return self.parts[-2]

    @property
    def A(self) -> slice:
        """The places of A, its bias included."""
        return self.parts[-1]

    @property
    def size(self) -> int:
        """The number of entries."""
        return sum(rows * columns for rows, columns in self.shapes)

    def split(self, x: Array) -> tuple[Array, ...]:
        """V_1, ..., V_h, S, A of a vector (n,), or of each of m vectors (m, n): (m, rows, columns)."""
        lead = x.shape[:-1]
        return tuple(
            x[..., at].reshape(*lead, *shape) for at, shape in zip(self.parts, self.shapes, strict=True)
        )

    def joined(self, *parts: Array) -> Array:
        """The vector of V_1, ..., V_h, S, A; with a leading axis, the vectors."""
        lead = parts[0].shape[:-2]
        found: Array = np.concatenate([part.reshape(*lead, -1) for part in parts], axis=-1)
        return found


@dataclass(frozen=True, eq=False)
class NetworkProblem(ProblemPrices):
    """What is minimised over the layers, S and A: J of a model on tasks.

    Parameters
    ----------
    tasks : TaskSet
    model : NetworkModel

    Raises
    ------
    DataError, ModelError
        For tasks or a model that are none.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import NetworkModel, TaskSet
    >>> from amtl_cvx.network import NetworkProblem
    >>> tasks = TaskSet.from_arrays([np.eye(2)], [[1.0, 0.0]])
    >>> problem = NetworkProblem(tasks, NetworkModel(features=1, mu=1.0, alpha=0.5, gamma=2.0, decay=0.25))
    >>> point = problem.at(W1=[[1.0], [-1.0]], S=[[2.0]], A=[[0.25]])
    >>> np.round(point.terms, 12)  # 1/2, .5 * .25 * 1/2, 2, 2 (1 - 1/2)^2, .25 * 2
    array([0.5   , 0.0625, 2.    , 0.5   , 0.5   ])
    """

    tasks: TaskSet
    model: NetworkModel

    def __post_init__(self) -> None:
        check_tasks(self.tasks)
        if not isinstance(self.model, NetworkModel):
            raise ModelError(
                f"expected a NetworkModel, got {shown(self.model)}: give"
                " NetworkModel(layers=(8,), mu=0.1, alpha=0.1, gamma=0.1, decay=0.1)"
            )

    def at(self, **blocks: object) -> NetworkPoint:
        """The problem at W1 (d, k_1), W2 (k_1, k_2), ..., S (k_h, T), A (T, k_h) and the biases, if any.

        Frames are brought into the order of its features and tasks.

        Raises
        ------
        DataError
            For a wrong shape, other names, a block too many or few, or a number that is not finite.
        """
        names = self.model.blocks
        if set(blocks) != set(names):
            raise DataError(f"expected the blocks {', '.join(names)}, got {', '.join(blocks) or 'none'}")
        found = {name: self._checked(blocks[name], name) for name in names}
        layers = [
            _augmented(found[f"W{number}"], found.get(f"bias{number}"))
            for number in range(1, len(self.model.layers) + 1)
        ]
        feedback = _augmented(found["A"], found.get("bias_feedback"))
        return NetworkPoint(self, tuple(map(frozen, layers)), frozen(found["S"].copy()), frozen(feedback))

    def from_vector(self, x: Array) -> NetworkPoint:
        """The problem at the vector x (n,) of all entries (`layout`)."""
        *layers, S, A = (frozen(part.copy()) for part in self.layout.split(np.asarray(x, dtype=float)))
        return NetworkPoint(self, tuple(layers), S, A)

    def _checked(self, value: object, name: str) -> Array:
        """A block as finite doubles, a frame in the order of the tasks and features; else `DataError`."""
        shape, array = self.shapes[name], numbers(value, name)
        if array.shape != shape:
            raise DataError(
                f"{name} must have shape {shape} for {self.tasks.T} tasks, {self.tasks.d} features of the"
                f" data and layers of {', '.join(map(str, self.model.layers))}, it has {array.shape}"
            )
        inputs, tasks = self.tasks.feature_names, self.tasks.names
        sides = {"W1": (inputs, None), "S": (None, tasks), "A": (tasks, None)}
        return in_named_order(array, value, sides[name], name) if name in sides else array

    def check(self) -> None:
        """Raise `DataError` where the tasks do not fit the model."""
        self.model.check(self.tasks)
        _ = self.rows

    @cached_property
    def rows(self) -> Rows:
        """The rows, each once, with their labels."""
        model = self.model
        return Rows.of(self.tasks, rebuilt=model.gamma > 0.0, labelled=model.reconstruct == "labelled")

    @cached_property
    def inputs(self) -> Array:
        """X, with a column of ones where layers have a bias, (N, d) or (N, d + 1)."""
        return frozen(beside_ones(self.rows.X)) if self.model.fit_bias else self.rows.X

    @cached_property
    def gamma(self) -> float:
        """The weight of ||E||_F^2, in total."""
        model = self.model
        per_row = model.gamma_per == "row" and model.gamma > 0.0
        return model.gamma / float(self.rows.times.sum()) if per_row else model.gamma

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the blocks."""
        widths, T = (self.tasks.d, *self.model.layers), self.tasks.T
        every: dict[str, tuple[int, ...]] = {
            "S": (widths[-1], T),
            "A": (T, widths[-1]),
            "bias_feedback": (widths[-1],),
        }
        for number, (rows, columns) in enumerate(zip(widths, widths[1:], strict=False), start=1):
            every |= {f"W{number}": (rows, columns), f"bias{number}": (columns,)}
        return {name: every[name] for name in self.model.blocks}

    @cached_property
    def layout(self) -> Layout:
        """Where each entry stands in a vector of all."""
        model, T = self.model, self.tasks.T
        widths = (self.tasks.d, *model.layers)
        layers = [(rows + model.fit_bias, columns) for rows, columns in zip(widths, widths[1:], strict=False)]
        return Layout((*layers, (widths[-1], T), (T + model.feedback_bias, widths[-1])))

    @property
    def size(self) -> int:
        """The number of entries of all blocks."""
        return self.layout.size

    @cached_property
    def zero(self) -> NetworkPoint:
        """The point 0, at which nothing is learned: a first-order point of every such problem."""
        return self.from_vector(np.zeros(self.size))


def _augmented(weights: Array, bias: Array | None) -> Array:
    """The weights (a copy) with the bias as last row, if there is one."""
    return weights.copy() if bias is None else np.vstack([weights, bias])
