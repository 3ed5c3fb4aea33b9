"""`amtl-cvx reference verify`: every claim of packs computed again, and what does not hold."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING

from amtl_cvx.commands.reference.selection import places_of
from amtl_cvx.commands.setup import interruptible
from amtl_cvx.console import say
from amtl_cvx.errors import Exit, ModelError
from amtl_cvx.progress import Progress
from amtl_cvx.runfolder import to_json

if TYPE_CHECKING:
    from amtl_cvx.reference.verify import Finding


def run(arguments: Namespace) -> Exit:
    """`amtl-cvx reference verify`."""
    if arguments.all == bool(arguments.packs):
        raise ModelError(
            "expected names of packs, or --all, and not both: `amtl-cvx reference list` names them"
        )
    if arguments.jobs < 1:
        raise ModelError(f"--jobs must be a whole number >= 1, got {arguments.jobs}")
    places = places_of(arguments.packs, arguments.folder)
    from amtl_cvx.reference.verify import verify_all  # and with it all that it computes

    start, bad = time.monotonic(), 0
    with interruptible(), Progress(quiet=arguments.quiet or arguments.json, tol=1e-8) as progress:
        progress.phase(f"verifying {len(places)} packs")
        done = 0

        def observe(place: str, findings: tuple[Finding, ...]) -> None:
            nonlocal done, bad
            done, bad = done + 1, bad + (not all(finding.holds for finding in findings))
            failed = f", {bad} with a claim that does not hold" if bad else ""
            progress.passing(f"{done} of {len(places)} packs verified{failed}: {place.rpartition('/')[2]}")

        processes = min(arguments.jobs, len(places))
        found = verify_all(places, processes=processes, extras=not arguments.no_extras, observe=observe)
    named = {place.rpartition("/")[2]: findings for place, findings in found.items()}
    if arguments.json:
        say(to_json(_content(named)).rstrip())
    elif not arguments.quiet:
        say(*_lines(named, every=len(named) == 1))
        claims = sum(len(findings) for findings in named.values())
        end = f"{bad} packs have a claim that does not hold" if bad else "all claims hold"
        say(f"{len(named)} packs, {claims} claims in {time.monotonic() - start:.0f} s: {end}")
    return Exit.UNCERTIFIED if bad else Exit.DONE


def _lines(found: Mapping[str, tuple[Finding, ...]], *, every: bool) -> list[str]:
    """A line for every pack, and below it for what does not hold; with `every` for what holds as well."""
    lines = []
    for name, findings in found.items():
        failed = [finding for finding in findings if not finding.holds]
        verdict = "does not hold" if failed else "holds"
        lines.append(f"{name}: {verdict}, {len(findings) - len(failed)} of {len(findings)} claims")
        lines += [
            f"  {'holds' if finding.holds else 'FAILS'}  {finding.name}: {finding.words}"
            for finding in (findings if every else failed)
        ]
    return lines


def _content(found: Mapping[str, tuple[Finding, ...]]) -> dict[str, object]:
    return {
        name: {
            "holds": all(finding.holds for finding in findings),
            "claims": {
                finding.name: {"holds": finding.holds, "words": finding.words} for finding in findings
            },
        }
        for name, findings in found.items()
    }
