/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's own pair of 8259A interrupt controllers, which the VMM does not use. */
#ifndef PORTOLAN_VMM_HOST_I8259_H
#define PORTOLAN_VMM_HOST_I8259_H

/*
 * Mask all their interrupts. A BIOS leaves them on, with its timer on vector 8, an exception's; and
 * masking LINT0 of the local APIC does not stop them on every machine. They are also given vectors
 * above the exceptions', as one that is just on its way comes as IRQ 7 ("spurious") although it is
 * masked: that one is VECTOR_SPURIOUS. Boot CPU, with interrupts off, before they are first on.
 */
void pic_silence(void);

#endif
