"""`python -m cinema`, and the installed command `cinema`."""

from __future__ import annotations

import sys

from cinema.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
