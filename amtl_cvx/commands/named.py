"""`--method NAME` for the methods of the paper's tables: a name stands for a method and its settings.

    --method mtfl --rho 0.1        --method stl --coupling 0 --mu 0 --omega trace-squared --rho 0.1

A command translates the name first (`translated`), and knows methods and settings of a family alone from
then on. A setting that the name fixes may be said again, but not otherwise. What a name leaves open are its
parameters; all else of the model is as the family has it by default, whatever a problem recommends, so that
a name means the same on all data. Where the name is that of a method of its family (stl, go-mtl, ...), all
settings of the family stay open as they were.

run.json keeps the name as `named`, beside the arguments that it stands for: a run can be repeated either way.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.families import Settings, settings_of
from amtl_cvx.families.settings.named import NAMED, NamedMethod, Parameter

_AUTO = "auto"
_TERMS = ("transfer", "omega")
"""Settings that are a name, which parameters may follow."""


def translated(arguments: Namespace) -> Namespace:
    """The arguments with what the name of a method stands for, and the name itself as `named`.

    Raises
    ------
    ModelError
        For an option that contradicts the name.
    """
    method = NAMED.get(str(getattr(arguments, "method", None)))
    if method is None or (method.name == "stl" and getattr(arguments, "omega", None) is not None):
        return arguments  # with a penalty on W it is another method of the tables, or none
    values = {**vars(arguments), "named": method.name, "method": method.method}
    if method.name != method.method:
        for setting, said in _said(method).items():
            if setting in values:
                values[setting] = _agreed(method, setting, said, values[setting])
    return Namespace(**values)


def left_open(arguments: Namespace) -> Namespace:
    """The arguments of a fit in which the data choose what the name leaves open and nobody says.

    What a problem recommends is for AMTL: under another penalty its coupling and mu mean something else.
    """
    method = method_of(arguments)
    table = None if method is None else settings_of(method.family)
    values = vars(arguments)
    if method is None or table is None:
        return arguments
    if method.name == "curriculum-simple" and values["mu"] is None:
        return Namespace(**{**values, **method.fixed})  # no edge of its chain has a price
    if _as_recommended(method, table):
        return arguments
    known = {each.name: each for each in method.parameters}
    auto = {name: _AUTO for name in table.auto if name in known and _unsaid(known[name], values)}
    return Namespace(**{**values, **auto})


def method_of(arguments: Namespace) -> NamedMethod | None:
    """The named method that is asked for; None where a method is asked for by its family's name alone."""
    return NAMED.get(str(getattr(arguments, "named", None)))


def check_said(arguments: Namespace, settings: Mapping[str, Any]) -> None:
    """`ModelError` for a parameter of the name that is nowhere said, where nothing is chosen."""
    method = method_of(arguments)
    for parameter in () if method is None else method.parameters:
        if parameter.into is not None and parameter.default is None and _unsaid(parameter, settings):
            raise ModelError(
                f"--method {called(arguments)} needs {_option(parameter.name)}, which only a fit chooses from"
                " the data: give a number"
            )


def called(arguments: Namespace) -> str:
    """What the method is called in tables: by its name, else as in its family."""
    method = method_of(arguments)
    return str(arguments.method) if method is None else method.name


def words_of(method: NamedMethod) -> str:
    """The options that a name stands for, those apart that are so by default."""
    table = settings_of(method.family)
    usual = {"omega": "none"} if table is None else {**table.defaults, "omega": "none"}
    fixed = [(name, value) for name, value in method.fixed.items() if value != usual.get(name)]
    return " ".join(
        [f"--method {method.method}", *(f"{_option(name)} {_shown(value)}" for name, value in fixed)]
    )


def title_line(arguments: Namespace) -> list[str]:
    """A line that says which method a name is, where it is not a method of a family by itself."""
    method = method_of(arguments)
    if method is None or method.name == method.method:
        return []
    return [f"{method.title}: {method.words} ({words_of(method)})"]


def _as_recommended(method: NamedMethod, table: Settings) -> bool:
    """Whether the terms of the method are those for which a problem recommends weights."""
    defaults = {"transfer": table.defaults.get("transfer"), "omega": "none"}
    return all(method.fixed.get(name, default) == default for name, default in defaults.items())


def _unsaid(parameter: Parameter, values: Mapping[str, Any]) -> bool:
    """Whether a parameter is nowhere said, by its option or in its term."""
    if values.get(parameter.name) is not None:
        return False
    if parameter.into is None:
        return True
    term, key = parameter.into
    _, _, said = str(values.get(term) or "").partition(":")
    return not said and key not in (values.get(f"{term}_parameters") or {})


def _said(method: NamedMethod) -> dict[str, Any]:
    """What the name says of the model: what it fixes, and of the rest what is no parameter, by default."""
    table = settings_of(method.family)
    assert table is not None
    own = {each.name for each in method.parameters}
    rest = {each.name: each.default for each in table.model if each.name not in own}
    return {**rest, **method.fixed}


def _agreed(method: NamedMethod, setting: str, said: Any, given: Any) -> Any:
    """The value of a setting of which the name says what it is; `ModelError` where another one is given."""
    if given is None:
        return said
    if setting in _TERMS and str(given).partition(":")[0] == said:
        return given  # with parameters of the method
    if str(given) == str(said) or (_number(said) is not None and _number(given) == _number(said)):
        return said
    option = _option(setting)
    if said is None:
        having = ", ".join(name for name, each in NAMED.items() if _has(each, setting))
        raise ModelError(f"--method {method.name} has no {option}, which is of {having}: leave it out")
    raise ModelError(
        f"--method {method.name} stands for {option} {_shown(said)}, not for {given}: leave {option} out, or"
        f" say --method {method.method} for any other"
    )


def _has(method: NamedMethod, setting: str) -> bool:
    """Whether a setting is a parameter of a method."""
    return any(each.name == setting for each in method.parameters)


def _option(setting: str) -> str:
    return f"--{setting.replace('_', '-')}"


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
