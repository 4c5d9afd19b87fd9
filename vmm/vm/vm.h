/* SPDX-License-Identifier: BSD-2-Clause */
/* Virtual machines: made from the configuration at boot, then started, reset and stopped at will.
 */
#ifndef PORTOLAN_VMM_VM_VM_H
#define PORTOLAN_VMM_VM_VM_H

#include "vmm/base/guest_log.h"
#include "vmm/config/config.h"
#include "vmm/host/guest_ram.h"
#include "vmm/host/spinlock.h"
#include "vmm/load/load.h"
#include "vmm/pc/pc.h"
#include "vmm/vf/vf.h"
#include "vmm/vm/nested.h"
#include "vmm/vm/vcpu.h"

/* ENDED: it has stopped, and only the line that says so is still to come. */
enum vm_state { VM_STOPPED, VM_RUNNING, VM_ENDED };

/* Why all vCPUs of a VM are to meet; the higher one wins. */
enum vm_request { VM_REQUEST_NONE, VM_REQUEST_RESET, VM_REQUEST_STOP };

struct vm {
    const struct config_vm *config;
    unsigned index;
    unsigned vcpu_count;
    struct vcpu *vcpu[CONFIG_VM_CPUS_MAX];
    struct ram ram;
    struct nested nested;
    struct vf_set vfs;
    uint32_t nested_generation; /* grows when the TLBs must forget; atomic */

    struct spinlock lock; /* the platform's */
    uint64_t lock_flags;  /* of who holds it */
    struct pc pc;
    uint64_t base_ns;  /* the VMM's time that is virtual time 0 */
    uint64_t base_tsc; /* the same as host TSC */

    uint32_t state;   /* enum vm_state; atomic */
    uint32_t request; /* enum vm_request; atomic */
    uint32_t parked;  /* vCPUs that wait for the leader; atomic */
    uint32_t round;   /* grows when the leader is done; atomic */
    uint32_t active;  /* vCPUs that have not ended; atomic */
    bool stopping;    /* what the leader decided; atomic */
    uint32_t resets;
    struct guest_log log;
    gpa_t rsdp;
    struct load_entry entry;
};

/* Make the VMs of CONFIG: memory, vCPUs. Those that cannot be made are said and left out. Boot CPU,
 * once. */
void vm_create_all(const struct config *config);

unsigned vm_count(void);
struct vm *vm_by_index(unsigned index);

/* How many are running now, or have not said yet that they stopped. */
unsigned vm_running(void);

/* Load its first program and set its vCPUs going. STATE: it runs already, or is still stopping (no
 * more from the moment that the log says that it stopped); INVALID: its files are no good. CPU 0,
 * or the console's. */
enum status vm_start(struct vm *vm);

/* Ask it to stop or reset; does not wait. STATE: it is not running, or stops already; a stop that
 * nobody has seen to yet may be asked for again. Any CPU. */
enum status vm_stop(struct vm *vm, const char *why);
enum status vm_reset(struct vm *vm, const char *why);

/* Does it still run, but not for long: it was asked to stop, or its VFs are being reset? Any CPU.
 */
bool vm_is_stopping(const struct vm *vm);

/* All vCPUs are to look at the nested tables anew; does not wait. */
void vm_flush(struct vm *vm);

/* Virtual time in nanoseconds. */
uint64_t vm_now(const struct vm *vm);

/* Log what the guest did wrong, unless it has said enough already. */
#define vm_complain(vm, ...) guest_complain(&(vm)->log, __VA_ARGS__)

/* Between two exits: meet the VM's other vCPUs if somebody asked for it. False: the VM has stopped.
 */
bool vm_rendezvous(struct vcpu *vcpu);

/* VCPU has left its guest for the last time. Its own CPU. */
void vm_vcpu_ended(struct vcpu *vcpu);

#endif
