"""``python -m amtl_cvx`` is ``amtl-cvx``."""

import sys

from amtl_cvx.cli import main

sys.exit(main())
