#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The ranks of vmm/host/spinlock.h are the rows of the table of locks in docs/architecture.md, in its order; from
'interrupts' on downwards interrupts are off."""
import pathlib
import re
import sys


def table_of(text):
    """(rank, interrupts) of each row."""
    rows = re.findall(r"^\| ([^|]*) \|.*\| ([^|]*) \|$", text.split("\n## Locks\n")[1].split("\n## ")[0], re.M)
    return [row for row in rows if row[0] not in ("rank", "---")]


def ranks_of(text):
    names = re.findall(r"\bLOCK_([A-Z_]+)\b", re.search(r"enum lock_rank \{(.*?)LOCK_RANKS", text, re.S)[1])
    return [name.lower().replace("_", " ") for name in names]


def check(doc, header):
    table, ranks = table_of(doc), ranks_of(header)
    rows = [rank for rank, _ in table]
    complaints = [f"the ranks are {', '.join(ranks)}; the table has {', '.join(rows)}"] if ranks != rows else []
    handlers = rows.index("interrupts") if "interrupts" in rows else 0
    for number, (rank, interrupts) in enumerate(table):
        if interrupts not in ("on", "off") or (interrupts == "on" and number >= handlers):
            complaints.append(f"{rank}: interrupts are '{interrupts}'")
    return len(rows), complaints


def test_itself():
    doc = "\n## Locks\n\n| rank | what | interrupts |\n|---|---|---|\n| two words | | on |\n| interrupts | | off |\n| pc | | off |\n"
    header = "enum lock_rank { LOCK_TWO_WORDS = 1, LOCK_INTERRUPTS, /* of one */ LOCK_PC, LOCK_RANKS };"
    for a_doc, a_header, wanted in ((doc, header, 0),
                                    (doc, header.replace(" LOCK_PC,", ""), 1),
                                    (doc, header.replace("LOCK_PC,", "LOCK_PC, LOCK_LOG,"), 1),
                                    (doc, header.replace("_WORDS", "_WORDZ"), 1),
                                    (doc.replace("| pc | | off |", "| pc | | on |"), header, 1),
                                    (doc.replace("| pc | | off |", "| pc | | |"), header, 1)):
        found = check(a_doc, a_header)[1]
        assert len(found) == wanted, (a_doc, a_header, found)


def main():
    root = pathlib.Path(__file__).parents[2]
    test_itself()
    ranks, complaints = check(*((root / path).read_text() for path in ("docs/architecture.md", "vmm/host/spinlock.h")))
    for complaint in complaints:
        print("locks:", complaint)
    print(f"locks: {ranks} ranks")
    return bool(complaints)


sys.exit(main())
