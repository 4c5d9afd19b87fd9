#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Includes of the product point to layers above or the own folder, by the table in docs/architecture.md; no two of
its sources share a file name; what is for both vendors' CPUs has no names of one's; and edges have headers of their own,
which are in the table's text."""
import collections
import pathlib
import re
import sys
import tempfile

SUFFIXES = {".c", ".h", ".S"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
NEUTRAL = "vmm/vm/"
NO_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)
EDGE = re.compile(r"\b(\w+_edge)_\w+ *\(")
VENDOR = re.compile(r"\b(?:svm|vmx|vmcb|vmcs)\w*", re.I)


def text_of(doc):
    return doc.split("\n## Layers\n")[1].split("\n## ")[0]


def read_table(text):
    """Path prefix -> (row, place); a path belongs to the longest prefix that it begins with."""
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.M)
    return {prefix: (row, prefix) for row, cell in enumerate(rows) for prefix in re.findall(r"`([^`]+)`", cell)}


def place_of(table, path):
    return table.get(max((prefix for prefix in table if path.startswith(prefix)), key=len, default=None))


def check_names(path, text, layers):
    code = NO_CODE.sub(" ", text)
    if path.startswith(NEUTRAL):
        yield from (f"{path}: {name} is one vendor's" for name in VENDOR.findall(code))
    if path.endswith("_edge.h") and f"`{pathlib.Path(path).name}`" not in layers:
        yield f"{path}: is no edge of docs/architecture.md"
    if path.endswith(".h"):
        yield from (f"{path}: declares functions of {edge}.h" for edge in EDGE.findall(code) if not path.endswith(f"/{edge}.h"))


def check(root, table, layers):
    complaints, names = [], collections.defaultdict(list)
    files = sorted(f for top in ("boot", "vmm", "drivers") for f in (root / top).rglob("*") if f.suffix in SUFFIXES)
    for file in files:
        path, text = str(file.relative_to(root)), file.read_text()
        mine = place_of(table, path)
        names[file.name].append(path)
        if mine is None:
            complaints.append(f"{path}: is in no layer of docs/architecture.md")
            continue
        complaints += check_names(path, text, layers)
        for target in INCLUDE.findall(text):
            theirs = place_of(table, target)
            if theirs is None:
                complaints.append(f"{path}: {target} is in no layer of docs/architecture.md")
            elif theirs != mine and theirs[0] >= mine[0]:
                complaints.append(f"{path}: includes {target}, which is not of a layer above it")
    complaints += [f"two sources are called {name}: {', '.join(same)}" for name, same in names.items() if len(same) > 1]
    return len(files), complaints


def test_itself(table):
    """A tree that keeps the rules, and one for each way to break them."""
    good = {"vmm/base/a.h": "", "vmm/pc/b.h": '#include "vmm/base/a.h"\n', "vmm/main.c": '#include "vmm/pc/b.h"\n'}
    for extra, wanted in (({}, 0),
                          ({"vmm/base/up.c": '#include "vmm/pc/b.h"\n'}, 1),
                          ({"vmm/load/beside.c": '#include "vmm/base/a.h"\n# include "vmm/pc/b.h"\n'}, 1),
                          ({"vmm/base/unknown.c": '#include "vmm/nowhere/x.h"\n'}, 1),
                          ({"vmm/nowhere/x.h": ""}, 1),
                          ({"vmm/vm/c.c": '/* svm_a\n * VMCB */ // vmx_b\nchar *c = "VMX \\" SVM";\n'}, 0),
                          ({"vmm/vm/c.c": "int a = svm_a(VMCB_B, vmcs);\n"}, 3),
                          ({"vmm/pc/pc_edge.h": "void pc_edge_a(int b);\n"}, 0),
                          ({"vmm/pc/wrong_edge.h": ""}, 1),
                          ({"vmm/pc/c.h": "/* pc_edge_b() */\nvoid pc_edge_a(int b);\n"}, 1),
                          ({"drivers/pci/b.h": ""}, 1)):
        with tempfile.TemporaryDirectory() as name:
            for path, text in {**good, **extra}.items():
                file = pathlib.Path(name, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            found = check(pathlib.Path(name), table, "`pc_edge.h`")[1]
            assert len(found) == wanted, (extra, found)


def main():
    root = pathlib.Path(__file__).parents[2]
    layers = text_of((root / "docs/architecture.md").read_text())
    table = read_table(layers)
    test_itself(table)
    files, complaints = check(root, table, layers)
    for complaint in complaints:
        print("layers:", complaint)
    print(f"layers: {files} files in {len(table)} places")
    return bool(complaints) or files < 100


sys.exit(main())
