/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual machines: made from the configuration at boot, then started, reset and stopped at will.
 */
#ifndef PORTOLAN_VMM_VM_VM_H
#define PORTOLAN_VMM_VM_VM_H

#include "vmm/base/guest_log.h"
#include "vmm/config/config.h"
#include "vmm/host/guest_ram.h"
#include "vmm/host/instructions.h"
#include "vmm/host/radix.h"
#include "vmm/host/ratio.h"
#include "vmm/host/spinlock.h"
#include "vmm/load/load.h"
#include "vmm/pc/pc.h"
#include "vmm/vf/vf.h"
#include "vmm/vm/guest_firmware.h"
#include "vmm/vm/model.h"
#include "vmm/vm/reset_loop.h"
#include "vmm/vm/trace.h"
#include "vmm/vm/vcpu.h"
#include "vmm/vm/vm_clock.h"
#include "vmm/vm/vm_move.h"

/*
 * STARTING: one of its CPUs makes it ready to run. PAUSED: its vCPUs are parked and its time stands
 * still. ENDED: it has stopped, and only the line that says so is still to come.
 */
enum vm_state { VM_STOPPED, VM_STARTING, VM_RUNNING, VM_PAUSED, VM_ENDED };

/* Why all vCPUs of a VM are to park; bits of vm.request. A stop goes before all others. */
#define VM_REQUEST_STOP       (1U << 0)
#define VM_REQUEST_RESET      (1U << 1)
#define VM_REQUEST_PAUSE      (1U << 2)
#define VM_REQUEST_RESUME     (1U << 3)
#define VM_REQUEST_CHECKPOINT (1U << 4)
#define VM_REQUEST_MIGRATE    (1U << 5) /* see vmm/migrate what there is to do */
#define VM_REQUEST_MOVE       (1U << 6) /* an order of vm_move.h */

/* What the vCPUs do when they leave the rendezvous. */
enum vm_after { VM_AFTER_GO_ON, VM_AFTER_RESET, VM_AFTER_LOAD, VM_AFTER_STOP };

/* Guest-physical addresses end at 2^48. */
#define VM_NESTED_LEVELS 4U

/* What a VM has for its checkpoints; the buffers are of SIZE bytes. */
struct vm_checkpoints {
    uint8_t *stream[2];
    size_t size;
    struct legacy_state *scratch;
    uint32_t wanted;  /* still to be taken; atomic */
    uint32_t taken;   /* since the VM was started */
    uint64_t next_ns; /* of its time: when the next is asked for; CPU 0's */

    /* Those of the configuration; vCPU 0's CPU. */
    uint64_t at_ns;  /* when the next is due, virtual */
    uint64_t gap_ns; /* mean, from there to the one after it */
    uint32_t done;
    bool due;
};

