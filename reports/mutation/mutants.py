# More than 300 lines: one kind of mutant after another.
"""Mutants of the package: one small change of one place of one function each, and a seeded sample of them.

Libraries were weighed: mutmut puts all mutants into one file behind switches, so that neither the planted
faults (which read the source of a function) nor compiled code see the program that is tested; the operators
of cosmic-ray give every sum eleven other signs and do not know what goes wrong here: a term that is
forgotten, a minimum for a maximum, a transpose, a limit or a rounding room that is doubled, an end of a ball
for the other. `_CHANGES` has those, on the syntax tree; a place is replaced in the text, so that the rest of
the file stays as it is.

No mutants are made of words (strings, messages of errors, docstrings), annotations, assertions (`strict` of
zip among them), imports, and of what only spares memory or a check for NaN (`_SPARED`).

The sample of a package is what comes first in the order of a hash of seed and key. The key of a mutant names
file, function and change, not the line: a change elsewhere in the file leaves the sample as it was.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

PACKAGES = {
    "certificate": "certificate",
    "digits": "digits",
    "enclosure": "enclosure",
    "refine": "refine",
    "steps": "subproblems",
}
"""Name in the report and folder in the package."""
_SHOWN = 70  # characters of a change that its key shows
_TELLING = 12  # characters below which a change is shown with what it stands in
_COMPARED = {
    ast.Lt: ("<=", ">="),
    ast.LtE: ("<", ">"),
    ast.Gt: (">=", "<="),
    ast.GtE: (">", "<"),
    ast.Eq: ("!=",),
    ast.NotEq: ("==",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
}
_SIGNS = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "/",
    ast.Pow: "*",
    ast.BitAnd: "|",
    ast.BitOr: "&",
}
_PAIRS = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("argmin", "argmax"),
    ("any", "all"),
    ("floor", "ceil"),
    ("lower", "upper"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
)
_NAMES = {**dict(_PAIRS), **{b: a for a, b in _PAIRS}}
_IDLE = ("abs", "sqrt", "copy", "sorted", "conj")
"""Functions of one argument that may be left out."""
_CHOICES = ("min", "max", "minimum", "maximum", "where")
"""Functions of which one argument may be taken."""
_SPARED = ("strict", "check_finite", "overwrite_a", "overwrite_b")
"""Keywords that change no result."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`old` at `start` of the text of `path` (below the package) becomes `new`.

    Attributes
    ----------
    key : str
        Names it for ever, as long as its function has that place.
    function : str
        The text of the whole function: a result holds while it stays.
    """

    package: str
    path: str
    key: str
    start: int
    old: str
    new: str
    line: int
    function: str

    def planted(self, text: str) -> str:
        """The text of the file with the mutant in it."""
        assert text[self.start :].startswith(self.old), f"{self.key}: the file has changed"
        return text[: self.start] + self.new + text[self.start + len(self.old) :]

    @property
    def digest(self) -> str:
        """Of the function and the change."""
        return hashlib.sha256(f"{self.function}\0{self.old}\0{self.new}".encode()).hexdigest()[:16]


def sample(root: Path, package: str, *, count: int, seed: int) -> list[Mutant]:
    """The first `count` mutants of a package of the project at `root`, in the order of the seed."""
    folder = root / "amtl_cvx" / PACKAGES[package]
    found = [each for path in sorted(folder.glob("*.py")) for each in mutants(root, package, path)]
    order = sorted(found, key=lambda each: hashlib.sha256(f"{seed} {each.key}".encode()).digest())
    return list(islice((each for each in order if is_program((root / each.path).read_text(), each)), count))


def mutants(root: Path, package: str, path: Path) -> Iterator[Mutant]:
    """All mutants of one file; some are no program, or no other one (`is_program`)."""
    text, name = path.read_text(), str(path.relative_to(root / "amtl_cvx"))
    source, counts = _Source(text), dict[str, int]()
    for owner, node, body, context in _places(source, ast.parse(text)):
        for target, new in _changes(source, node):
            start, end = source.span(target)
            old = text[start:end]
            key = f"{name}:{owner}: {_short(old)} -> {_short(new)}"
            if len(old) < _TELLING:
                key += f" in {_short(context)}"
            counts[key] = counts.get(key, 0) + 1
            yield Mutant(
                package=package,
                path=f"amtl_cvx/{name}",
                key=key if counts[key] == 1 else f"{key} [{counts[key]}]",
                start=start,
                old=old,
                new=new,
                line=target.lineno,
                function=body,
            )


def _short(text: str) -> str:
    words = " ".join(text.split())
    if len(words) <= _SHOWN:
        return words
    return f"{words[:_SHOWN]}...{hashlib.sha256(words.encode()).hexdigest()[:4]}"


def is_program(text: str, mutant: Mutant) -> bool:
    """Whether the changed file is a program, and another one."""
    try:
        changed = ast.parse(mutant.planted(text))
    except SyntaxError:
        return False
    return ast.dump(changed) != ast.dump(ast.parse(text))


class _Source:
    """A text and where the nodes of its tree stand in it."""

    def __init__(self, text: str) -> None:
        self.text, self._lines, self._starts = text, text.splitlines(keepends=True), [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._at(node.lineno, node.col_offset), self._at(node.end_lineno, node.end_col_offset)

    def of(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def _at(self, line: int, column: int) -> int:
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())


Place = tuple[str, ast.AST, str, str]


def _places(
    source: _Source, tree: ast.AST, owner: str = "", body: str = "", context: str = ""
) -> Iterator[Place]:
    """Every node that may change, with name and text of its function and the text that it stands in."""
    for node in _children(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inside = isinstance(node, ast.FunctionDef) and not body
            text = source.of(node) if inside else body
            yield from _places(source, node, f"{owner}.{node.name}".lstrip("."), text)
        elif not isinstance(node, ast.JoinedStr | ast.Assert | ast.Import | ast.ImportFrom) and not (
            isinstance(node, ast.keyword) and node.arg in _SPARED
        ):
            whole = source.of(node) if isinstance(node, ast.expr | ast.stmt) else ""
            around = whole if len(whole) >= _TELLING else context
            yield owner or "module", node, body or (whole if isinstance(node, ast.stmt) else ""), around
            if not isinstance(node, ast.Raise):
                yield from _places(source, node, owner, body, around)


def _children(tree: ast.AST) -> Iterator[ast.AST]:
    skipped = ("annotation", "returns", "decorator_list", "type_params", "bases")
    for name, value in ast.iter_fields(tree):
        if name in skipped:
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST):
                yield node


Change = tuple[ast.expr | ast.stmt, str]


def _changes(source: _Source, node: ast.AST) -> Iterator[Change]:
    """What stands for the node, or for a part of it, instead."""
    for kind, change in _CHANGES:
        if isinstance(node, kind):
            yield from change(source, node)


def _compared(source: _Source, node: ast.Compare) -> Iterator[Change]:
    if len(node.ops) == 1:
        for sign in _COMPARED[type(node.ops[0])]:
            yield node, f"({source.of(node.left)} {sign} {source.of(node.comparators[0])})"


def _sum(source: _Source, node: ast.BinOp) -> Iterator[Change]:
    if any(isinstance(side, ast.JoinedStr) or _is_text(side) for side in (node.left, node.right)):
        return
    left, right = f"({source.of(node.left)})", f"({source.of(node.right)})"
    if type(node.op) in _SIGNS:
        yield node, f"({left} {_SIGNS[type(node.op)]} {right})"
    if isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.BitAnd | ast.BitOr):
        yield node, left
    if isinstance(node.op, ast.Add | ast.Mult | ast.BitAnd | ast.BitOr):
        yield node, right
    if isinstance(node.op, ast.Sub):
        yield node, f"(-{right})"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _sign(source: _Source, node: ast.UnaryOp) -> Iterator[Change]:
    if isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        yield node, f"({source.of(node.operand)})"


def _and_or(source: _Source, node: ast.BoolOp) -> Iterator[Change]:
    parts = [f"({source.of(value)})" for value in node.values]
    yield node, f"({(' or ' if isinstance(node.op, ast.And) else ' and ').join(parts)})"
    joined = " and " if isinstance(node.op, ast.And) else " or "
    for k in range(len(parts)):
        yield node, f"({joined.join(parts[:k] + parts[k + 1 :])})"


def _either(source: _Source, node: ast.IfExp) -> Iterator[Change]:
    yield node, f"({source.of(node.body)})"
    yield node, f"({source.of(node.orelse)})"


def _condition(source: _Source, node: ast.If | ast.While) -> Iterator[Change]:
    yield node.test, "False"
    if isinstance(node, ast.If):
        yield node.test, "True"


def _filter(source: _Source, node: ast.comprehension) -> Iterator[Change]:
    for test in node.ifs:
        yield test, "True"


def _number(source: _Source, node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield node, str(not value)
    elif isinstance(value, int):
        yield node, str(value + 1)
        if value > 0:
            yield node, str(value - 1)
    elif isinstance(value, float):
        yield from [(node, repr(2.0 * value)), (node, repr(value / 2.0))] if value else [(node, "1.0")]


def _call(source: _Source, node: ast.Call) -> Iterator[Change]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name in _NAMES:
        before = source.of(node.func)[: -len(name)]
        yield node.func, before + _NAMES[name]
    if name in _IDLE:
        inner = node.args[0] if node.args else getattr(node.func, "value", None)
        if inner is not None:
            yield node, f"({source.of(inner)})"
    if name in _CHOICES and not node.keywords:
        for argument in node.args[1:] if name == "where" else node.args if len(node.args) > 1 else ():
            yield node, f"({source.of(argument)})"
    for k in range(len(node.keywords)):
        if node.keywords[k].arg in _SPARED:
            continue
        rest = [source.of(each) for each in node.args]
        rest += [
            f"{each.arg}={source.of(each.value)}" if each.arg else f"**{source.of(each.value)}"
            for each in (*node.keywords[:k], *node.keywords[k + 1 :])
        ]
        yield node, f"{source.of(node.func)}({', '.join(rest)})"


def _transposed(source: _Source, node: ast.Attribute) -> Iterator[Change]:
    if node.attr == "T" and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "tasks")):
        yield node, f"({source.of(node.value)})"


def _part(source: _Source, node: ast.Subscript) -> Iterator[Change]:
    if isinstance(node.slice, ast.Slice):
        if node.slice.lower is not None:
            upper = "" if node.slice.upper is None else source.of(node.slice.upper)
            yield node.slice, f":{upper}"  # type: ignore[misc]
        if node.slice.upper is not None:
            lower = "" if node.slice.lower is None else source.of(node.slice.lower)
            yield node.slice, f"{lower}:"  # type: ignore[misc]


def _statement(source: _Source, node: ast.stmt) -> Iterator[Change]:
    if isinstance(node, ast.Expr):
        left_out = not isinstance(node.value, ast.Constant | ast.Yield | ast.YieldFrom)
    elif isinstance(node, ast.Assign):
        left_out = not isinstance(node.targets[0], ast.Name | ast.Tuple)
    else:
        left_out = isinstance(node, ast.AugAssign | ast.Raise | ast.Break | ast.Continue)
    if left_out:
        yield node, "pass"


_CHANGES = (
    (ast.Compare, _compared),
    (ast.BinOp, _sum),
    (ast.UnaryOp, _sign),
    (ast.BoolOp, _and_or),
    (ast.IfExp, _either),
    (ast.If, _condition),
    (ast.While, _condition),
    (ast.comprehension, _filter),
    (ast.Constant, _number),
    (ast.Call, _call),
    (ast.Attribute, _transposed),
    (ast.Subscript, _part),
    (ast.stmt, _statement),
)


def by_package(root: Path, *, count: int, seed: int, only: Sequence[str] = ()) -> list[Mutant]:
    """`count` mutants of each package, or of those named."""
    return [each for name in only or PACKAGES for each in sample(root, name, count=count, seed=seed)]
