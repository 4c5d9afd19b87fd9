# SPDX-License-Identifier: GPL-2.0-or-later
"""patches.py TREE: the Debian patches of TREE, without the files that TREE does not have.

Prints one patch. A patch may also add a file where TREE has the folder."""

import os
import re
import sys

SECTION = re.compile(r"^--- (\S+).*\n\+\+\+ (\S+)", re.M)


def sections(text):
    """The parts of the patch TEXT, one for each file: (path, text)."""
    starts = list(SECTION.finditer(text))
    for match, following in zip(starts, starts[1:] + [None]):
        end = following.start() if following else len(text)
        name = match[2] if match[2] != "/dev/null" else match[1]
        yield name.split("/", 1)[1], text[match.start():end]


def wanted(tree, path):
    """Only the folders that were unpacked count."""
    folder = os.path.join(tree, os.path.dirname(path))
    return os.path.exists(os.path.join(tree, path)) or \
        (path.startswith(("include/", "qapi/")) and os.path.isdir(folder))


def hunks_only(section):
    """SECTION without what stands between its last hunk and the next file."""
    lines = section.splitlines(keepends=True)
    kept = []
    for line in lines:
        if kept and line[:1] not in " +-@\\\n":
            break
        kept.append(line)
    return "".join(kept)


def main():
    tree = sys.argv[1]
    folder = os.path.join(tree, "debian", "patches")
    with open(os.path.join(folder, "series"), encoding="utf-8") as series:
        names = [line.split("#")[0].strip() for line in series]
    for name in filter(None, names):
        with open(os.path.join(folder, name), encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
        for path, section in sections(text):
            if wanted(tree, path):
                sys.stdout.buffer.write(hunks_only(section).encode("utf-8", "surrogateescape"))


main()
