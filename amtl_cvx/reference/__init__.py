"""Reference packs: problems with answers that can be trusted, and a judge for faster back ends.

    pack = read_pack("tiny-...")                 # or a folder; every byte is held against its SHA-256
    pack.problem, pack.solution, pack.claims     # the problem, its answer, and what is known of it

The chapters:

    canonical    the one text of pack.json, so that no byte of it can change
    decimals     decimals as texts
    content      what a pack holds, held against its problem
    schema       what pack.json holds
    formulas     what a pack minimises, in a line
    pack         a pack, read
    writing      and written
    made         a user's own problem and its answer as a pack
    claims       what is known of an answer, computed
    verify       ... and computed again
    formats      packs in the formats of others
    readers      readers of packs in three languages
    judge        the judge of back ends
    checks       the judge within the tests of a back end

Packs live in `problems/reference/packs`, inside the wheel, and are data: nothing of a pack is executed.
Source of the habits: NIST StRD (certified digits), posteriordb (nothing is published unless all checks pass).
"""

from __future__ import annotations

from amtl_cvx.reference.pack import Pack, pack_names, packs_folder, read_pack
from amtl_cvx.reference.writing import write_pack

__all__ = ["Pack", "pack_names", "packs_folder", "read_pack", "write_pack"]
