#!/usr/bin/env python3
"""Adds up the `test result:` lines of cargo's test runs in a log and prints `N passed, N failed` as its last line.

Fails when a test failed or was ignored, and when none ran: a gate that tested nothing has not passed.
"""

import re
import sys

RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;", re.MULTILINE)


def main(log: str) -> int:
    with open(log, encoding="utf-8", errors="replace") as file:
        results = RESULT.findall(file.read())
    passed, failed, ignored = (sum(int(result[column]) for result in results) for column in range(3))
    if ignored:
        print(f"{ignored} tests are ignored: run them or remove them")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed and not ignored else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
