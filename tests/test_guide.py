"""The guide is true: chapters run and print what they show, links lead somewhere, api.md is not stale."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import io
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cases import SourceGroupL2

import amtl_cvx
from amtl_cvx.certificate import LEVELS
from amtl_cvx.cli import build_parser
from amtl_cvx.runfolder import folder as run_folder

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "reports" / "guide"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"guide_{name}", GUIDE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(chapter: str) -> str:
    return (GUIDE / f"{chapter}.md").read_text(encoding="utf-8")


def sketch(folder: Path, *what: Any) -> None:
    for name in ("graph.png", "graph.graphml", "report.html"):
        (folder / name).touch()


api, chapters = script("api"), script("chapters")
PAGES = chapters.chapters()
SLOW = {
    "features",
    "adapt",
    "backends",
    "commands",
    "compare",
    "extend",
    "landscape",
    "machines",
    "methods",
    "networks",
    "scikit_learn",
    "tune",
    "verify",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in PAGES]
)
def test_a_chapter_runs_and_prints_what_it_shows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "write_pictures", sketch)
    with chapters.workplace(tmp_path):
        for block, found in chapters.printed(PAGES[name].read_text(encoding="utf-8")):
            advice = f"run python reports/guide/chapters.py {name}\n{found}"
            assert block[3] is None or chapters.same(found, block[3]), advice


def test_outputs_are_compared_by_words_and_numbers() -> None:
    line = "C2: residual 2e-15, J 144.19, 10 edges in 0.2 s"
    assert chapters.same("C2: residual 8e-16, J 144.192, 10 edges in 1.3 s\n", line)
    assert chapters.same("C2: anything\nin 0.2 s", "C2: ... in 0.2 s")
    for wrong in (
        "C3: residual 2e-15, J 144.19, 10 edges in 0.2 s",
        line.replace("10 e", "11 e"),
        line + " more",
    ):
        assert not chapters.same(wrong, line)
    assert not chapters.same("C2: in 0.2 s", "C2: ... in all 0.2 s")


def test_a_command_that_ends_otherwise_is_found() -> None:
    with pytest.raises(RuntimeError, match="exit 2"):
        chapters.command("amtl-cvx fit nothing.csv --out run")
    with pytest.raises(RuntimeError, match="exit 0"):
        chapters.command("amtl-cvx --version  # exit 1")


def test_what_is_in_a_block_of_a_shell_is_ours_or_known() -> None:
    for page in PAGES.values():
        blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for line in "".join(blocks).replace("\\\n", " ").splitlines():
            assert line.startswith(("amtl-cvx ", chapters.CHECKER, "python3 -m venv ", *chapters.OTHERS))


LINKS = [
    (page, link)
    for page in sorted(GUIDE.glob("*.md"))
    for link in sorted(set(re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))))
]


@pytest.mark.parametrize(("page", "link"), LINKS, ids=[f"{page.stem}-{link}" for page, link in LINKS])
def test_links_lead_to_files_and_headings(page: Path, link: str) -> None:
    path, _, heading = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    assert target.is_file()
    if heading:
        titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert heading in {
            re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles
        }


def test_every_chapter_is_in_both_lists() -> None:
    for index in (ROOT / "README.md", GUIDE / "README.md"):
        listed = set(re.findall(r"(\w+)\.md\)", index.read_text(encoding="utf-8")))
        assert {page.stem for page in GUIDE.glob("*.md")} - {"README"} <= listed


def test_the_options_of_the_levels_exist() -> None:
    """The commands of the chapter on certificates parse, and the levels are those of the package."""
    chapter = text("verify")
    assert re.findall(r"^\| (C\d) ([\w-]+) ", chapter, flags=re.MULTILINE) == list(LEVELS.items())
    assert re.findall(r"^\| (C\d) ([\w-]+) ", text("theory"), flags=re.MULTILINE) == list(LEVELS.items())
    block = chapter.split("```text\n")[1].split("```")[0]
    commands = re.findall(r"^amtl-cvx (.*?)(?:  +#.*)?$", block, flags=re.MULTILINE)
    levels = [build_parser().parse_args(command.split()).level for command in commands]
    assert levels == ["C3", "C4", "C5", "C4"]


def test_every_command_is_named_and_no_other() -> None:
    parser = build_parser()
    actions = [action for action in parser._actions if action.dest == "command"]
    block = text("commands").split("```text\n")[1].split("```")[0]
    assert set(re.findall(r"^amtl-cvx (\w+)", block, flags=re.MULTILINE)) == set(actions[0].choices or ())


def test_the_example_of_a_penalty_is_the_tested_one() -> None:
    for method in ("prox", "value", "expression"):
        body = inspect.getsource(getattr(SourceGroupL2, method)).split(":\n", 1)[1]
        assert body.strip() in text("extend")


def test_the_order_of_modules_is_complete() -> None:
    modules = {path.stem for path in (ROOT / "amtl_cvx").iterdir() if not path.stem.startswith("_")}
    modules -= {"report.html", "py"}
    house = text("contributing").split("## The house")[1]
    assert {name for name in modules if f"`{name}`" not in house} == set()


def test_the_api_page_is_that_of_the_docstrings() -> None:
    assert text("api") == api.page(), "run python reports/guide/api.py"


def test_the_tables_are_those_of_their_script() -> None:
    for file, rows in script("shops").draw().items():
        lines = (GUIDE / file).read_text(encoding="utf-8").splitlines()
        assert [line.split(",") for line in lines[1:]] == rows


def test_essays_cite_sections_that_exist() -> None:
    sections = {int(number) for number in re.findall(r"^## (\d+)\.", text("theory"), flags=re.MULTILINE)}
    for path in (ROOT / "amtl_cvx").rglob("*.py"):
        for cited in re.findall(r"theory\.md[, ]+sections? ([\d, and\n]+)", path.read_text(encoding="utf-8")):
            assert {int(number) for number in re.findall(r"\d+", cited)} <= sections


PUBLIC = {name: getattr(amtl_cvx, name) for name in amtl_cvx.__all__}
FURTHER = api.further()
FINDER = doctest.DocTestFinder()
EXAMPLES = [test for name, value in (PUBLIC | FURTHER).items() for test in FINDER.find(value, name, globs={})]
LONG = {"amtl_cvx.reference.judge.judge"}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example(name: str) -> None:
    assert any(test.examples and test.name.split(".")[0] == name for test in EXAMPLES)


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(test, id=test.name, marks=pytest.mark.slow if test.name in LONG else ())
        for test in EXAMPLES
        if test.examples
    ],
)
def test_examples_of_docstrings_run(example: doctest.DocTest) -> None:
    said = io.StringIO()
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=said.write)
    assert not said.getvalue()


def test_first_lines_stand_alone() -> None:
    """One line, a sentence that refers to nothing above it, for every public name and method."""
    for name, value in (PUBLIC | FURTHER).items():
        methods = api.members(value) if isinstance(value, type) else ()
        for called, found in [(name, value), *((f"{name}.{member}", found) for member, found in methods)]:
            first, *rest = (inspect.getdoc(found) or "").split("\n")
            assert first.endswith((".", ";", ":")) and not (rest and rest[0]), called
            assert not re.search(r"module essay|map above|\bsee the\b", first), called
