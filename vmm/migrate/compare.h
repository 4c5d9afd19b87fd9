/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Can a VM, or one of its VFs, go on somewhere else? Decided from two texts before either side is
 * touched. docs/migration.md has the tables of keys; compatibility.h and vmm/vm/vm_text.c make the
 * texts. Pure: who carries VMs between hosts compiles it too.
 */
#ifndef PORTOLAN_VMM_MIGRATE_COMPARE_H
#define PORTOLAN_VMM_MIGRATE_COMPARE_H

#include "vmm/base/status.h"

#define COMPARE_WHY_MAX 160U

/*
 * Can what the text TARGET describes go on where SOURCE was stopped? CONFLICT: no, and WHY names
 * the key and both values. INVALID: one of them is no such text.
 */
enum status compare_texts(const char *source, const char *target, char *why);

#endif
