"""The README is true: its Python example runs, its commands exist, its file links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from amtl_cvx.cli import build_parser, main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [code for language, code in BLOCKS if language == "sh"]


def python(word: str) -> str:
    """The Python block with that word."""
    return next(code for code in PYTHON if word in code)


def test_the_python_example_runs_and_is_certified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(PYTHON[0], "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("C2 first-order-verified")
    assert (tmp_path / "out" / "towns" / "report.html").is_file()


@pytest.mark.slow
def test_the_example_of_a_pool_gives_the_single_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(PYTHON[0] + python("fit_many"), "README.md", "exec"), names)
    for model, solution in zip(names["grid"], names["solutions"], strict=True):
        assert (names["fit"](names["tasks"], model).W == solution.W).all() and solution.certificate.passes


def test_the_example_of_a_level_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(PYTHON[0] + python("second_order"), "README.md", "exec"), names)
    assert names["certificate"].level == "C3"
    lines = capsys.readouterr().out.splitlines()[-7:]
    assert [line[:2] for line in lines[:6]] == ["C0", "C1", "C2", "C3", "C4", "C5"]
    assert " reached " in lines[3] and "reduced Hessian" in lines[6]


def test_the_options_of_the_levels_exist() -> None:
    """The commands of the chapter on certificates parse, and the levels are those of the package."""
    from amtl_cvx.certificate import LEVELS

    chapter = README.split("## What a certificate means")[1].split("## ")[0]
    assert re.findall(r"^\| (C\d) ([\w-]+) ", chapter, flags=re.MULTILINE) == list(LEVELS.items())
    commands = re.findall(r"^    amtl-cvx (.*?)(?:  +#.*)?$", chapter, flags=re.MULTILINE)
    levels = [build_parser().parse_args(command.split()).level for command in commands]
    assert levels == ["C3", "C4", "C5", "C4"]


def test_the_example_of_a_penalty_is_the_tested_one() -> None:
    import inspect

    from cases import SourceGroupL2

    for method in ("prox", "value", "expression"):
        body = inspect.getsource(getattr(SourceGroupL2, method)).split(":\n", 1)[1]
        assert body.strip() in python("class SourceGroupL2")


def test_the_first_command_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = SHELL[0].split("amtl-cvx ")[1].replace("out/digits", str(tmp_path / "digits")).split()
    assert words[:2] == ["fit", "digits"]
    assert main(words) == 0
    assert (tmp_path / "digits" / "report.html").is_file()


def test_every_command_is_named_and_no_other() -> None:
    parser = build_parser()
    actions = [action for action in parser._actions if action.dest == "command"]
    assert set(re.findall(r"^amtl-cvx (\w+)", SHELL[2], flags=re.MULTILINE)) == set(actions[0].choices or ())


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_links_lead_to_files(link: str) -> None:
    assert (ROOT / link).is_file()


def test_the_order_of_modules_is_complete() -> None:
    modules = {path.stem for path in (ROOT / "amtl_cvx").iterdir() if not path.stem.startswith("_")}
    modules -= {"report.html", "py"}
    house = README.split("## The house")[1]
    assert {name for name in modules if f"`{name}`" not in house} == set()
