"""Build a store: catalog, area and period in; observations, events and vectors out.

    python -m index.build                                   # the demo store, from the simulated archive
    python -m index.build --catalog earth-search --area -121.9,39.6,-121.3,40.1 …

A build that was stopped goes on where it stopped when the same command is given again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from stac.errors import exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return exit_code(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> int:
    """Build what the arguments ask for, and say what came out."""
    # Imported here, as torch and FAISS take seconds in which Ctrl-C must be as quiet as later.
    import logging

    from .arguments import parse_request, tell_outcome
    from .demo import build_demo
    from .pipeline import build_store

    request = parse_request(argv)
    level = logging.INFO if request.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(name)s: %(message)s")
    build = build_demo if request.demo else build_store
    manifest = build(request.config, progress=request.progress, retry_missing=request.retry_missing)
    sys.stdout.write(tell_outcome(manifest, request) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
