"""Run the chapters of the guide and write into them what they print.

    python reports/guide/chapters.py [CHAPTER ...]

runs README.md and the chapters beside this script (or those named, `verify`), each from its top to its
bottom in an empty folder in which `reports` is that of the project. A `python` block is executed with the
names of the blocks before it, a line of an `sh` block that is a command of ours is run, and an `output` block
that follows holds what was printed. A block whose first line is a comment with the name of a file is written
to that file, to be imported or compiled; a line that calls the compiler or pytest is run as it stands.
tests/test_guide.py runs the same, and compares.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from amtl_cvx.cli import main
from amtl_cvx.enclosure import checker

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n(?:\n```output\n(.*?)^```\n)?", flags=re.MULTILINE | re.DOTALL)
PICTURES = {
    "first_graph": {"out/shops/graph.png": "shops-graph.png"},
    "tune": {"tuned/heatmap.png": "shops-tuning.png"},
    "compare": {"out/methods/gains.png": "shops-gains.png"},
}
"""Pictures of a chapter: where its commands leave them, and what they are called here."""
CHECKER = "python -m amtl_cvx.enclosure.checker "
OTHERS = ("c++ ", "pytest ")
"""Programs that are not ours and that lines of a shell may call."""
_FILE = re.compile(r"(?:#|//) (\w+\.(?:py|cpp))\n")
_SECONDS = re.compile(r"\d[\d.e+-]* s\b")
_RULE = re.compile("\N{BOX DRAWINGS LIGHT HORIZONTAL}+")  # as wide as the seconds above it need
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_NEAR, _ROUNDING = 0.01, 1e-5


def chapters() -> dict[str, Path]:
    """README.md and the chapters that have something to run, by name."""
    pages = {"README": ROOT / "README.md"} | {page.stem: page for page in sorted(HERE.glob("[!R]*.md"))}
    return {
        name: page for name, page in pages.items() if re.search(r"^```(python|sh)$", page.read_text(), re.M)
    }


def command(line: str) -> None:
    """One line of a shell; a line that is no command of ours is left to the reader.

    A comment "exit 1" says that this is how it ends.
    """
    words, code = shlex.split(line, comments=True), 0
    if line.startswith(OTHERS):
        return other(words)
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            if line.startswith("amtl-cvx "):
                code = main(words[1:])
            elif line.startswith(CHECKER):
                code = checker.main(words[3:])
        except SystemExit as stop:
            code = int(stop.code or 0)
    _forget()
    expected = re.search(r"# exit (\d+)", line)
    if code != (int(expected[1]) if expected else 0):
        raise RuntimeError(f"{line}: exit {code}\n{said.getvalue()}")
    print("\n".join(line for line in said.getvalue().splitlines() if line.startswith("error: ")))


def other(words: list[str]) -> None:
    """A program that is not ours, and what it prints; of pytest the last line."""
    known = {"pytest": [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]}
    found = subprocess.run([*known.get(words[0], words[:1]), *words[1:]], capture_output=True, text=True)
    if found.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit {found.returncode}\n{found.stdout}{found.stderr}")
    said = found.stdout.splitlines()[-1:] if words[0] == "pytest" else [found.stdout]
    print(*(re.sub(r"(\d)s\b", r"\1 s", text) for text in said))


def printed(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Every block of a page that runs, and what it prints; the current folder is where it works."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        language, code = block[1], block[2]
        named = _FILE.match(code)
        if named:
            Path(named[1]).write_text(code, encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            if language == "python" and not named:
                exec(compile(code, "a block of the guide", "exec", dont_inherit=True), names)
            elif language == "sh":
                for line in code.replace("\\\n", " ").splitlines():
                    command(line)
        if language in ("python", "sh"):
            yield block, out.getvalue()


def same(found: str, stored: str) -> bool:
    """Whether two outputs say the same: words alike, numbers within a hundredth, both rounding, or seconds.

    A "..." in what is stored stands for anything.
    """
    words = found.split()
    first, *others = [part.split() for part in stored.split("...")]
    if not others:
        return _alike(words, first)
    last, lost = others[-1], len(words) - len(first) - len(others[-1])
    ends = _alike(words[: len(first)], first) and _alike(words[len(words) - len(last) :], last)
    return lost >= 0 and ends and len(others) == 1


def _alike(found: list[str], stored: list[str]) -> bool:
    pair = [_SECONDS.sub("some s", _RULE.sub("-", " ".join(words))) for words in (found, stored)]
    if _NUMBER.sub("#", pair[0]) != _NUMBER.sub("#", pair[1]):
        return False
    numbers = zip(*(map(float, _NUMBER.findall(text)) for text in pair), strict=True)
    return all(abs(a - b) <= max(_NEAR * max(abs(a), abs(b)), _ROUNDING) for a, b in numbers)


@contextlib.contextmanager
def workplace(folder: Path) -> Iterator[None]:
    """That folder, with the project's reports in it, as the current one; its modules can be imported."""
    before = Path.cwd()
    (folder / "reports").symlink_to(ROOT / "reports", target_is_directory=True)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        _forget()
        sys.path.remove(str(folder))
        os.chdir(before)


def _forget() -> None:
    """Modules of the current folder are read anew when they are imported again."""
    for name, module in list(sys.modules.items()):
        place = getattr(module, "__file__", None)
        if place and Path(place).resolve().parent == Path.cwd().resolve():
            del sys.modules[name]


def written(text: str) -> str:
    """The page with new outputs in the place of old ones, where these say something else."""
    parts, end = [], 0
    for block, out in printed(text):
        if block[3] is not None and not same(out, block[3]):
            lines = "".join(f"{line.rstrip()}\n" for line in out.strip().splitlines())
            parts += [text[end : block.start(3)], lines]
            end = block.end(3)
    return "".join([*parts, text[end:]])


if __name__ == "__main__":
    for name in sys.argv[1:] or chapters():
        with tempfile.TemporaryDirectory() as folder, workplace(Path(folder)):
            page = chapters()[name]
            page.write_text(written(page.read_text()))
            for place, picture in PICTURES.get(name, {}).items():
                shutil.copy(place, HERE / picture)
