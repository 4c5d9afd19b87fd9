# SPDX-License-Identifier: BSD-2-Clause
"""VMs with guest/vblk: their configuration, what it leaves on its disk, and a test machine with disks behind VFs."""

import os

import machine

GUEST = os.path.join(machine.BUILD, "guest", "vblk.elf")

WRITTEN_FIRST = 1024
WRITTEN_EACH = 256


def vm_section(name, cmdline, *vfs, cpus=1, more=""):
    """Of a configuration: VM NAME with VFS, whose guest has CMDLINE, and with lines that are MORE."""
    return (f"[vm {name}]\ncpus = {cpus}\nmemory = 64M\nmultiboot = vblk.elf\ncmdline = {cmdline}\n" +
            "".join(f"vf = {vf}\n" for vf in vfs) + more + "debug_exit = 0xf4\n")


def make_image(folder, pfs, *vms):
    """A boot image for PFS, {BDF: lines}, and sections of VMS."""
    config = "[vmm]\nwhen_idle = halt\n" + "".join(f"[pf {bdf}]\n{lines}" for bdf, lines in pfs.items()) + "".join(vms)
    return machine.make_image(folder, config, [(GUEST, "vblk.elf")])


def written(number):
    """For vfdisk.check(): guest/vblk wrote three runs of sectors, each with a shift of its own, and nothing else."""
    way = (number - WRITTEN_FIRST) // WRITTEN_EACH
    return way + 1 if 0 <= way < 3 else 0


class VfMachine(machine.Machine):
    """The test machine with files behind VFs of block PFs: DISKS, and OTHERS if there is to be a second block PF in place of
    the net PF. Each is a list of paths, None for a VF without a file; several may have the same. PROPERTIES and OTHER are added to the PFs, PORT to their ports."""

    def __init__(self, image, disks, properties="", others=None, other="", port="", **options):
        self.port, self.disks, self.properties, self.others, self.other = port, disks, properties, others, other
        super().__init__(image, **options)

    @staticmethod
    def block_pf(name, port, disks, properties):
        nodes = [f"{name}{number}" if path else "" for number, path in enumerate(disks)]
        drives = [f"{machine.IMAGE},node-name={node},filename={path}" + (",locking=off" if disks.count(path) > 1 else "")
                  for node, path in zip(nodes, disks) if path]
        return ([part for drive in drives for part in ("-blockdev", drive)] +
                ["-device", f"portolan-blk-pf,id={name},bus={port},vfs={max(4, len(disks))},vf-backends={':'.join(nodes)}{properties}"])

    def arguments(self, image, extra=(), **options):
        pfs = ["-device", f"pcie-root-port,id=rp1,slot=1,chassis=1,addr=2.0,multifunction=on{self.port}",
               "-device", f"pcie-root-port,id=rp2,slot=2,chassis=2,addr=2.1{self.port}"]
        if self.others is None:
            pfs += ["-device", "portolan-net-pf,id=netpf,bus=rp1,vfs=4"]
        else:
            pfs += self.block_pf("otherpf", "rp1", self.others, self.other)
        pfs += self.block_pf("blkpf", "rp2", self.disks, self.properties)
        return machine.qemu_command(image, pfs=False, extra=pfs + list(extra), **options)
