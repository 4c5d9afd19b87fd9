/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For how long a guest of the hypervisor stands still: what each CPU executes
 * between one instruction of its guest and the next, in instructions and in
 * time of this host, which two emulators on it share.  Nobody in the machine
 * knows that it is counted.
 *
 * Blocks are counted as they are entered.  One that is left in its middle, by
 * an exception, counts as whole: some instructions too many.
 */
#include "gaps.h"
#include "injection.h"
#include "hw/core/cpu.h"
#include "qemu/timer.h"

#define CPUS_MAX 64
#define HFLAGS_GUEST (1U << 21)

typedef struct Gap {
    int64_t began, ended;           /* ns; ended 0: it has not */
    uint64_t instructions;
} Gap;

/* Written by the CPU's own thread, but for FORGET. */
typedef struct Count {
    const uint32_t *hflags;
    bool in_guest;
    bool forget;                    /* to begin anew at the next block */
    uint64_t exits;
    Gap now, longest;               /* by instructions */
} Count;

static Count counts[CPUS_MAX];

static int64_t now_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
}

static void begin_gap(Count *c)
{
    c->now = (Gap){ .began = now_ns() };
}

static void end_gap(Count *c)
{
    c->now.ended = now_ns();
    if (c->now.instructions > c->longest.instructions) {
        c->longest = c->now;
    }
}

static void forget(Count *c)
{
    c->exits = 0;
    c->longest = (Gap){ 0 };
    begin_gap(c);
    qatomic_set(&c->forget, false);
}

static void enter_or_leave(Count *c)
{
    c->in_guest = !c->in_guest;
    if (c->in_guest) {
        end_gap(c);
    } else {
        c->exits++;
        begin_gap(c);
    }
}

static void execute(unsigned index, void *instructions)
{
    Count *c = &counts[index];

    if (unlikely(qatomic_read(&c->forget))) {
        forget(c);
    }
    if (unlikely(!!(*c->hflags & HFLAGS_GUEST) != c->in_guest)) {
        enter_or_leave(c);
    }
    if (!c->in_guest) {
        c->now.instructions += (uintptr_t)instructions;
    }
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    qemu_plugin_register_vcpu_tb_exec_cb(
        tb, execute, QEMU_PLUGIN_CB_NO_REGS,
        (void *)(uintptr_t)qemu_plugin_tb_n_insns(tb));
}

void gaps_count(qemu_plugin_id_t id)
{
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
}

void gaps_cpu_made(unsigned index)
{
    CPUState *cpu = qemu_get_cpu(index);
    size_t at = injection_offset(CPU_GET_CLASS(cpu), "env.hflags");

    g_assert(index < CPUS_MAX && at);
    counts[index].hflags = (const uint32_t *)((const uint8_t *)cpu + at);
}

/*
 * A word for each CPU: exits; instructions, beginning and end of the longest
 * gap; instructions and beginning of the one that it is in, 0 if it is in its
 * guest.  All since somebody wrote to it last.
 */
static char *get_gaps(Object *obj, Error **errp)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < CPUS_MAX && counts[i].hflags; i++) {
        Count *c = &counts[i];
        Gap none = { 0 }, *open = c->in_guest ? &none : &c->now;

        g_string_append_printf(
            text, "%s%" PRIu64 ",%" PRIu64 ",%" PRId64 ",%" PRId64 ",%" PRIu64
            ",%" PRId64, i ? " " : "", c->exits, c->longest.instructions,
            c->longest.began, c->longest.ended, open->instructions,
            open->began);
    }
    return g_string_free(text, false);
}

static void set_gaps(Object *obj, const char *value, Error **errp)
{
    for (unsigned i = 0; i < CPUS_MAX; i++) {
        qatomic_set(&counts[i].forget, true);
    }
}

void gaps_add_property(ObjectClass *oc)
{
    object_class_property_add_str(oc, "cpu-gaps", get_gaps, set_gaps);
    object_class_property_set_description(
        oc, "cpu-gaps", "for how long each CPU's guest stood still");
}
