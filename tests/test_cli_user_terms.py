"""Terms of J as plain functions on the command line: named, stored, found again, missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from test_plugins import run, write_table

from amtl_cvx import transfer as terms
from amtl_cvx.weights import OMEGAS

FILE = """
import cvxpy as cp

def row_max(B, losses):
    return cp.sum(cp.multiply(losses, cp.max(B, axis=1)))

def bent(W):
    return cp.sum(cp.huber(W, 0.5))

def constant():
    return 1.0

nothing = 3
"""


def test_a_function_on_the_command_line_and_back(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rng: np.random.Generator,
) -> None:
    """Named: fit, report and certify. Not named: one line says what is missing, and nothing is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("amtl_cvx.amtl.family.AmtlFamily.pictures", lambda *_, **__: {})
    monkeypatch.setattr("amtl_cvx.amtl.family.AmtlFamily.sections", lambda *_, **__: {})
    Path("my_prices.py").write_text(FILE)
    write_table(Path("data.csv"), rng)
    data, known = ("data.csv", "--task", "shop", "--target", "y"), (dict(terms.TRANSFERS), dict(OMEGAS))

    def forget() -> None:
        sys.modules.pop("my_prices", None)
        for registry, before in zip((terms.TRANSFERS, OMEGAS), known, strict=True):
            registry.clear()
            registry.update(before)

    try:
        own = ("--transfer", "my_prices:row_max:mu=0.1", "--coupling", "1", "--omega", "my_prices:bent:0.2")
        assert run("fit", *data, "--out", "run", *own) == 1  # C1 is no pass
        assert "has no prox" in capsys.readouterr().out
        model = json.loads(Path("run/run.json").read_text())["model"]
        assert (model["transfer"], model["mu"]) == ("my_prices:row_max", 0.1)
        assert (model["omega"], model["omega_parameters"]) == ("my_prices:bent", {"rho": 0.2})
        assert json.loads(Path("run/certificate.json").read_text())["level"] == "C1"
        assert "no solver" in Path("run/report.html").read_text()
        forget()
        assert run("certify", "data.csv", "run") == 2
        said = capsys.readouterr().err
        assert "my_prices:row_max is not known" in said and said.count("\n") == 1
        assert "my_prices" not in sys.modules
        assert run("certify", "data.csv", "run", "--transfer", "my_prices:row_max") == 2
        assert "penalty on W my_prices:bent is not known" in capsys.readouterr().err
        named = ("--transfer", "my_prices:row_max", "--omega", "my_prices:bent")
        assert run("certify", "data.csv", "run", *named) == 1
        assert "C1 eps-partial-optimum" in capsys.readouterr().out
        for term, words in (
            ("my_prices:nothing", "no transfer penalty"),
            ("my_prices:constant", "raises TypeError"),
            ("my_prices:row_max:rho=1", "no parameter but mu"),
        ):
            assert run("fit", *data, "--out", "other", "--transfer", term, "--mu", "1") == 2
            assert words in capsys.readouterr().err
    finally:
        forget()
