/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's VMRUN delivers the interrupt of EVENTINJ at once, but leaves its
 * vector in exception_index as well.  When the CPU loop ends before the
 * guest's next exit or exception, the interrupt is delivered once more, even
 * to a guest that has interrupts off.  -icount ends the loop at the deadline
 * of each timer.  A CPU that runs a block has no exception waiting, so each
 * block forgets what is there.
 */
#include "injection.h"
#include "hw/core/cpu.h"

/* EXCP_INTERRUPT: values from here on are not vectors but QEMU's requests. */
#define NO_VECTOR 0x10000

/* The CPUs by their index: only those that have run a block. */
static CPUState *seen[256];

static void forget(unsigned int index, void *data)
{
    if (index >= ARRAY_SIZE(seen)) {
        return;
    }
    if (!seen[index]) {
        seen[index] = qemu_get_cpu(index);
    }
    if (seen[index]->exception_index < NO_VECTOR) {
        seen[index]->exception_index = -1;
    }
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    qemu_plugin_register_vcpu_tb_exec_cb(block, forget, QEMU_PLUGIN_CB_NO_REGS,
                                         NULL);
}

void injection_mend(qemu_plugin_id_t id)
{
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
}
