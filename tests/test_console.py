"""The console: nothing steers the terminal; a stream that is closed, full or left is no failure."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from command_line import GIVEN, Run, T, arrays, assert_error

from amtl_cvx.cli import main
from amtl_cvx.console import MAX_LINE, clean, one_line
from amtl_cvx.errors import Exit

FIT = ("fit", "a.npz", "--out", "run", *GIVEN)


class Full(io.StringIO):
    """A device without space."""

    def write(self, text: str, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_no_character_of_a_name_steers_the_terminal() -> None:
    every = "".join(map(chr, (*range(0x3000), *range(0xD800, 0xE000), *range(0xFE00, 0x10000))))
    left = {unicodedata.category(character) for character in clean(every)}
    assert not left & {"Cc", "Cs", "Zl", "Zp"}
    assert clean("\x1b[2J\r\u202e") == r"\x1b[2J\r\u202e" and clean("Größe 東京 π") == "Größe 東京 π"


def test_a_message_is_one_line_of_a_bounded_length() -> None:
    assert one_line("a\n b\x07") == r"a b\x07"
    long = one_line("start " + "\x1b" * 10**5 + " end")
    assert len(long) == MAX_LINE and long.startswith("start ") and " ... " in long and long.endswith(" end")


def test_names_in_results_errors_and_warnings_are_clean(run: Run) -> None:
    names = [f"\x1b[31mtask {t}\x9b" for t in range(T)]
    np.savez("a.npz", **arrays(task_names=names))
    answer = run(*FIT)
    assert answer.code == 0 and not {"\x1b", "\x9b"} & set(answer.out + answer.err)
    assert r"\x1b[31mtask" in answer.out
    assert_error(run("fit", "\x1b]0;x\x07.npz", "--out", "run"), r"\x1b]0;x\x07.npz")
    assert_error(run("\x1b[2J"), r"\x1b[2J")
    assert_error(run("plot", "run", "--out", "x" * 10**4))


def test_data_for_a_program_are_as_they_are_and_clean_on_a_terminal(
    run: Run, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_json = fitted / "run.json"
    run_json.write_text(run_json.read_text().replace('"task 0"', r'"\u001b[31mtask 0"'))
    np.savez("new.npz", X=arrays()["X"][:2], task=[0, 1])
    assert "\x1b[31mtask 0" in run("predict", "run", "new.npz").out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = run("predict", "run", "new.npz").out
    assert "\x1b" not in shown and r"\x1b[31mtask 0" in shown and len(shown.splitlines()) == 3


@pytest.mark.parametrize("state", ["none", "closed", "full"])
@pytest.mark.parametrize("stream", ["stdout", "stderr", "stdin"])
def test_a_stream_that_is_not_there_is_no_failure(
    run: Run, fitted: Path, monkeypatch: pytest.MonkeyPatch, stream: str, state: str
) -> None:
    gone = None if state == "none" else Full()
    if state == "closed" and gone is not None:
        gone.close()
    monkeypatch.setattr(sys, stream, gone)
    code = main(["certify", "a.npz", "run"])
    assert code == (Exit.USAGE if (stream, state) == ("stdout", "full") else Exit.DONE)
    assert main(["certify", "none.npz", "run"]) == Exit.USAGE
    assert getattr(sys, stream) is gone


def test_results_that_have_no_space_are_one_line(
    run: Run, fitted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    for argv in (["certify", "a.npz", "run", "--json"], ["predict", "run", "a.npz"], ["solvers"], ["--help"]):
        monkeypatch.setattr(sys, "stdout", Full())
        try:
            code = main(argv)
        except SystemExit as stop:
            code = int(stop.code or 0)
        error = capsys.readouterr().err
        assert code == 2 and error.startswith("error: cannot write to standard output: No space left"), argv
        assert len(error.splitlines()) == 1


def test_descriptors_that_are_closed_or_full() -> None:
    command = f"'{sys.executable}' -m amtl_cvx"
    for line, code in (
        (f"{command} --help >&-", 0),
        (f"{command} fit --nope 2>&-", 2),
        (f"{command} --help >/dev/full", 2),
        (f"{command} fit --nope 2>/dev/full", 2),
        (f"{command} --help | true", 0),
    ):
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, check=False
        )
        assert done.returncode == code, (line, done.stderr)
        assert "Traceback" not in done.stderr and len(done.stderr.splitlines()) <= 1
        assert code == 2 or not done.stderr


@pytest.mark.parametrize("columns", ["0", "1", "-3", "x", "99999999"])
def test_any_width_of_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "dumb")
    for argv in (["solvers"], ["fit", "--help"]):
        answer = run(*argv)
        assert answer.code == 0 and answer.err == "" and len(answer.out) < 50_000


def test_the_settings_of_numpy_in_the_process_do_not_count(run: Run) -> None:
    np.savez("a.npz", **arrays(X=arrays()["X"] * 1e-170))
    with np.errstate(all="raise"):  # a product of two entries is below the smallest double
        assert run(*FIT).code in (0, 1)
