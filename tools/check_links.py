#!/usr/bin/env python3
"""Finds relative links in the repository's Markdown that lead nowhere."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def main() -> int:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    broken = 0
    for name in filter(None, listed.split("\0")):
        page = ROOT / name
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines() if page.is_file() else [], start=1):
            for link in LINK.findall(line):
                if not (page.parent / link).exists():
                    print(f"{name}:{number}: `{link}` leads nowhere", file=sys.stderr)
                    broken += 1
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