/* Buttons of the machine. */
enum vm_press {
    VM_PRESS_POWER = 1,
    VM_PRESS_NMI = 2,
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct vm {
    const struct config_vm *config;
    unsigned index;
    unsigned vcpu_count;
    struct vcpu *vcpu[CONFIG_VM_CPUS_MAX];
    struct model_level level;
    struct ram ram;
    struct radix nested;
    void *apic_page;             /* in them; NULL: no CPU serves the local APIC: backend.h */
    struct spinlock nested_lock; /* changes of it, with interrupts as they are */
    struct vf_set vfs;
    uint32_t nested_generation; /* grows when the TLBs must forget; atomic */
    bool dirty_claimed;         /* dirty_claim(); atomic */
    bool no_split;              /* no memory was left to split large pages; under nested_lock */

    hpa_t rom; /* of its firmware */
    uint64_t rom_size;
    uint32_t rom_sum;    /* of it, for vm_move_text(), whose alone it is; 0: nobody asked yet */
    uint32_t low_kinds;  /* what of PC_LOW_... is mapped; atomic, changes under nested_lock */
    hpa_t nvram;         /* of its flash */
    uint32_t nvram_size; /* 0: it has none */
    bool nvram_mapped;   /* under nested_lock */
    struct firmware firmware;
    hpa_t video;       /* of its screen; 0: it has none */
    uint64_t video_at; /* where it is mapped; 0: nowhere. Under nested_lock */

    uint8_t *rings;     /* of its portal; NULL: it is not the service VM */
    uint64_t rings_at;  /* where they are mapped; 0: nowhere. Under nested_lock */
    uint64_t window_at; /* likewise the window */
    bool exposed;       /* another's window may show its RAM; not after it has stopped; atomic */

    struct spinlock lock; /* the platform's */
    uint64_t lock_flags;  /* of who holds it */
    struct pc pc;
    uint64_t base_ns;      /* the VMM's time that is virtual time 0 */
    uint64_t base_tsc;     /* the same by the host's TSC at the guest's rate: vm_scale_tsc() */
    uint64_t tsc_ratio;    /* of the guest's rate to the host's; 0: they are one */
    unsigned tsc_fraction; /* bits of it behind the point */
    bool frozen;           /* its time stands still, at the next; atomic */
    struct vm_clock clock;
    uint32_t touched; /* by those from outside who do something to the machine; atomic */
    uint32_t presses; /* enum vm_press: buttons that are held; atomic */

    uint32_t state;   /* enum vm_state; atomic */
    uint32_t request; /* VM_REQUEST_...; atomic */
    uint32_t parked;  /* vCPUs that wait for the leader; atomic */
    uint32_t round;   /* grows when the leader is done; atomic */
    uint32_t active;  /* vCPUs that have not ended; atomic */
    uint32_t after;   /* enum vm_after: what the leader decided; atomic */
    bool awaits;      /* it is started without a program; who starts it */
    bool paused;      /* it stays parked until it is resumed; the leader's */
    bool died;        /* the reset that is asked for is for a fault; atomic */
    struct vm_checkpoints checkpoints;
    struct vm_move move;
    uint32_t resets;              /* atomic */
    uint32_t powerdowns;          /* the power button was pressed; atomic */
    struct reset_loop reset_loop; /* the leader's */
    struct trace trace;
    struct guest_log log;        /* what may be said of its guest's doing */
    struct guest_log orders_log; /* of what the service VM orders, a share of its own: who moves
                                    a VM wants to read of it, whatever its guest has said */
    bool by_service;             /* the service VM, not the operator, was the last to have it
                                    started, stopped or paused; atomic */
    gpa_t rsdp;
    struct load_entry entry;
};

/* Copy the VM's program, tables and files to its memory and note where vCPU 0 begins. No vCPU runs.
 */
enum status program_load(struct vm *vm);

/* Let STATE, that of a reset, be at the program's entry. */
void program_enter(const struct vm *vm, struct cpu_state *state);

/* Make the VMs of CONFIG: memory, vCPUs. Those that cannot be made are said and left out. Boot CPU,
 * once. */
void vm_create_all(const struct config *config);

unsigned vm_count(void);
struct vm *vm_by_index(unsigned index);

/* How many are running now, are about to, or have not said yet that they stopped. */
unsigned vm_running(void);

/*
 * Begin to start it: the rest is done on one of its CPUs, and the log says how it ends. STATE: it
 * runs already, or is still stopping (no more from the moment that the log says that it stopped);
 * UNSUPPORTED: not this kind of VM. CPU 0.
 */
enum status vm_start(struct vm *vm);

/* The same, but without a program: it is parked, and waits for its state. */
enum status vm_await(struct vm *vm);

/* Make it as vm_await() does: its RAM, machine and VFs. All vCPUs are parked. */
enum status vm_make_new(struct vm *vm);

/*
 * Ask it to stop, reset, pause or resume; does not wait. STATE: it is not in a state for that, or
 * stops already. What is asked for already may be asked for again, which changes nothing and is not
 * logged. WHY: the line's end; NULL: no line. A stop is always logged, or, if the service VM was
 * the last to start or stop it, within the limit of its orders; the others within that of the
 * guest's lines. Any CPU, also under the pc lock.
 */
enum status vm_stop(struct vm *vm, const char *why);
/* Without WHY it is for a fault of the guest's, and after many of these the VM stays off. */
enum status vm_reset(struct vm *vm, const char *why);
/* Set REQUEST, from VM_REQUEST_PAUSE on, likewise. */
enum status vm_request(struct vm *vm, uint32_t request);

/*
 * Somebody from outside (the console) is about to do something to the machine, and has done it.
 * False: not now, the VM does not run or its time stands still. Any CPU; no waiting in between.
 */
bool vm_touch(struct vm *vm);
void vm_touched(struct vm *vm);

/*
 * Press its power button, or the one for an NMI. While its time stands still, as for a checkpoint,
 * the button is held until it goes on; a VM that is let go to another host does not take it along.
 * STATE: it does not run, or is paused. Any CPU; does not wait.
 */
enum status vm_press(struct vm *vm, enum vm_press which);

/* Its time goes on: carry out what is held. Any CPU that has touched it, or the leader. */
void vm_press_held(struct vm *vm);

/* Does it still run, but not for long: it was asked to stop, or its VFs are being reset? Any CPU.
 */
bool vm_is_stopping(const struct vm *vm);

/*
 * Is it made, and does not stop yet? What it has may be looked at by the portal as long as this is
 * so, and until the portal's turn ends: a stop waits for that (vm_edge_hide()). Any CPU.
 */
bool vm_is_up(const struct vm *vm);

/* All vCPUs are to look at the nested tables anew; does not wait. */
void vm_flush(struct vm *vm);

/*
 * From the return on no vCPU runs its guest with what the nested tables said before the call. Ends:
 * a kick ends the guest's run, and the next begins with a flush.
 */
static inline void vm_flush_and_wait(struct vm *vm)
{
    vm_flush(vm);
    uint32_t wanted = __atomic_load_n(&vm->nested_generation, __ATOMIC_SEQ_CST);

    for (unsigned i = 0; i < vm->vcpu_count; i++) {
        while (!vcpu_has_flushed(vm->vcpu[i], wanted)) {
            cpu_relax();
        }
    }
}

/* Virtual time in nanoseconds; stands still while the VM is paused. Any CPU. */
uint64_t vm_now(const struct vm *vm);

/* Log what the guest did wrong, unless there were too many such lines. */
#define vm_complain(vm, ...) guest_log(&(vm)->log, LOG_WARN, __VA_ARGS__)

static inline bool vm_is_by_service(const struct vm *vm)
{
    return __atomic_load_n(&vm->by_service, __ATOMIC_RELAXED);
}

/* Whose limit has what VM does until somebody acts again. NULL: nobody's, he is the operator. */
static inline struct guest_log *vm_orders_log(struct vm *vm)
{
    return vm_is_by_service(vm) ? &vm->orders_log : NULL;
}

/* What the service VM orders may have logged, in a guest's bursts: a move takes some nine lines. */
#define VM_ORDERS_TIMES 4U

/* Log that VM does something that it cannot do again before somebody acts: always if he is the
 * operator, else within the limit of the service VM's orders. */
#define vm_say(vm, fmt, ...)                                        \
    (vm_is_by_service(vm)                                           \
         ? guest_log(&(vm)->orders_log, LOG_INFO, fmt, __VA_ARGS__) \
         : log_write_always(LOG_INFO, "VM '%s': " fmt, (vm)->config->name, __VA_ARGS__))

static inline enum vm_state vm_state(const struct vm *vm)
{
    return (enum vm_state)__atomic_load_n(&vm->state, __ATOMIC_ACQUIRE);
}

/*
 * Between two exits: park with the VM's other vCPUs if somebody asked for it, until the leader has
 * seen to that. False: the VM has stopped. The vCPU's own CPU, no lock held.
 */
bool vm_rendezvous(struct vcpu *vcpu);

/*
 * Let its guest's TSC run at *HZ (0: at the host's rate), which becomes what it does run at: the
 * host's rate, if it is off by no more than a guest's own clock may be and the CPU cannot do
 * better. UNSUPPORTED: this CPU cannot do it; nothing has changed. Before its time begins or goes
 * on; pc_config.tsc_hz, or pc_set_tsc_rate(), is the caller's.
 */
enum status vm_set_tsc_rate(struct vm *vm, uint64_t *hz);

/* What the host's TSC is at the guest's rate, modulo 2^64, as the CPU computes it: the guest's is
 * that, less base_tsc, plus the vCPU's tsc_offset. */
static inline uint64_t vm_scale_tsc(const struct vm *vm, uint64_t host)
{
    return vm->tsc_ratio ? ratio_times(host, vm->tsc_ratio, vm->tsc_fraction) : host;
}

/* Let its time begin at 0, stand still, and go on. No vCPU is in the guest. */
void vm_reset_time(struct vm *vm);
void vm_freeze_time(struct vm *vm);
void vm_thaw_time(struct vm *vm);

/* VCPU has left its guest for the last time; its CPU acts for nobody then. Its own CPU. */
void vm_vcpu_ended(struct vcpu *vcpu);

/* The leader, with all vCPUs parked: they stay so from here on, or no longer. */
void vm_set_parked(struct vm *vm, bool parked);

/* The leader, VFs' functions paused: carry out the order of a move. */
enum vm_after vm_move_act(struct vm *vm);

/* Nothing has come of VM's state; its move is in STATE. */
void vm_move_reset(struct vm *vm, enum vm_move_state state);

/* VM has stopped: so has its move. The last of its CPUs. */
void vm_move_end(struct vm *vm);

#endif
