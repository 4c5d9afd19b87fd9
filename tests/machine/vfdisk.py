# SPDX-License-Identifier: BSD-2-Clause
"""The disk behind block VFs: each sector's contents follow from its number, as guest/vblk and guest/churn know it."""

import os

import machine

SECTOR = 512
SECTORS = 4096
RAMP = bytes(13 * i & 0xff for i in range(256)) # as each sector's bytes follow each other
STEPS = pow(13, -1, 256) # the byte V has the place V * STEPS in it


def sector(number, shift=0):
    """What sector NUMBER holds; guests write it with a SHIFT."""
    first = (number * 7 + (number >> 8) + 1 + shift) * STEPS & 0xff
    return (RAMP[first:] + RAMP[:first]) * (SECTOR // len(RAMP))


def make(folder, name="disk.img"):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        for number in range(SECTORS):
            file.write(sector(number))
    return path


def check(path, shifts):
    """SHIFTS(number) is the shift that a sector must have; True: a guest wrote it, with any shift."""
    with open(path, "rb") as file:
        for number in range(SECTORS):
            shift, found = shifts(number), file.read(SECTOR)
            if shift is True:
                shift = (found[0] - sector(number)[0]) & 0xff
            if found != sector(number, shift):
                raise machine.Failure(f"sector {number} of the disk is not what it should be")
