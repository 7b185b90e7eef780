"""``python -m experiments``."""

from __future__ import annotations

import sys

from experiments.command import main

if __name__ == "__main__":  # not in the worker processes, which import this module too
    sys.exit(main())
