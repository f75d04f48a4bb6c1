"""Write the blocklist's data files and its figures: `python -m deploy.blocklist` (`--check`: only compare)."""

import argparse
import sys

from deploy.blocklist import build


def main() -> int:
    """Write each file that is not what is made, or only name it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.blocklist", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is not what is made")
    parser.add_argument("--generated", type=int, default=build.GENERATED, help="strong passwords of each kind to try")
    options = parser.parse_args()
    only_check = options.check
    stale = 0
    for path, content in build.files(options.generated):
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        stale += 1
        print(path.relative_to(build.ROOT), "differs" if only_check else "written")
        if not only_check:
            path.write_text(content, encoding="utf-8")
    return 1 if only_check and stale else 0


sys.exit(main())
