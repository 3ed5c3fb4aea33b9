"""The README is true: its Python example runs, its commands exist, its file links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from amtl_cvx.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
SHELL = [code for language, code in BLOCKS if language == "sh"]


def test_it_is_a_front_door() -> None:
    assert len(README.splitlines()) <= 150 and len(PYTHON) == 1


def test_the_python_example_runs_and_is_certified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(PYTHON[0], "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("C2 first-order-verified")
    assert (tmp_path / "out" / "towns" / "report.html").is_file()


def test_the_first_command_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = SHELL[0].split("amtl-cvx ")[1].replace("out/digits", str(tmp_path / "digits")).split()
    assert words[:2] == ["fit", "digits"]
    assert main(words) == 0
    assert (tmp_path / "digits" / "report.html").is_file()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_links_lead_to_files(link: str) -> None:
    assert (ROOT / link.partition("#")[0]).is_file()
