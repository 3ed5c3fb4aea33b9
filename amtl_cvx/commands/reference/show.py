"""`amtl-cvx reference show`: one pack in words, as far as it claims something."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from amtl_cvx.commands.reference.selection import level_of, read_named
from amtl_cvx.console import say
from amtl_cvx.errors import Exit
from amtl_cvx.reference import Pack
from amtl_cvx.reference.schema import ASKS
from amtl_cvx.untrusted import read_json

_MODEL = (
    *("mu", "transfer_parameters", "coupling", "omega_parameters", "task_weights"),
    *("features", "layers", "alpha", "gamma", "decay", "feedback"),
)


def run(arguments: Namespace) -> Exit:
    """`amtl-cvx reference show`."""
    pack = read_named(arguments.pack)
    if arguments.json:
        content = dict(pack.about)
        if arguments.answer:
            content["answer"] = {name: block.tolist() for name, block in pack.solution.items()}
        say(json.dumps(content, indent=2))
        return Exit.DONE
    say(*_lines(pack))
    if arguments.answer:
        say(*_answer(pack))
    return Exit.DONE


def _lines(pack: Pack) -> Iterator[str]:
    about, claims = pack.about, pack.claims
    yield f"{pack.name}: {about['title']}"
    yield ""
    yield from _problem(pack)
    yield ""
    yield "the answer"
    yield from _objective(claims)
    yield from _certificate(pack)
    yield from _uniqueness(claims)
    yield from _entries(claims)
    yield from _proofs(claims)
    yield from _routes(claims)
    yield from _tolerances(claims)
    failing = [name for name, holds in (claims.get("checks") or {}).items() if not holds]
    if "data" in failing:
        failing.remove("data")
        yield "  data    single precision rounds them, they have more than 24 bits"
    if failing:
        yield f"  checks that do not hold: {', '.join(failing)}"
    yield ""
    origin = about["origin"]
    yield f"origin: {origin.get('generator', 'unknown')}, {origin.get('source', 'unknown')}"
    yield f"files: {len(about['files']) + 1} in {pack.folder}"


def _problem(pack: Pack) -> Iterator[str]:
    about = pack.about
    model = read_json(pack.folder / "problem" / "problem.json")
    rows = sorted(set(about["rows"]))
    counts = f"{rows[0]}" if len(rows) == 1 else f"{rows[0]} to {rows[-1]}"
    yield "the problem"
    task = "" if pack.task is None else f" (task {pack.task}, counted from 0)"
    yield f"  asked   {pack.ask}: {ASKS[pack.ask]}{task}"
    sizes = f"{about['T']} tasks, {about['d']} features, {counts} rows a task"
    yield f"  size    {sizes}, {sum(about['rows'])} in all"
    yield f"  J       {about['formula']}"
    said = [f"{key} {_short(model[key])}" for key in _MODEL if model.get(key) is not None]
    yield f"  model   {model['loss']} loss ({about['reduction']}), {', '.join(said)}"
    if "sample_weight.npy" in model.get("files", {}):
        yield "  rows    have weights (sample_weight)"
    yield f"  B       {about['layout']}"
    yield f"  grade   {about['grade']}; {', '.join(about['traits']) or 'no traits'}"


def _objective(claims: Mapping[str, Any]) -> Iterator[str]:
    objective = claims["objective"]
    decimal = objective.get("decimal") or repr(float.fromhex(objective["hex"]))
    yield f"  J       {decimal}"
    count = objective.get("digits")
    said = f"{count} digits are proven; " if objective.get("proven") else ""
    if count and not said:
        said = f"two derivations share {count} digits, none is proven; "
    yield f"          {said}as a double {objective['hex']}"


def _certificate(pack: Pack) -> Iterator[str]:
    found = pack.claims.get("certificate") or {}
    rungs = found.get("rungs") or {}
    level = level_of(pack)
    if level:
        yield f"  level   {level}"
    for code, rung in rungs.items():
        if rung["state"] != "not tried":
            yield f"          {code} {rung['state']}: {rung['reason']}"
    if not rungs:
        figures = [f"{key} {value:.2g}" for key, value in found.items() if isinstance(value, float)]
        if figures:
            yield f"          {', '.join(figures)}"


def _uniqueness(claims: Mapping[str, Any]) -> Iterator[str]:
    flags = claims.get("unique") or {}
    words = {True: "unique", False: "not unique", None: "not decided"}
    if flags:
        yield f"  unique  {', '.join(f'{name}: {words[flag]}' for name, flag in flags.items())}"
    if claims.get("unique_why"):
        yield f"          {claims['unique_why']}"


def _entries(claims: Mapping[str, Any]) -> Iterator[str]:
    support = claims.get("support")
    if support is not None:
        edges = [" -> ".join(map(str, pair)) if isinstance(pair, list) else str(pair) for pair in support]
        yield f"  edges   {len(edges)}: {', '.join(edges[:12]) or 'none'}{', ...' if len(edges) > 12 else ''}"
    known = [
        f"{words} {claims[key]:.3g}"
        for key, words in (
            ("min_positive_B", "smallest positive entry"),
            ("min_multiplier", "smallest multiplier"),
        )
        if isinstance(claims.get(key), int | float)
    ]
    if known:
        yield f"          {', '.join(known)}"
    condition = claims.get("condition") or {}
    figures = [f"{key} {value:.3g}" for key, value in condition.items() if isinstance(value, int | float)]
    if figures:
        yield f"  cond    {', '.join(figures)}"


def _proofs(claims: Mapping[str, Any]) -> Iterator[str]:
    digits, bound = claims.get("digits"), claims.get("bound")
    if digits:
        strict = ", a strict local minimum" if digits.get("strict_local_min") else ""
        radius = digits.get("radius")
        within = "" if radius is None else f", known within {radius:.2g}"
        yield f"  digits  {digits.get('proven')} of every entry are proven{within}{strict}"
    elif claims.get("digits_why"):
        yield f"  digits  none proven: {claims['digits_why']}"
    if bound:
        yield (
            f"  bound   J is never below {bound['lower']!s:.40}; relative width {float(bound['width']):.2g},"
            f" {bound['method']}"
        )
    elif claims.get("bound_why"):
        yield f"  bound   none: {claims['bound_why']}"
    for k, other in enumerate(claims.get("minima") or (), start=1):
        value = (
            float.fromhex(other["objective"]) if isinstance(other["objective"], str) else other["objective"]
        )
        yield f"  other   first-order point {k}: J {value!r}"


def _routes(claims: Mapping[str, Any]) -> Iterator[str]:
    routes = claims.get("routes")
    if routes:
        ways = f"{routes.get('first')}; {routes.get('second')}"
        yield f"  routes  {ways}: they share {routes.get('digits')} digits"


def _tolerances(claims: Mapping[str, Any]) -> Iterator[str]:
    for dtype, limits in (claims.get("tolerances") or {}).items():
        said = [f"{key} {value:.2g}" for key, value in limits.items() if isinstance(value, int | float)]
        yield f"  within  {dtype}: {', '.join(said)}"


def _answer(pack: Pack) -> Iterator[str]:
    """The blocks, row by row, so that every number is the double it is."""
    for name, block in pack.solution.items():
        yield ""
        yield f"{name} {block.shape}"
        for row in block.reshape(len(block), -1).tolist():
            yield "  " + "  ".join(map(repr, row))


def _short(value: Any) -> str:
    text = json.dumps(value) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
