# SPDX-License-Identifier: BSD-2-Clause
"""run.py CFG [-- QEMU ARGS]: boot a configuration in the test machine, on this terminal."""

import argparse
import os
import sys
import tempfile

import machine


def main():
    arguments = sys.argv[1:]
    extra = []
    if "--" in arguments:
        split = arguments.index("--")
        arguments, extra = arguments[:split], arguments[split + 1:]
    parser = argparse.ArgumentParser(prog="portolan run", description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--iommu", choices=machine.IOMMUS, default="intel")
    parser.add_argument("--vfs", type=int, default=4, help="VFs of each PF")
    parser.add_argument("--display", action="store_true", help="a window with the screen as well")
    parser.add_argument("--disk", help="the file behind VF 0 of the block PF, 02:00.0")
    parser.add_argument("--tftp", help="a folder that the network behind VF 0 of the net PF, 01:00.0, serves by TFTP")
    parser.add_argument("--bootfile", help="what that network names to who asks for an address: a file of the folder, or an address (http://...)")
    options = parser.parse_args(arguments)
    net = "user" + (f",tftp={options.tftp}" if options.tftp else "") + (f",bootfile={options.bootfile}" if options.bootfile else "")
    with tempfile.TemporaryDirectory(prefix="portolan-") as folder:
        try:
            image = machine.make_image_of(options.config, os.path.join(folder, "boot.img"))
        except machine.Failure as failure:
            sys.exit(str(failure))
        command = machine.qemu_command(image, cpus=options.cpus, memory=options.memory,
                                       iommu=options.iommu, vfs=options.vfs,
                                       display=options.display, disk=options.disk, net=net, extra=extra)
        if not options.display:
            command += ["-display", "none"]
        command += ["-serial", "mon:stdio"]
        print("portolan: Ctrl-] 1 leads to VM 1, Ctrl-] 0 to the VMM's prompt; Ctrl-A X leaves the test machine",
              flush=True)
        sys.exit(os.spawnvp(os.P_WAIT, command[0], command))


main()
