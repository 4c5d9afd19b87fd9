#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The ranks of vmm/host/spinlock.h are the rows of the table of locks in docs/architecture.md, in its order; those with
interrupts off, all from 'interrupts' on downwards among them, are MASKED of vmm/host/lock_check.c."""
import pathlib
import re
import sys


def table_of(text):
    """(rank, interrupts) of each row."""
    rows = re.findall(r"^\| ([^|]*) \|.*\| ([^|]*) \|$", text.split("\n## Locks\n")[1].split("\n## ")[0], re.M)
    return [row for row in rows if row[0] not in ("rank", "---")]


def ranks_of(pattern, text):
    names = re.findall(r"\bLOCK_([A-Z_]+)\b", re.search(pattern, text, re.S)[1])
    return [name.lower().replace("_", " ") for name in names]


def check(doc, header, code):
    table, ranks = table_of(doc), ranks_of(r"enum lock_rank \{(.*?)LOCK_RANKS", header)
    rows = [rank for rank, _ in table]
    complaints = [f"the ranks are {', '.join(ranks)}; the table has {', '.join(rows)}"] if ranks != rows else []
    masked, off = ranks_of(r"#define MASKED\b(.*?)\n\n", code), [rank for rank, interrupts in table if interrupts == "off"]
    if masked != off:
        complaints.append(f"MASKED are {', '.join(masked)}; the table has interrupts off for {', '.join(off)}")
    handlers = rows.index("interrupts") if "interrupts" in rows else 0
    for number, (rank, interrupts) in enumerate(table):
        if interrupts != "off" and (interrupts != "on" or number >= handlers):
            complaints.append(f"{rank}: interrupts are '{interrupts}'")
    return len(rows), complaints


def test_itself():
    doc = "\n## Locks\n\n| rank | what | interrupts |\n|---|---|---|\n| two words | | on |\n| interrupts | | off |\n| pc | | off |\n"
    header = "enum lock_rank { LOCK_TWO_WORDS = 1, LOCK_INTERRUPTS, /* of one */ LOCK_PC, LOCK_RANKS };"
    code = "#define MASKED \\\n    (1U << LOCK_INTERRUPTS | \\\n 1U << LOCK_PC)\n\n1U << LOCK_LINE"
    for a_doc, a_header, a_code, wanted in ((doc, header, code, 0),
                                            (doc, header.replace(" LOCK_PC,", ""), code, 1),
                                            (doc, header.replace("LOCK_PC,", "LOCK_PC, LOCK_LOG,"), code, 1),
                                            (doc, header.replace("_WORDS", "_WORDZ"), code, 1),
                                            (doc.replace("| two words | | on |", "| two words | | off |"), header, code, 1),
                                            (doc.replace("| two words | | on |", "| two words | | |"), header, code, 1),
                                            (doc, header, code.replace(" | \\\n 1U << LOCK_PC", ""), 1),
                                            (doc.replace("| pc | | off |", "| pc | | on |"), header,
                                             code.replace(" | \\\n 1U << LOCK_PC", ""), 1)):
        found = check(a_doc, a_header, a_code)[1]
        assert len(found) == wanted, (a_doc, a_header, a_code, found)


def main():
    root = pathlib.Path(__file__).parents[2]
    test_itself()
    paths = ("docs/architecture.md", "vmm/host/spinlock.h", "vmm/host/lock_check.c")
    ranks, complaints = check(*((root / path).read_text() for path in paths))
    for complaint in complaints:
        print("locks:", complaint)
    print(f"locks: {ranks} ranks")
    return bool(complaints)


sys.exit(main())
