#!/usr/bin/env python3
"""Finds relative links in the repository's Markdown that lead nowhere: to no file, or to no heading of a page."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def main() -> int:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    broken = 0
    for name in filter(None, listed.split("\0")):
        page = ROOT / name
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines() if page.is_file() else [], start=1):
            for link, anchor in LINK.findall(line):
                if not leads_somewhere(page.parent / link if link else page, anchor):
                    print(f"{name}:{number}: `{link}{'#' if anchor else ''}{anchor}` leads nowhere", file=sys.stderr)
                    broken += 1
    return 1 if broken else 0


def leads_somewhere(target: Path, anchor: str) -> bool:
    return target.exists() and (not anchor or target.suffix != ".md" or anchor in anchors(target))


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub makes anchors of them: lower case, without punctuation, with hyphens for spaces."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


if __name__ == "__main__":
    sys.exit(main())
