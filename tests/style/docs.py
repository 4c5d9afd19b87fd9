#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""docs.py: what the documentation and the comments of the product name exists: pages, links, source files, functions."""

import os
import re
import subprocess
import sys

OTHERS = {"svm_helper.c", "hw/block/pflash_cfi01.c"} # of other projects
PRODUCT = ("boot/", "vmm/", "drivers/", "guest/", "tools/")
SOURCE = r"[\w./-]+\.(?:c|h|S|py|sh|asl)"


def wrong_in_page(name, text, names):
    for told, target in re.findall(r"([^\[\s]*)\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
        if not os.path.exists(os.path.join(os.path.dirname(name), target)):
            yield f"links to {target}"
        if told.endswith(".md") and os.path.basename(told) != os.path.basename(target):
            yield f"calls {target} {told}"
    for source in re.findall(rf"`({SOURCE})`", text):
        if os.path.basename(source) not in names and source not in OTHERS:
            yield f"names {source}"


def wrong_in_comments(name, told, files):
    """A file without a folder's name is of the same folder, or of the one above."""
    folder = os.path.dirname(name)
    for source in re.findall(r"\b[a-z][\w/-]*\.[chS]\b", told):
        near = {os.path.join(folder, source), os.path.join(os.path.dirname(folder), source)}
        there = any(file in near or "/" in source and f"/{file}".endswith(f"/{source}") for file in files)
        if not there and source not in OTHERS:
            yield f"names {source}"


def wrong_anywhere(text, words):
    for page in re.findall(r"\bdocs/[\w-]+\.md\b", text):
        if not os.path.exists(page):
            yield f"names {page}"
    for function in re.findall(r"\b([a-z][a-z0-9]*_[a-z0-9_]+)\(\)", text):
        if function not in words:
            yield f"names {function}()"


def main():
    files = subprocess.run(["git", "ls-files", "-c", "-o", "--exclude-standard"], check=True, capture_output=True,
                           text=True).stdout.split()
    files = [name for name in files if os.path.exists(name)]
    texts = {name: open(name, encoding="utf-8").read() for name in files if name.endswith((".c", ".h", ".S", ".md", ".py"))}
    comment = re.compile(r"/\*.*?\*/", re.S)
    words = set()
    for name, text in texts.items():
        if not name.endswith(".md"):
            words.update(re.findall(r"\w+", comment.sub("", text)))
    names = {os.path.basename(name) for name in files}
    wrong, checked = [], 0
    for name, text in texts.items():
        page = name.endswith(".md")
        if not page and not (name.startswith(PRODUCT) and name.endswith((".c", ".h", ".S"))):
            continue
        checked += 1
        told = text if page else "\n".join(comment.findall(text))
        wrong += [f"{name} {what}, which is not there" for what in wrong_anywhere(told, words)]
        more = wrong_in_page(name, text, names) if page else wrong_in_comments(name, told, files)
        if page or not name.startswith(("guest/", "tools/")):
            wrong += [f"{name} {what}, which is not there" for what in more]
    print("\n".join(wrong))
    print(f"docs: {checked} files")
    return bool(wrong) or checked < 100


sys.exit(main())
