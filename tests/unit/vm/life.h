/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What vm.c, vm_start.c and rendezvous.c need of the rest, on the host: parts of a VM that can
 * fail, and vCPUs whose guests are left for nothing but a kick, so that a lost one hangs the test.
 */
#ifndef PORTOLAN_TESTS_UNIT_VM_LIFE_H
#define PORTOLAN_TESTS_UNIT_VM_LIFE_H

#include "vmm/vm/backend.h"
#include "vmm/vm/vm.h"

#define CPUS 4U

extern struct life {
    struct config config;
    struct cpu cpus[CPUS];
    uint64_t clock_ns;
    uint64_t tsc_per_ns;         /* 0: the clock is CLOCK_NS, whatever the TSC */
    uint32_t in_guest;           /* vCPUs that run guest code; atomic */
    uint32_t quit;               /* life_run_cpu() is to return; atomic */
    uint32_t failures;           /* of check(); atomic */
    uint32_t consoles;           /* calls of pc_console_ready() */
    uint32_t resumes;            /* of vCPUs; atomic */
    uint32_t moves;              /* calls of migrate_act(); atomic */
    uint32_t holds, presses;     /* of the power button while time stands still; when it goes on */
    uint32_t flushes, ram_frees; /* how often */
    unsigned destroyed;          /* nested tables */
    unsigned vf_sets;            /* that were made and not destroyed */
    bool held[CONFIG_VMS_MAX];   /* the VFs of the VM of that index are paused */
    enum status load_status, nested_status, ram_status, map_status, last_status, init_status,
        checkpoint_status;
    struct vm *ask_while_it_ends; /* NULL: nobody asks */
    struct vcpu *unable;          /* its CPU cannot run guests; NULL: each can */
    unsigned own_resets;          /* every so many entries a guest resets its machine itself */
} life;

/* A thread cannot fail a cmocka test: it counts, and the test looks. */
#define check(good) life_check((good), #good, __FILE__, __LINE__)
void life_check(bool good, const char *what, const char *file, int line);

/* Between two looks: all threads need the host's CPUs. */
void rest(void);

static inline uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

/* A VM for life.config; and the one that was made of it. */
struct config_vm *add_vm(const char *name, unsigned vcpus);
struct vm *named(const char *name);

/* Nothing fails from here on, and the log is empty. */
void make_all_well(void);

/* This thread acts as CPU, whose limit log lines are within; as which one before? And may there be
 * one more? */
struct cpu *life_be(struct cpu *cpu);
bool life_log_passes(void);

/* A CPU's idle loop, for a thread: ARGUMENT is the CPU. And one turn of it. */
void *life_run_cpu(void *argument);
void do_call(struct cpu *cpu);

#endif
