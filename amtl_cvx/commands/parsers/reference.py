"""`amtl-cvx reference`: the arguments of what it does."""

from __future__ import annotations

import argparse

from amtl_cvx.commands.parsers.base import Commands, Parser, command
from amtl_cvx.commands.parsers.shared import add_data, add_method, add_model, add_quiet, path
from amtl_cvx.errors import Exit

EXAMPLES = (
    ("reference list --loss logistic", "which problems there are"),
    ("reference show tiny-t2-d1-mean", "one of them, its answer and what is proven of it"),
    ("reference verify --all", "every claim computed again"),
    ("reference judge mine.py:Mine", "what is wrong with a back end of your own"),
)
_FAILED = {Exit.DONE: "done, and every claim holds", Exit.UNCERTIFIED: "done, but a claim does not hold"}
_JUDGED = {Exit.DONE: "every check passes, or fails as expected", Exit.UNCERTIFIED: "a check fails"}
_MADE = {
    Exit.DONE: "done",
    Exit.UNCERTIFIED: "nothing was written: the certificate does not pass",
}
CODES = (Exit.DONE, Exit.UNCERTIFIED, Exit.USAGE, Exit.BUG, Exit.INTERRUPTED)


def add(commands: Commands) -> None:
    """Add the command and what it does."""
    reference = command(
        commands,
        "reference",
        help="problems with answers to trust, and a judge for other code",
        examples=EXAMPLES,
        codes=CODES,
        words={Exit.DONE: "done", Exit.UNCERTIFIED: "done, but a claim or a check fails"},
    )
    actions = reference.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    for each in (_list, _show, _verify, _make, _export, _judge):
        each(actions)


def _list(actions: Commands) -> None:
    examples = (
        ("reference list", "all of them"),
        ("reference list 'tiny-*' --level C5", "by name, and with a proven global minimum"),
        ("reference list --loss logistic --tasks 5..40", "by loss and by size"),
        ("reference list --names --ask w-step", "names alone, for a script"),
    )
    each = command(actions, "list", help="which packs there are", examples=examples)
    each.add_argument("patterns", nargs="*", metavar="NAME", help="names, * and ? as in a shell")
    group = each.add_argument_group("which of them")
    for option, words in (
        ("--loss", "of this loss: squared, logistic, ..."),
        ("--reduction", "mean or sum"),
        ("--transfer", "of this penalty on B"),
        ("--omega", "of this penalty on W"),
        ("--family", "of this family of models: amtl, features, network, ..."),
        ("--ask", "joint, single-task, curriculum, w-step, b-step, one-task"),
        ("--grade", "easy, average or hard"),
    ):
        group.add_argument(option, metavar="NAME", help=words)
    group.add_argument("--tasks", metavar="A..B", help="T from A to B; N, A.. and ..B will do")
    group.add_argument("--features", metavar="A..B", help="d from A to B")
    group.add_argument("--level", metavar="C3", help="certified at this level or above it")
    group.add_argument("--digits", type=int, metavar="N", help="at least N digits of J are proven")
    group.add_argument("--bound", action="store_true", help="with an exact lower bound of J")
    group.add_argument("--trait", metavar="TEXT", help="with this in one of its traits or in its title")
    _folder(each)
    each.add_argument("--names", action="store_true", help="print names alone, one a line")
    each.add_argument("--json", action="store_true", help="print JSON")


def _show(actions: Commands) -> None:
    examples = (
        ("reference show tiny-t2-d1-mean", "in words"),
        ("reference show tiny-t2-d1-mean --answer", "and its answer, number by number"),
        ("reference show tiny-t2-d1-mean --json", "pack.json, for a script"),
    )
    each = command(
        actions, "show", help="one pack: the problem, its answer, what is claimed", examples=examples
    )
    _pack(each)
    each.add_argument("--answer", action="store_true", help="print the blocks of the answer as well")
    each.add_argument("--json", action="store_true", help="print pack.json as JSON")


def _verify(actions: Commands) -> None:
    examples = (
        ("reference verify --all", "every claim of every pack, within minutes"),
        ("reference verify tiny-t2-d1-mean mine/", "of some, a folder among them"),
        ("reference verify --all --no-extras", "at first-order level, without mpmath and python-flint"),
    )
    each = command(
        actions,
        "verify",
        help="compute every claim of packs again, and check the proofs that are stored",
        examples=examples,
        codes=CODES,
        words=_FAILED,
    )
    each.add_argument("packs", nargs="*", metavar="PACK", help="names, * and ? as in a shell, or folders")
    each.add_argument("--all", action="store_true", help="all packs of the package")
    each.add_argument("--jobs", type=int, default=2, metavar="N", help="work in N processes (2)")
    each.add_argument(
        "--no-extras",
        action="store_true",
        help="leave out what needs the extra [verify], even where it is installed",
    )
    _folder(each)
    each.add_argument("--json", action="store_true", help="print JSON")
    add_quiet(each)


