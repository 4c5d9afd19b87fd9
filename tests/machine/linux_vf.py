# SPDX-License-Identifier: BSD-2-Clause
"""linux_vf.py CASE: what the demo does, for other kernels, interrupts and ways to the legacy registers. Two VMs at once, of
different kinds, on VFs of the same PFs: each has its own driver's interrupts, a disk and a network, all compared."""

import sys

import demo
from demo import Plan, Vm

PAYLOAD = 1 << 20

# The registers are in the VFs' memory, but where admin is asked for.
CASES = {
    "msix": Plan([Vm("left", "amd64"), Vm("right", "i386")], payload=PAYLOAD),
    "intx": Plan([Vm("left", "amd64", "INTx"), Vm("right", "i386", "INTx")], payload=PAYLOAD),
    "admin": Plan([Vm("left", "amd64", "INTx"), Vm("right", "i386")], net="admin", payload=PAYLOAD),
    "all-admin": Plan([Vm("left", "amd64"), Vm("right", "i386", "INTx")], net="admin", block="admin", payload=PAYLOAD),
    "checkpoints": Plan([Vm("left", "amd64"), Vm("right", "i386", "INTx")], payload=4 * PAYLOAD, cpus=2, checkpoints=1000),
    "moves-1.4": Plan([Vm("left", "amd64"), Vm("right", "i386", "INTx")], payload=4 * PAYLOAD, moves=12, abi="1.4"),
    "moves-2021": Plan([Vm("left", "amd64", "INTx"), Vm("right", "i386")], block="admin", payload=4 * PAYLOAD, moves=12, abi="2021"),
    "moves-queues": Plan([Vm("left", "amd64")], payload=4 * PAYLOAD, cpus=4, queues=4, moves=12, abi="1.4"),
    "moves-queues-intx": Plan([Vm("left", "i386", "INTx")], net="admin", payload=4 * PAYLOAD, cpus=4, queues=4, moves=12, abi="2021"),
}

if __name__ == "__main__":
    demo.run_plan(CASES[sys.argv[1]])
