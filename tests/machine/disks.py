# SPDX-License-Identifier: BSD-2-Clause
"""What guest/vblk finds on its disk and leaves there, and a test machine with such disks behind VFs."""

import os

import machine

SECTOR = 512
SECTORS = 4096
WRITTEN_FIRST = 1024
WRITTEN_EACH = 256


def sector(number, shift=0):
    """What sector NUMBER of the image holds, as the guest knows it."""
    first = number * 7 + (number >> 8) + 1 + shift
    return bytes((first + 13 * i) & 0xff for i in range(SECTOR))


def make_disk(folder, name="disk.img"):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        for number in range(SECTORS):
            file.write(sector(number))
    return path


def check_disk(path):
    """The guest wrote three runs of sectors, and nothing else."""
    with open(path, "rb") as file:
        for number in range(SECTORS):
            way = (number - WRITTEN_FIRST) // WRITTEN_EACH
            shift = way + 1 if 0 <= way < 3 else 0
            if file.read(SECTOR) != sector(number, shift):
                raise machine.Failure(f"sector {number} of the disk is not what it should be")


class VfMachine(machine.Machine):
    """The test machine with files behind VFs of block PFs: DISKS, and OTHERS if there is to be a second block PF in place of
    the net PF. Each is a list of paths, None for a VF without a file. PROPERTIES and OTHER are added to the PFs."""

    def __init__(self, image, disks, properties="", others=None, other="", **options):
        self.disks, self.properties, self.others, self.other = disks, properties, others, other
        super().__init__(image, **options)

    @staticmethod
    def block_pf(name, port, disks, properties):
        nodes = [f"{name}{number}" if path else "" for number, path in enumerate(disks)]
        drives = [f"driver=file,node-name={node},filename={path}" for node, path in zip(nodes, disks) if path]
        return ([part for drive in drives for part in ("-blockdev", drive)] +
                ["-device", f"portolan-blk-pf,id={name},bus={port},vfs=4,vf-backends={':'.join(nodes)}{properties}"])

    def arguments(self, image, extra=(), **options):
        pfs = ["-plugin", machine.DEVICE,
               "-device", "pcie-root-port,id=rp1,slot=1,chassis=1,addr=2.0,multifunction=on",
               "-device", "pcie-root-port,id=rp2,slot=2,chassis=2,addr=2.1"]
        if self.others is None:
            pfs += ["-device", "portolan-net-pf,id=netpf,bus=rp1,vfs=4"]
        else:
            pfs += self.block_pf("otherpf", "rp1", self.others, self.other)
        pfs += self.block_pf("blkpf", "rp2", self.disks, self.properties)
        return machine.qemu_command(image, pfs=False, extra=pfs + list(extra), **options)
