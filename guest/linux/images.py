# SPDX-License-Identifier: BSD-2-Clause
"""images.py SOURCES FOLDER: initrd.img and rootfs.img in FOLDER, of its busybox and its modules and of init and tests in
SOURCES. The same files give the same images, byte by byte; no root is needed, since the kernel itself makes /dev."""

import gzip
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile

DATA_BYTES = 16 << 20
ROOTFS_BYTES = 48 << 20
# What the ext4 driver of any kernel in use can read, whatever this system's /etc/mke2fs.conf says.
MKE2FS_CONF = """\
[defaults]
blocksize = 4096
inode_size = 256
[fs_types]
ext4 = {
    features = has_journal,ext_attr,dir_index,filetype,extent,huge_file,flex_bg,sparse_super,large_file,dir_nlink,extra_isize
}
"""
UUID = "706f7274-6f6c-416e-8000-000000000001"


def stage(sources, folder, root):
    """What both images hold, as files below ROOT."""
    for name in ("bin", "dev", "proc", "root", "sbin", "sys", "tmp", "tests", "usr/bin", "usr/sbin", "etc"):
        os.makedirs(os.path.join(root, name))
    shutil.copy(os.path.join(folder, "busybox"), os.path.join(root, "bin", "busybox"))
    shutil.copy(os.path.join(sources, "init"), os.path.join(root, "init"))
    for name in os.listdir(os.path.join(sources, "tests")):
        shutil.copy(os.path.join(sources, "tests", name), os.path.join(root, "tests", name))
    shutil.copytree(os.path.join(folder, "lib"), os.path.join(root, "lib"))


def add_program(root, program, name):
    """PROGRAM of this machine as NAME below ROOT, with what it is linked with, its loader too."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for source, to in [(program, name)] + [(path, path) for path in re.findall(r"(/\S+) \(0x", listed)]:
        to = os.path.join(root, to.lstrip("/"))
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(source, to)


def members(root):
    """Paths below ROOT, folders before what is in them."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(folders + files):
            yield os.path.relpath(os.path.join(folder, name), root)


def cpio_member(number, name, mode, data):
    """One member of a 'newc' archive: header, name and data, each to a multiple of four."""
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def make_initrd(root, path):
    archive = bytearray()
    number = 0
    for number, name in enumerate(sorted(members(root)), 1):
        full = os.path.join(root, name)
        if os.path.isdir(full):
            archive += cpio_member(number, name, stat.S_IFDIR | 0o755, b"")
        else:
            mode = os.stat(full).st_mode
            mode = 0o755 if mode & 0o100 else 0o644 if mode & 0o077 else 0o600  # secrets stay secret
            with open(full, "rb") as file:
                archive += cpio_member(number, name, stat.S_IFREG | mode, file.read())
    archive += cpio_member(0, "TRAILER!!!", 0, b"")
    with open(path, "wb") as file:
        file.write(gzip.compress(bytes(archive), 6, mtime=0))


def known_data():
    """16 MiB that no block of repeats another's, so that a block at a wrong place is seen."""
    return b"".join(hashlib.sha256(number.to_bytes(8, "little")).digest() for number in range(DATA_BYTES // 32))


def make_rootfs(root, path):
    data = known_data()
    os.makedirs(os.path.join(root, "data"))
    with open(os.path.join(root, "data", "known.bin"), "wb") as file:
        file.write(data)
    with open(os.path.join(root, "data", "SHA256SUMS"), "w", encoding="ascii") as file:
        file.write(f"{hashlib.sha256(data).hexdigest()}  known.bin\n")
    with open(os.path.join(root, "etc", "on-disk"), "w", encoding="ascii"):
        pass
    for name in members(root):
        os.utime(os.path.join(root, name), (0, 0))
    config = path + ".conf"
    with open(config, "w", encoding="ascii") as file:
        file.write(MKE2FS_CONF)
    with open(path, "wb") as file:
        file.truncate(ROOTFS_BYTES)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-T", "ext4", "-L", "portolan", "-U", UUID, "-m", "0",
                    "-E", f"root_owner=0:0,lazy_itable_init=0,hash_seed={UUID}", "-d", root, path],
                   check=True, env=dict(os.environ, E2FSPROGS_FAKE_TIME="1577836800", MKE2FS_CONFIG=config))


def main():
    sources, folder = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="images-", dir=folder) as work:
        root = os.path.join(work, "root")
        stage(sources, folder, root)
        made = [os.path.join(work, name) for name in ("initrd.img", "rootfs.img")]
        make_initrd(root, made[0])
        make_rootfs(root, made[1])
        for path in made:
            os.replace(path, os.path.join(folder, os.path.basename(path)))


if __name__ == "__main__":
    main()
