/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The power-on self test: what a BIOS sets up beyond the hardware's reset values, as SeaBIOS leaves
 * it. tests/machine/firmware.py holds a VM against a PC with SeaBIOS, register by register.
 */
#ifndef PORTOLAN_VMM_PC_POST_H
#define PORTOLAN_VMM_PC_POST_H

struct pc;
struct lapic;

/* Leave the devices as firmware does. After their resets; needs the platform lock. */
void post_run(struct pc *pc);

/* The local APIC of the boot CPU: on, the 8259s and NMI connected. Others stay as they are. */
void post_run_lapic(struct lapic *l);

#endif
