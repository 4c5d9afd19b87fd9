/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the console asks of the VMs. console_vms.c implements it; on the host, tests do.
 *
 * All but one are called by console_init() and console_poll(), on their CPU, with no lock of the
 * console held, so they may take VMs' locks and may log. None may wait for a guest: console_poll()
 * runs between a guest's exits. VMs are numbered from 0; for people the console counts from 1.
 */
#ifndef PORTOLAN_VMM_CONSOLE_CONSOLE_EDGE_H
#define PORTOLAN_VMM_CONSOLE_CONSOLE_EDGE_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

struct vga_state;

#define CONSOLE_WORD_MAX 64U /* of a command, with the NUL */

enum console_action {
    CONSOLE_START,
    CONSOLE_STOP,  /* at once, without asking the guest */
    CONSOLE_RESET, /* as the reset button */
    CONSOLE_PAUSE, /* its CPUs and its time stand still */
    CONSOLE_RESUME,
    CONSOLE_TRACK, /* begin to note which pages of its RAM are written; or end */
    CONSOLE_UNTRACK,
    CONSOLE_NMI,
    CONSOLE_BUTTON,   /* ACPI power button: asks the guest to switch itself off */
    CONSOLE_INCOMING, /* wait for the state that comes from another host */
    CONSOLE_VF_SHOW,
    CONSOLE_VF_SET,
    CONSOLE_VF_DIRTY,
    CONSOLE_VF_SAVE,
    CONSOLE_VF_MOVE,
};

/* How many VMs there are, at most CONSOLE_VMS_MAX, and their names (printable ASCII, static, at
 * most CONSOLE_NAME_MAX characters). Neither changes after console_init(). */
unsigned console_edge_vm_count(void);
const char *console_edge_vm_name(unsigned vm);

/* In words, for people: "running", "paused", "off". Static or constant text. */
const char *console_edge_vm_state(unsigned vm);

/* Does the VM run, so that it will take input some time? */
bool console_edge_vm_runs(unsigned vm);

/* Do ACTION, or begin it. STATE: not in the VM's present state; others as they come. */
enum status console_edge_vm_do(unsigned vm, enum console_action action);

/*
 * Save VM and build it anew from that COUNT times, at moments that the VMM chooses; does not wait.
 * STATE as above.
 */
enum status console_edge_vm_checkpoint(unsigned vm, unsigned count);

/* Print the parts of a paused VM's state, or what is in part SECTION, with console_print(). STATE:
 * it is not paused; NOT_FOUND: no such part. */
enum status console_edge_vm_print(unsigned vm, const char *section);

/*
 * KIND "": print what VM did last with console_print(), at most some 100 lines; a kind, "all" or
 * "off": begin to keep that, or end. INVALID: no such kind.
 */
enum status console_edge_vm_trace(unsigned vm, const char *kind);

/* A byte for the VM's first UART. False: it has no room; the console keeps the byte and offers it
 * again. */
bool console_edge_vm_input(unsigned vm, uint8_t byte);

/* Has VM a screen? Does not change. */
bool console_edge_vm_has_screen(unsigned vm);

/* The registers of VM's screen, and its time; returns its memory (vmm/pc/vga_draw.h). NULL: it has
 * none, or is about to start. */
const uint32_t *console_edge_vm_screen(unsigned vm, struct vga_state *state, uint64_t *now);

/* A stroke for the VM's keyboard (vmm/pc/ps2.h), likewise. */
bool console_edge_vm_key(unsigned vm, uint16_t stroke);

/* Its mouse moves, as pc_mouse() has it. STATE: not now; NOT_FOUND: there is none. */
enum status console_edge_vm_mouse(unsigned vm, const int16_t delta[3], uint8_t buttons);

/* VM's UART was told to wait by vm_edge_output(): it may send again. Any CPU. */
void console_edge_vm_ready(unsigned vm);

/* Print what is counted about VM with console_print(), at most some 100 lines. */
void console_edge_vm_stats(unsigned vm);

/* Print which pages of VM's RAM were written since the tracking began or this was last asked, at
 * most some 100 lines. May wait until the VM's CPUs have left their guests once. */
void console_edge_vm_dirty(unsigned vm);

/*
 * Let the service VM's program move VM to the host TO, or end that: "cancel". It is told, and
 * nothing is waited for; this is printed. STATE: VM does not run, or comes from another host, or
 * the program does not listen; NOT_FOUND: there is no service VM that runs.
 */
enum status console_edge_vm_migrate(unsigned vm, const char *to);

/* VM was handed over, or is ready to run, and nobody knows what became of the other host: it runs
 * HERE, or not. STATE: it was neither. What is begun is printed; the log says how it ends. */
enum status console_edge_vm_resolve(unsigned vm, bool here);

/* Print all VFs, a line each. */
void console_edge_vf_list(void);

/* Begin ACTION with COUNT words: the VF, and the state; or VFs, each with the one that takes its
 * place. Prints what comes of that; the log says how it ends. */
void console_edge_vf_do(enum console_action action, const char (*word)[CONSOLE_WORD_MAX],
                        uint32_t count);

/* Print what the VMM itself holds for all VMs, likewise. */
void console_edge_stats(void);

#endif
