# SPDX-License-Identifier: BSD-2-Clause
"""service.py FOLDER OUT [--agent PROGRAM] [FILE=NAME...]: OUT is the RAM disk of a service VM, for the kernel in FOLDER: its busybox and
its modules, service-init, portolan-agent with the shared libraries that it needs of this system, and each FILE, such as the site's
keys, as NAME. The same files give the same image, byte by byte; no root is needed."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

import images

SOURCES = os.path.dirname(os.path.abspath(__file__))
FOLDERS = ("bin", "dev", "proc", "root", "run", "sbin", "sys", "tmp", "usr/bin", "usr/sbin", "etc")


def libraries(program):
    """The paths of what the loader loads with PROGRAM, the loader itself among them."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
    if "not found" in done.stdout:
        sys.exit(f"service.py: not all libraries of {program} are here:\n{done.stdout}")
    return re.findall(r"(/\S+) \(0x", done.stdout)


def add(root, path, name):
    """The file PATH, or what it is a link to, as NAME below ROOT."""
    target = os.path.join(root, name.lstrip("/"))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(path, target)


def stage(root, folder, agent, files):
    for name in FOLDERS:
        os.makedirs(os.path.join(root, name))
    add(root, os.path.join(folder, "busybox"), "bin/busybox")
    add(root, os.path.join(SOURCES, "service-init"), "init")
    shutil.copytree(os.path.join(folder, "lib"), os.path.join(root, "lib"))
    if agent:
        add(root, agent, "bin/portolan-agent")
        for path in libraries(agent):
            add(root, path, path)
    for file in files:
        path, _, name = file.rpartition("=")
        add(root, path, name)


def make(folder, out, agent, files):
    with tempfile.TemporaryDirectory(prefix="service-") as work:
        root = os.path.join(work, "root")
        stage(root, folder, agent, files)
        images.make_initrd(root, out + ".new")
    if files:
        os.chmod(out + ".new", 0o600)  # keys may be among them
    os.replace(out + ".new", out)


def main():
    parser = argparse.ArgumentParser(prog="service.py", description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--agent", help="portolan-agent; without it the VM has a shell")
    parser.add_argument("files", nargs="*", metavar="FILE=NAME")
    options = parser.parse_args()
    make(options.folder, options.out, options.agent, options.files)


if __name__ == "__main__":
    main()
