"""Settings of the command line: whose they are, who said them, and what is refused beside another family."""

from __future__ import annotations

from argparse import Namespace

from amtl_cvx.commands.settings import check_options, resolve
from amtl_cvx.commands.setup import recorded
from amtl_cvx.errors import ModelError
from amtl_cvx.families import settings_of

GIVEN = {"features": 2, "mu": "0.5", "gamma": 0.25, "decay": 0.125}


def settings_are_of_their_family() -> None:
    """What a problem recommends for AMTL is no price of AMTFL; what a run of AMTFL holds is."""
    advice = {"loss": "logistic", "standardize": True, "coupling": 3.0, "mu": 0.3}
    found = resolve(Namespace(**GIVEN), advice, family="features")
    assert (found["loss"], found["standardize"], found["mu"], found["alpha"]) == ("logistic", True, 0.5, 1.0)
    assert "coupling" not in found
    lacking = {name: value for name, value in GIVEN.items() if name != "mu"}
    told = refused(lambda: resolve(Namespace(**lacking), advice, family="features"))
    assert "--mu" in told and "--gamma" not in told and "without a default" in told
    assert resolve(Namespace(**lacking), advice, run={"mu": 2.0}, family="features")["mu"] == 2.0
    assert resolve(Namespace(), {**advice, "family": "features", **GIVEN}, family="features")["mu"] == 0.5
    for bad in ("auto", "x", "nan-", None):
        assert "--mu" in refused(
            lambda bad=bad: resolve(Namespace(**GIVEN | {"mu": bad}), {}, family="features")
        )
    for bad in (True, float("inf"), "2.0"):
        asked = Namespace(**{**GIVEN, "features": bad})
        assert "whole" in refused(lambda asked=asked: resolve(asked, {}, family="features"))
    assert "whole" in refused(lambda: resolve(Namespace(**GIVEN | {"features": 2.5}), {}, family="features"))


def options_of_another_family_are_refused() -> None:
    """Each option of one alone, beside the others; none of its own. run.json has none of another one."""
    tables = {name: settings_of(name) for name in ("amtl", "features", "go-mtl")}
    for name, table in tables.items():
        assert table is not None
        for whose in tables.values():
            assert whose is not None
            for setting in whose:
                asked = Namespace(**{setting.name: setting.default or (setting.choices or (1,))[0]})
                if setting.name in {own.name for own in table}:
                    check_options(asked, table)
                    assert setting.name in recorded(asked, table), (name, setting.name)
                else:
                    told = refused(lambda asked=asked, table=table: check_options(asked, table))
                    assert setting.option in told and table.methods[0] in told and "\n" not in told
                    assert recorded(asked, table) == {}


def refused(call: object) -> str:
    """The line with which a call is refused; an assertion where it is not."""
    assert callable(call)
    try:
        call()
    except ModelError as error:
        return str(error)
    raise AssertionError("it was not refused")
