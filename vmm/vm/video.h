/* SPDX-License-Identifier: BSD-2-Clause */
/* The video memory and option ROM of a VM with a screen: vmm/pc/vga.h. */
#ifndef PORTOLAN_VMM_VM_VIDEO_H
#define PORTOLAN_VMM_VM_VIDEO_H

#include "vmm/base/status.h"

struct pc_config;
struct vm;

/* Nothing for a VM without a screen; else take its memory. NO_MEMORY. Boot CPU. */
enum status video_create(struct vm *vm);
void video_destroy(struct vm *vm);

/* Clear it, find the ROM, and put both into CONFIG, for a VM that is being started. NOT_FOUND,
 * NO_MEMORY, INVALID: it has no such ROM, as the log says. */
enum status video_begin(struct vm *vm, struct pc_config *config);

/* Let the nested tables show the memory where the VGA's BAR says, if they do not. Any CPU, no lock.
 */
void video_settle(struct vm *vm);

#endif
