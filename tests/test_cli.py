"""The command line itself: help, exit codes of bugs, pipes, warnings, and what is installed."""

from __future__ import annotations

import json
import logging
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import GIVEN, D, Run, T, arrays, listing

from amtl_cvx.cli import build_parser
from amtl_cvx.errors import Exit

FIT = import_module("amtl_cvx.commands.fit")
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


COMMANDS = ("", "fit", "tune", "explore", "certify", "export", "predict", "plot", "solvers")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_that_parse_and_the_exit_codes(run: Run, command: str) -> None:
    shown = run(*([command] if command else []), "--help").out
    examples = [line.strip() for line in shown.splitlines() if line.startswith("  amtl-cvx ")]
    assert examples and all(command in line for line in examples)
    for line in examples:
        words = shlex.split(line.partition(" && ")[0])[1:]
        assert build_parser().parse_args(words).command == (command or words[0])
    codes = {int(line[:5]) for line in shown.split("exit codes:\n")[1].splitlines()}
    assert {0, 2, 70, 130} <= codes <= {int(code) for code in Exit}
    assert (3 in codes) == (command in ("", "fit", "tune", "explore"))
    assert (1 in codes) == (command in ("", "fit", "explore", "certify"))
    assert max(map(len, shown.splitlines())) <= 100


def test_solvers_lists_every_extra_of_the_package(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from amtl_cvx.solvers import extras as module

    rows = json.loads(run("solvers", "--json").out)["extras"]
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    offered = project["optional-dependencies"]
    needed = {
        (re.split(r"[\[>]", need)[0], extra)
        for extra, needs in offered.items()
        for need in needs
        if extra != "test"
    }
    assert {(row["name"], row["extra"]) for row in rows} == needed
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert all(f'pip install "amtl-cvx[{row.extra}]"' in row.reason for row in module())
    assert not any(row.usable for row in module())


def test_fit_json_is_one_object_and_certify_quiet_is_silent(run: Run) -> None:
    np.savez("a.npz", **arrays())
    answer = run("fit", "a.npz", "--out", "run", "--json", "--quiet", "--test", "0.2", *GIVEN)
    content = json.loads(answer.out)
    assert answer.code == 0 and set(content) == {"status", "certificate", "where", "scores"}
    assert content["certificate"] == json.loads(Path("run/certificate.json").read_text())
    assert (content["status"], content["where"]) == ("certified", "run")
    assert content["scores"] == json.loads(Path("run/run.json").read_text())["scores"] != {}
    assert run("certify", "a.npz", "run", "--quiet") == (0, "", "")
    assert run("certify", "a.npz", "run", "--quiet", "--coupling", "2") == (1, "", "")


def test_verbose_says_what_is_done(run: Run) -> None:
    np.savez("a.npz", **arrays())
    silent, told = (run("fit", "a.npz", "--out", "run", *GIVEN, *more) for more in ((), ("-v",)))
    assert not silent.err and told.out.splitlines()[:-1] == silent.out.splitlines()[:-1]
    lines = told.err.splitlines()
    assert lines and all(line.startswith("info: ") for line in lines)
    assert any("3 tasks, 4 features, 36 rows" in line for line in lines)
    assert logging.getLogger("amtl_cvx").level == logging.NOTSET


def test_completion_is_written_by_shtab(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("shtab")
    answer = run("--print-completion", "bash")
    assert answer.code == 0 and "--validation" in answer.out and "_shtab_compgen_files" in answer.out
    script = answer.out + "\nCOMP_WORDS=(amtl-cvx cer); COMP_CWORD=1; _shtab_amtl_cvx; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["certify"]
    monkeypatch.setitem(sys.modules, "shtab", None)
    answer = run("--print-completion", "zsh")
    assert answer.code == 2 and 'pip install "amtl-cvx[completion]"' in answer.err
