"""The settings of AMTL by the words of the command line: what one says of another, and the model they make.

    --omega mean --rho 0.1                    --omega mean:rho=0.1
    --transfer size-priced-l1 --power 2       --transfer size-priced-l1:power=2

At coupling 0 (`--method stl`) there are no edges to price: mu is 0. Parameters of a penalty, which run.json
holds beside its name, are left out where another penalty is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from amtl_cvx.errors import ModelError
from amtl_cvx.plugins import Plugins, term_words
from amtl_cvx.problem import Model, make_model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import transfers
from amtl_cvx.weights import omegas

NO_OMEGA = "none"
"""What --omega says for no penalty on W where a run or a problem has one."""


class _Term(NamedTuple):
    """A term of J, the parameter that a number alone means, and the one that has an option of its own."""

    setting: str
    plugins: Plugins[Any]
    main: str
    option: str

    @property
    def parameters(self) -> str:
        """The setting with the parameters beside the name."""
        return f"{self.setting}_parameters"


_TERMS = (_Term("transfer", transfers, "mu", "power"), _Term("omega", omegas, "rho", "rho"))


def settled(
    settings: Mapping[str, Any], *, given: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    """As `Family.settled`."""
    settings = dict(settings)
    for term in _TERMS:
        if term.setting in given:
            name, words = term.plugins.split(given[term.setting])
            if term.parameters not in given and (words or name != known.get(term.setting)):
                settings[term.parameters] = None  # they are of another term
        if settings.get(term.option) is not None:
            settings[term.parameters] = _with_option(term, settings)
    if "transfer" in given:
        _, words = transfers.split(given["transfer"])
        settings["mu"] = term_words(words, main="mu").get("mu", settings["mu"])
    if given.get("omega") == NO_OMEGA:
        settings["omega"] = None
    return _without_price(settings)


def _with_option(term: _Term, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a term with that of --rho or --power; 1 stands in for auto.

    Raises
    ------
    ModelError
        Where there is no such term, it says another value itself, or the value is no number.
    """
    option, value, label = term.option, settings[term.option], settings[term.setting]
    if label is None or label == NO_OMEGA:
        raise ModelError(
            f"--{option} is of a penalty on the predictors, there is none: give --{term.setting}"
        )
    if option in term_words(term.plugins.split(label)[1], main=term.main):
        raise ModelError(f"--{term.setting} {label} and --{option} {value} both say {option}: leave one out")
    number = 1.0 if option == "rho" and _is_auto(value) else _number(option, value)
    return {**(settings[term.parameters] or {}), option: number}


def _without_price(settings: dict[str, Any]) -> dict[str, Any]:
    """At coupling 0 there are no edges and mu has no meaning: it is 0 there, whatever was said of it."""
    try:
        alone = float(settings["coupling"]) == 0.0
    except (TypeError, ValueError):
        return settings
    return {**settings, "mu": 0.0} if alone else settings


def made(settings: Mapping[str, Any], tasks: TaskSet) -> Model:
    """As `Family.made`; coupling, mu and rho are 1 where they are left to auto."""
    return make_model(
        loss=settings["loss"],
        reduction=settings["reduction"],
        transfer=settings["transfer"],
        transfer_parameters=settings["transfer_parameters"],
        omega=settings["omega"],
        omega_parameters=settings["omega_parameters"],
        task_weights=settings["task_weights"],
        coupling=1.0 if _is_auto(settings["coupling"]) else _number("coupling", settings["coupling"]),
        mu=1.0 if _is_auto(settings["mu"]) else _number("mu", settings["mu"]),
    ).bind(tasks)


def _is_auto(value: Any) -> bool:
    """Whether a setting is left to the data."""
    return str(value).lower() == "auto"


def _number(name: str, text: Any) -> float:
    """The value of a setting; `ModelError` for what is neither a number nor auto."""
    try:
        return float(text)
    except (TypeError, ValueError) as error:
        raise ModelError(f"--{name} must be a number or auto, got {text!r}") from error
