/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VF that a VM's VF is exchanged for, outside of all VMs before and after. There is one at a
 * time: who exchanges VFs is vmm/migrate, one VF after the other.
 */
#ifndef PORTOLAN_VMM_VF_VF_SPARE_H
#define PORTOLAN_VMM_VF_VF_SPARE_H

#include "vmm/vf/vf_internal.h"

/* The VM's VF that is VF INDEX, from 0, of the PF at PF; NULL: no VM has it. Any CPU. */
struct vf *vf_lookup(bdf_t pf, uint32_t index);

/*
 * Take VF INDEX of PF as the spare for OLD, a VF of a VM that runs, and begin its FLR. NULL, said
 * in the log: it cannot be had. OLD's VM may run meanwhile.
 */
struct vf *vf_spare_open(const struct vf *old, bdf_t pf, uint32_t index);

/* The spare as it is now. */
struct vf *vf_spare(void);

/* Is the spare, or the VF that it is exchanged for, one of PF, and not closed yet? Then PF must not
 * be reset. Any CPU. */
bool vf_spare_uses(const struct pf *pf);

/* Is the FLR over, of vf_spare_open() or vf_spare_retire()? Then *STATUS says how it went. Does not
 * wait; one CPU at a time. */
bool vf_spare_is_reset(enum status *status);

/*
 * Let the spare, which was reset, reach the memory of OLD's VM, without Bus Master, and bring its
 * legacy function up, shown to nobody. Errors are said in the log. No VF of the VM is touched.
 * Waits for the spare's device.
 */
enum status vf_spare_add(const struct vf *old);

/* OLD's place in its VM is the spare's from here on, and OLD is the spare; or back. The VM is
 * parked and paused. Returns the VM's VF. */
struct vf *vf_spare_exchange(struct vf *old);

/* No DMA and no interrupts of the spare any more; begin its FLR. */
void vf_spare_retire(void);

/* Unmap the spare; it is no VM's. */
void vf_spare_close(void);

#endif
