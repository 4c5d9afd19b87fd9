/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's VMRUN delivers the interrupt of EVENTINJ at once, but leaves its
 * vector in exception_index as well.  If the CPU loop is asked to end before
 * the guest's next exit or exception, it takes that for an exception and
 * delivers the interrupt once more, even to a guest that has interrupts off;
 * and the request is lost.  The loop is asked to end by other threads when
 * memory regions change, say, and with -icount at the deadline of each timer.
 *
 * Here stands a function before the one that delivers exceptions, which knows
 * such a one by what VMRUN leaves behind.
 */
#include "injection.h"
#include "compat.h"
#include "exec/address-spaces.h"
#include "exec/memory.h"
#include "hw/core/sysemu-cpu-ops.h"
#include "migration/vmstate.h"
#include "qemu/error-report.h"

#define VECTORS 256
#define HFLAGS_GUEST (1U << 21)
#define VMCB_EVENTINJ 0xa8
#define EVENTINJ_TYPE 0x700 /* 0: an interrupt */

/* Where the state of a CPU is; QEMU says so to those that save it. */
static struct {
    size_t hflags, vm_vmcb, exception_next_eip;
} offsets;

static CompatInterrupt *deliver;

size_t injection_offset(CPUClass *class, const char *name)
{
    const VMStateDescription *all = class->sysemu_ops->legacy_vmsd;
    const VMStateField *field = all->fields;

    while (field->name && strcmp(field->name, name)) {
        field++;
    }
    return field->name ? field->offset : 0;
}

/* exception_next_eip is not saved; it is the word before DR0 to DR7. */
static bool find_offsets(CPUClass *class)
{
    size_t dr = injection_offset(class, "env.dr");

    offsets.hflags = injection_offset(class, "env.hflags");
    offsets.vm_vmcb = injection_offset(class, "env.vm_vmcb");
    offsets.exception_next_eip = dr - sizeof(uint64_t);
    return dr && offsets.hflags && offsets.vm_vmcb;
}

static bool is_delivered(CPUState *cpu)
{
    uint8_t *state = (uint8_t *)cpu;
    uint32_t hflags = *(uint32_t *)(state + offsets.hflags);
    uint64_t vmcb = *(uint64_t *)(state + offsets.vm_vmcb);
    uint64_t next = *(uint64_t *)(state + offsets.exception_next_eip);

    return cpu->exception_index < VECTORS && (hflags & HFLAGS_GUEST) &&
           next == UINT64_MAX &&
           !(address_space_ldl_le(&address_space_memory, vmcb + VMCB_EVENTINJ,
                                  MEMTXATTRS_UNSPECIFIED, NULL) &
             EVENTINJ_TYPE);
}

static void deliver_once(CPUState *cpu)
{
    if (is_delivered(cpu)) {
        cpu_exit(cpu); /* as it was asked to */
    } else {
        deliver(cpu);
    }
}

void injection_mend(unsigned index)
{
    CPUClass *class = CPU_GET_CLASS(qemu_get_cpu(index));

    if (deliver) {
        return;
    }
    if (!find_offsets(class)) {
        error_report("portolan-mmr: this QEMU's CPUs have no SVM to mend");
        exit(1);
    }
    deliver = compat_hook_do_interrupt(class, deliver_once);
}
