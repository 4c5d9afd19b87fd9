#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""lengths.py: no source of the product or of the tests is longer than 500 lines, no function of theirs than 60."""
import ast
import os
import re
import subprocess
import sys

FILE_MAX, FUNCTION_MAX = 500, 60
C, SHELL = (".c", ".h"), (".sh",)
SOURCES = C + SHELL + (".py", ".S", ".asl", ".lds", ".cmake", "CMakeLists.txt")


def functions_of_c(lines):
    """(name, lines) of each; clang-format puts its first brace alone on a line."""
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
            while start > 0 and lines[start - 1] and not re.search(r"[;}]$|\*/$|^#", lines[start - 1]):
                start -= 1
        elif start is not None and line.startswith("}"):
            yield re.search(r"(?!__)\b(\w+)\(", " ".join(lines[start:]))[1], number - start + 1
            start = None


def functions_of_shell(lines):
    name = start = None
    for number, line in enumerate(lines):
        if match := re.match(r"(\w+)\(\) [{(](?!.*[})]$)", line):
            name, start = match[1], number
        elif name and line[:1] in ("}", ")"):
            yield name, number - start + 1
            name = None


def functions_of(path, text):
    if path.endswith(".py"):
        return [(node.name, node.end_lineno - node.lineno + 1) for node in ast.walk(ast.parse(text))
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    if path.endswith(C):
        return functions_of_c(text.splitlines())
    if path.endswith(SHELL) or text.startswith("#!"):
        return functions_of_shell(text.splitlines())
    return []


def check(sources):
    """Of (path, text): how many functions there are, and what is longer than it may be."""
    files, functions, count = set(), set(), 0
    for path, text in sources:
        if text.count("\n") > FILE_MAX:
            files.add(path)
        for name, lines in functions_of(path, text):
            count += 1
            if lines > FUNCTION_MAX:
                functions.add(f"{path}: {name}()")
    return count, files, functions


def test_itself():
    """Each kind of function, at the limit and one line longer."""
    kinds = {"a.c": ("static int f(int a,\n             int b)\n{\n", "    a();\n", "}\n", 4),
             "a.sh": ("f() {\n", "    a\n", "}\n", 2),
             "a.py": ("def f():\n", "    a()\n", "", 1)}
    for path, (head, line, tail, rest) in kinds.items():
        for over in (0, 1):
            text = head + line * (FUNCTION_MAX - rest + over) + tail
            assert check([(path, text)]) == (1, set(), {f"{path}: f()"} if over else set()), (path, over)
    for over in (0, 1):
        assert check([("a.c", "int a;\n" * (FILE_MAX + over))]) == (0, {"a.c"} if over else set(), set())


def read_sources():
    listed = subprocess.run(["git", "ls-files", "-c", "-o", "--exclude-standard"], check=True, capture_output=True, text=True)
    for path in filter(os.path.exists, listed.stdout.splitlines()):
        with open(path, "rb") as file:
            bytes_ = file.read()
        if path.endswith(SOURCES) or bytes_.startswith(b"#!"):
            yield path, bytes_.decode()


def main():
    test_itself()
    sources = list(read_sources())
    count, files, functions = check(sources)
    complaints = [f"{path}: more than {FILE_MAX} lines" for path in files]
    complaints += [f"{name}: more than {FUNCTION_MAX} lines" for name in functions]
    for complaint in sorted(complaints):
        print("lengths:", complaint)
    print(f"lengths: {len(sources)} files, {count} functions")
    return bool(complaints) or len(sources) < 100 or count < 1000


sys.exit(main())
