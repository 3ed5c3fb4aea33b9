"""What a named method is made of: its family and method, the settings that it fixes, and its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from amtl_cvx.errors import ModelError

Unit = Literal["", "curvature", "price"]
_FIT = "fit"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """What a grid may go over.

    Parameters
    ----------
    name, words : str
        As it is written, and what it is.
    values : tuple
        The grid where nobody gives one, in units of `unit`.
    unit : {"", "curvature", "price"}
        What a value of 1 is on the data.
    into : (setting, key), optional
        The term whose parameter it is: ("omega", "rho"); ("fit", "reading") is a setting of the fit
        (`Options`). By default it is a setting of the model by itself.
    kind : callable
        `float`, `int` or `str`.
    """

    name: str
    words: str
    values: tuple[Any, ...]
    unit: Unit = ""
    into: tuple[str, str] | None = None
    kind: type = float


@dataclass(frozen=True, kw_only=True)
class NamedMethod:
    """A method by its name in the paper's tables.

    Parameters
    ----------
    name, title : str
        As it is asked for, and as a table calls it.
    family, method : str
        The family and its method that fit it.
    parameters : tuple of Parameter
        What is to be chosen, the most important one first.
    fixed : mapping
        Settings that the name stands for.
    convex : bool
        Whether its problem is convex: every fit ends at the same objective, wherever it begins.
    rounds : bool
        Whether it goes in rounds, after each of which it may be stopped.
    words, source : str
        What it is, and where it is from.

    Examples
    --------
    >>> from amtl_cvx.families.settings.named import named
    >>> named("mtfl").settings({"rho": 0.5})
    {'coupling': 0.0, 'mu': 0.0, 'omega': 'trace-squared:rho=0.5'}
    """

    name: str
    title: str
    family: str
    method: str
    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    convex: bool = False
    rounds: bool = False
    words: str = ""
    source: str = ""

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name; `ModelError` lists those there are."""
        for each in self.parameters:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.parameters) + (", rounds" if self.rounds else "")
        raise ModelError(f"{self.name} has no parameter {name!r}: choose among {known}")

    def settings(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of the family's table that parameters stand for, beside those of the name."""
        settings = dict(self.fixed)
        for name, value in parameters.items():
            place = self.parameter(name).into
            if place is not None and place[0] == _FIT:
                continue
            if place is None:
                settings[name] = value
                continue
            setting, key = place
            joined = "," if ":" in settings[setting] else ":"
            settings[setting] = f"{settings[setting]}{joined}{key}={value!r}"
        return settings

    def running(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of the fit (`Options`) that parameters stand for."""
        places = {name: self.parameter(name).into for name in parameters}
        return {place[1]: parameters[name] for name, place in places.items() if place and place[0] == _FIT}
