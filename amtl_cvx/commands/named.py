"""`--method NAME` for the methods of the paper's tables: a name stands for a method and its settings.

    --method mtfl --rho 0.1        --method stl --coupling 0 --mu 0 --omega trace-squared --rho 0.1

A command translates the name first (`translated`); what follows knows methods and settings of a family alone.
A setting that the name fixes may be said again, but not otherwise. What a name leaves open is its own
parameters; other settings of the model are those of the family's default, whatever a problem recommends, so
that a name means the same on all data. Where the name is that of a method of a family (stl, go-mtl, ...), all
settings of the family stay open as they always were.

run.json keeps the name beside the arguments that it stands for, so that the run can be repeated either way.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from amtl_cvx.errors import ModelError
from amtl_cvx.families import all_settings, settings_of
from amtl_cvx.families.settings.named import NAMED, NamedMethod

_TERMS = ("transfer", "omega")
"""Settings that are a name, which parameters may follow."""
_NONE: Mapping[str, str] = {"omega": "none"}
"""What an option says for a setting that is to be absent."""


def translated(arguments: Namespace) -> Namespace:
    """The arguments with the settings that the name of a method stands for, and the name as `named`.

    Raises
    ------
    ModelError
        For an option that contradicts the name.
    """
    method = NAMED.get(str(getattr(arguments, "method", None)))
    if method is None:
        return arguments
    values = {**vars(arguments), "named": method.name, "method": method.method}
    if method.name != method.method:
        for setting, fixed in _settings(method).items():
            values[setting] = _agreed(method, setting, fixed, values.get(setting))
    return Namespace(**values)


def left_open(arguments: Namespace) -> Namespace:
    """The arguments of a fit in which what the name leaves open, and nobody says, is chosen from the data.

    Recommended prices of a problem are for another penalty than that of most names.
    """
    method = method_of(arguments)
    if method is None:
        return arguments
    values = vars(arguments)
    table = settings_of(method.family)
    auto = {} if table is None else {name: _AUTO for name in table.auto if _is_open(method, name, values)}
    if method.name == "stl" and values["mu"] is None:
        auto["mu"] = 0.0  # there are no edges
    return Namespace(**{**values, **auto})


_AUTO = "auto"


def method_of(arguments: Namespace) -> NamedMethod | None:
    """The named method that is asked for, None where it has no name of its own."""
    return NAMED.get(str(getattr(arguments, "named", None)))


def _is_open(method: NamedMethod, name: str, values: Mapping[str, Any]) -> bool:
    """Whether a parameter of a method is nowhere said."""
    parameter = next((each for each in method.parameters if each.name == name), None)
    if parameter is None or values.get(name) is not None or method.name == "amtl":
        return False
    if parameter.into is None:
        return True
    term, key = parameter.into
    said = str(values.get(term) or "").partition(":")[2]
    return not said and key not in (values.get(f"{term}_parameters") or {})


def _settings(method: NamedMethod) -> dict[str, Any]:
    """What the name says of the model: what it fixes, and the defaults of what is no parameter of its own."""
    table = settings_of(method.family)
    assert table is not None
    own = {each.name for each in method.parameters}
    inner = {each.into[1] for each in method.parameters if each.into is not None}
    left = {
        each.name: each.default if each.default is not None else _NONE.get(each.name)
        for each in table.model
        if each.name not in own | inner
    }
    return {**left, **method.fixed}


def _agreed(method: NamedMethod, setting: str, fixed: Any, given: Any) -> Any:
    """The value of a setting that the name fixes; `ModelError` where another one is given."""
    if given is None:
        return fixed
    if setting in _TERMS and str(given).partition(":")[0] == fixed:
        return given  # with a parameter of the method
    if str(given) == str(fixed) or _number(given) == _number(fixed) is not None:
        return fixed
    option = f"--{setting.replace('_', '-')}"
    raise ModelError(
        f"--method {method.name} is {words(method)}: {option} {given} contradicts it, leave one of both out"
    )


def words(method: NamedMethod) -> str:
    """The options that a name stands for."""
    told = [f"--method {method.method}"]
    told += [f"--{name.replace('_', '-')} {value:g}" if isinstance(value, float) else f"--{name.replace('_', '-')} {value}" for name, value in method.fixed.items()]
    return " ".join(told)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
