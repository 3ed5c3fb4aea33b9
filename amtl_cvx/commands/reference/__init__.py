"""`amtl-cvx reference`: problems with answers to trust, and a judge for other code.

    list      which packs there are
    show      one of them in words
    verify    every claim computed again
    make      a pack of a user's own problem and its answer
    export    packs in the formats of others, and readers
    judge     what is right of a back end, or of one answer

Each is the function `run` of the module of its name, imported when it is asked for: `list` and `show` need no
CVXPY. `selection` says which packs are meant.
"""

from __future__ import annotations

import importlib
from argparse import Namespace

from amtl_cvx.errors import Exit


def reference(arguments: Namespace) -> Exit:
    """`amtl-cvx reference`."""
    module = importlib.import_module(f"amtl_cvx.commands.reference.{arguments.action}")
    code: Exit = module.run(arguments)
    return code
