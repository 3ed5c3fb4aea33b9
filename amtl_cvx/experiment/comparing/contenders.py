"""Contenders: what is compared, each a named method with the grid it is tuned over.

Contender(method="amtl", grid={"coupling": (1, 10), "mu": (0.01, 0.1), "rounds": range(1, 11)})
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.experiment.candidate import ROUNDS
from amtl_cvx.experiment.tuning.axes import Axis, Grid, Value, axes_of
from amtl_cvx.families.settings.named import NamedMethod, named

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A method that is compared.

    Parameters
    ----------
    name : str
        What tables call it; by default the name of its method.
    method : str
        One of the named methods (`families.settings.named`).
    grid : mapping, or sequence of Axis or str, optional
        As `tune` takes it; a parameter that is not in it has the default grid of the method.
    settings : mapping
        Settings that are held: the loss, the reduction, parameters that are not tuned.

    Raises
    ------
    ModelError
        For a method that there is not, and a grid over what is no parameter of it.

    Examples
    --------
    >>> from amtl_cvx.experiment.comparing import Contender
    >>> Contender(method="mtfl", grid={"rho": (0.1, 1.0)}).name
    'mtfl'
    """

    name: str = ""
    method: str
    grid: Grid | None = None
    settings: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)

    def __post_init__(self) -> None:
        known, axes = self.named, axes_of(self.grid)
        for axis in axes:
            if axis.name != ROUNDS or not known.rounds:
                known.parameter(axis.name)
        object.__setattr__(self, "grid", {axis.name: _plain(axis) for axis in axes})
        object.__setattr__(self, "method", known.name)
        object.__setattr__(self, "name", self.name or known.name)

    @property
    def named(self) -> NamedMethod:
        """The method."""
        return named(self.method)

    @property
    def title(self) -> str:
        """What a table calls it."""
        return self.named.title if self.name == self.method else self.name


def _plain(axis: Axis) -> Sequence[Value] | Axis:
    """The values of an axis; the axis itself where its scale is not the one that values have."""
    return axis.values if Axis(axis.name, axis.values).scale == axis.scale else axis


def check_contenders(contenders: Sequence[Contender], baseline: str | None) -> None:
    """`ModelError` unless there are contenders with names of their own, the baseline among them."""
    if not contenders:
        raise ModelError("nothing to compare: give a method at least")
    called = [contender.name for contender in contenders]
    for name in called:
        if called.count(name) > 1:
            raise ModelError(f"{name!r} is compared twice: leave one out, or give each a name of its own")
    if baseline is not None and baseline not in called:
        raise ModelError(f"the baseline {baseline!r} is none of {', '.join(called)}: add it, or name another")