def _make(actions: Commands) -> None:
    examples = (
        ("reference make rows.csv run --out packs/mine", "a run of fit, its digits and its proof with it"),
        ("reference make problem/ W-and-B.npz --out packs/mine", "an exported problem and an answer to it"),
        (
            "reference make rows.csv --coupling 1 --mu 0.1 --prove --out packs/mine",
            "a problem, which is fitted",
        ),
        ("reference make rows.csv run --out packs/mine --grade hard --trait 'n < d'", "said of it"),
    )
    each = command(
        actions,
        "make",
        help="a pack of your own problem and its answer",
        examples=examples,
        codes=CODES,
        words=_MADE,
    )
    add_data(each)
    each.add_argument(
        "solution",
        nargs="?",
        type=path,
        metavar="RUN",
        help="a run folder, whose digits.json and proof.json are kept, or blocks in any layout of certify;"
        " without it the problem is fitted, at a tolerance of 1e-12",
    )
    each.add_argument(
        "--out", type=path, required=True, metavar="DIR", help="folder to write: absent or empty"
    )
    each.add_argument("--name", metavar="NAME", help="what the pack is called (default: the name of DIR)")
    each.add_argument("--title", metavar="TEXT", help="a sentence about it (default: its data and model)")
    each.add_argument(
        "--grade", choices=("easy", "average", "hard"), default="average", help="how hard (average)"
    )
    each.add_argument(
        "--trait", action="append", default=[], metavar="TEXT", help="a trait of it, as often as needed"
    )
    each.add_argument("--tol", type=float, metavar="X", help="tolerance (default: run.json's, 1e-8)")
    each.add_argument("--ridge", type=float, metavar="X", help="start of a curriculum (default: run.json's)")
    each.add_argument(
        "--prove", action="store_true", help="prove digits where the run has none (needs the extra [verify])"
    )
    each.add_argument(
        "--uncertified",
        action="store_true",
        help="write it also where the certificate does not pass, and say so in it",
    )
    add_method(each, "what the answer claims to solve (default: run.json's)")
    add_model(each)
    add_quiet(each)


def _export(actions: Commands) -> None:
    examples = (
        ("reference export tiny-t2-d1-mean --out p.mat", "by the name of the file: .npz .mat .json .h5"),
        ("reference export tiny-t2-d1-mean --format csv --out p", "a folder of tables"),
        ("reference export 'tiny-*' --format npz --out packs", "several, a file each in a folder"),
        ("reference export --reader cpp --out read_pack.cpp", "a reader of packs, at most 60 lines"),
    )
    each = command(
        actions, "export", help="packs in the formats of others, and readers of packs", examples=examples
    )
    each.add_argument("packs", nargs="*", metavar="PACK", help="names, * and ? as in a shell, or folders")
    each.add_argument("--all", action="store_true", help="all packs of the package")
    each.add_argument(
        "--format",
        metavar="NAME",
        help="pack, npy, csv (folders), npz, mat, json, hdf5 (default: by the end of --out, else pack)",
    )
    each.add_argument(
        "--reader",
        metavar="LANGUAGE",
        help="python, cpp, octave (MATLAB as well): the source of a reader, beside the packs or alone",
    )
    each.add_argument(
        "--out", type=path, metavar="PLACE", help="file or folder to write; a reader alone is printed without"
    )
    _folder(each)


def _judge(actions: Commands) -> None:
    examples = (
        ("reference judge mine.py:Mine", "a Python object of a file, or of a module: package.module:Mine"),
        ("reference judge ./solve --loss squared,logistic", "an executable: ./solve IN_DIR OUT_DIR"),
        ("reference judge ./solve --html report.html --junit report.xml", "with a page, and for a CI"),
        ("reference judge --solution found.npz --pack tiny-t2-d1-mean", "one answer, from anywhere"),
    )
    each = command(
        actions,
        "judge",
        help="judge a back end, or one answer: what is right, what is wrong, and the likely cause",
        examples=examples,
        codes=CODES,
        words=_JUDGED,
    )
    each.add_argument(
        "target",
        nargs="?",
        metavar="TARGET",
        help="module:Object, file.py:Object, or an executable that is called as TARGET IN_DIR OUT_DIR",
    )
    each.add_argument(
        "--solution",
        type=path,
        metavar="FILE",
        help="one answer instead of a back end: blocks in .npz, .json, .mat, a folder of .npy or .csv, a run",
    )
    each.add_argument("--pack", metavar="PACK", help="the pack that the answer is of")
    group = each.add_argument_group("what is checked")
    group.add_argument("--levels", metavar="L0,L1", help="L0 to L5, with commas between them (default: all)")
    group.add_argument(
        "--packs",
        metavar="A,B",
        help="names, * and ?, or folders, with commas (default: two dozen small ones of every kind)",
    )
    group = each.add_argument_group("what the back end supports (default: what the object says, else all)")
    group.add_argument("--loss", metavar="A,B", help="losses")
    group.add_argument("--reduction", metavar="A,B", help="mean, sum")
    group.add_argument("--transfer", metavar="A,B", help="penalties on B")
    group.add_argument("--omega", metavar="A,B", help="penalties on W")
    group.add_argument("--row-weights", action="store_true", default=None, help="weights of rows")
    group.add_argument("--dtype", choices=("float64", "float32"), help="in what it computes")
    group = each.add_argument_group("limits for each call")
    group.add_argument("--timeout", type=float, metavar="SECONDS", help="time (10), of a Python object too")
    group.add_argument(
        "--memory",
        type=float,
        metavar="MIB",
        help="memory of an executable, address space (4096; inf: no limit)",
    )
    each.add_argument("--json", action="store_true", help="print JSON")
    each.add_argument("--junit", type=path, metavar="FILE", help="write JUnit XML")
    each.add_argument(
        "--html", type=path, metavar="FILE", help="write one page, with a picture per failed check"
    )
    add_quiet(each)


def _pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pack", metavar="PACK", help="the name of a pack, or the folder of one")


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=path, metavar="DIR", help="packs of this folder instead of those of the package"
    )
