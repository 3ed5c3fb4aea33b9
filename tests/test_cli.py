"""The command line itself: help, exit codes of bugs, pipes, warnings, and what is installed."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import GIVEN, D, Run, T, arrays, listing

from amtl_cvx.errors import Exit

FIT = import_module("amtl_cvx.commands.fit")  # the module; `commands.fit` is its function
SETUP = import_module("amtl_cvx.commands.setup")


def test_a_bug_shows_its_traceback_and_is_exit_70(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*args: Any, **settings: Any) -> None:
        raise KeyError("W")

    monkeypatch.setattr(SETUP, "read", stumble)
    answer = run("fit", "a.npz", "--out", "new/run", *GIVEN)
    assert answer.code == Exit.BUG == 70 and answer.out == "" and not listing(tmp_path)
    *trace, last = answer.err.splitlines()
    assert trace[0].startswith("Traceback") and "in stumble" in answer.err and trace[-1] == "KeyError: 'W'"
    assert last == "error: a bug in amtl_cvx, please report it with the lines above"


def test_solvers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = json.loads(run("solvers", "--json").out)["solvers"]
    assert {"CLARABEL", "OSQP", "SCS"} <= {row["name"] for row in rows}
    assert all(row["usable"] or row["reason"] for row in rows)
    answer = run("solvers")
    assert answer.code == 0 and all(row["name"] in answer.out for row in rows)
    assert any("B-cone (default)" in row["role"] for row in rows)
    assert "GPU" in answer.out and "B-cone" in answer.out and "…" not in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


@pytest.mark.parametrize("command", ["", "fit", "certify", "predict", "plot", "solvers"])
def test_help_names_every_option(run: Run, command: str) -> None:
    answer = run(*([command] if command else []), "--help")
    assert answer.code == 0 and answer.err == "" and answer.out.startswith("usage: amtl-cvx")


def test_a_closed_pipe_is_no_failure(fitted: Path, run: Run) -> None:
    line = f"set -o pipefail; {sys.executable} -m amtl_cvx certify a.npz run --json | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


WARNING = "W-step: no solver reached its accuracy (SCS: user_limit)"


@pytest.mark.parametrize(
    "quiet, shown", [((), f"warning: {WARNING}\nwarning: another\n"), (("--quiet",), "")]
)
def test_a_warning_is_shown_once_and_never_when_quiet(
    run: Run, monkeypatch: pytest.MonkeyPatch, quiet: tuple[str, ...], shown: str
) -> None:
    log, fit = logging.getLogger("amtl_cvx.solvers"), FIT.fit_method

    def warn(*args: Any, **settings: Any) -> Any:
        for _ in range(3):
            log.warning("W-step: no solver reached its accuracy (%s)", "SCS: user_limit")
        log.warning("another")
        log.info("nobody asked")
        return fit(*args, **settings)

    np.savez("a.npz", **arrays())
    monkeypatch.setattr(FIT, "fit_method", warn)
    assert run("fit", "a.npz", "--out", "run", *GIVEN, *quiet)[::2] == (0, shown)
    assert not logging.getLogger("amtl_cvx").handlers


@pytest.mark.parametrize("command", ["certify", "predict"])
def test_other_commands_warn_too(run: Run, fitted: Path, command: str) -> None:
    lines = [",".join(["", "kind", *(f"x{j}" for j in range(D)), "price"])]
    lines += [f"{i},task {i % T}," + ",".join(["1.5"] * D) + ",2" for i in range(T)]
    Path("a.csv").write_text("\n".join(lines))
    words = ["certify", "a.csv", "run"] if command == "certify" else ["predict", "run", "a.csv"]
    answer = run(*words, "--task", "kind", "--target", "price")
    assert answer.code == (1 if command == "certify" else 0) and len(answer.err.splitlines()) == 1
    assert answer.err.startswith("warning: a.csv: the first column has no name")
