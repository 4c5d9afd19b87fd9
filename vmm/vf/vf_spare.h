/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VFs that a VM's VFs are exchanged for, outside of all VMs before and after. Who exchanges VFs
 * is vmm/migrate, for one VM at a time: spare N, below CONFIG_VM_VFS_MAX, is for one VF of it.
 */
#ifndef PORTOLAN_VMM_VF_VF_SPARE_H
#define PORTOLAN_VMM_VF_VF_SPARE_H

#include "vmm/vf/vf_internal.h"

/* The VM's VF that is VF INDEX, from 0, of the PF at PF; NULL: no VM has it. Any CPU. */
struct vf *vf_lookup(bdf_t pf, uint32_t index);

/* Take the memory for spares. NO_MEMORY. Boot CPU, once, before all that is below. */
enum status vf_spare_create(void);

/*
 * Take VF INDEX of PF as spare N for OLD, a VF of a VM that runs, and begin its FLR. NULL, said in
 * the log: it cannot be had. OLD's VM may run meanwhile.
 */
struct vf *vf_spare_open(uint32_t n, const struct vf *old, bdf_t pf, uint32_t index);

/* Spare N as it is now. */
struct vf *vf_spare(uint32_t n);

/* Is a spare, or the VF that one is exchanged for, one of PF, and not closed yet? Then PF must not
 * be reset. Any CPU. */
bool vf_spare_uses(const struct pf *pf);

/* Is spare N's FLR over, of vf_spare_open() or vf_spare_retire()? Then *STATUS says how it went.
 * Does not wait; one CPU at a time. */
bool vf_spare_is_reset(uint32_t n, enum status *status);

/*
 * Let spare N, which was reset, reach the memory of OLD's VM, without Bus Master, and bring its
 * legacy function up, shown to nobody. Errors are said in the log. No VF of the VM is touched.
 * Waits for the spare's device.
 */
enum status vf_spare_add(uint32_t n, const struct vf *old);

/* VF reaches the memory of its VM's domain no more; or from now on. Bus Master is off, no
 * interrupts.
 */
enum status vf_cut(struct vf *vf);
enum status vf_join(struct vf *vf);

/* OLD's place in its VM is spare N's from here on, and OLD is spare N; or back. The VM is parked
 * and paused. Returns the VM's VF. */
struct vf *vf_spare_exchange(uint32_t n, struct vf *old);

/* No DMA and no interrupts of spare N any more; begin its FLR. */
void vf_spare_retire(uint32_t n);

/* Unmap spare N; it is no VM's. */
void vf_spare_close(uint32_t n);

#endif
