/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State that was written to a VF and waits for the VF to run.
 */
#ifndef PORTOLAN_STAGED_H
#define PORTOLAN_STAGED_H

#include "image.h"

/* Takes IMAGE, which fits, over. */
void staged_set(PCIDevice *vf, Image *image);
void staged_forget(PCIDevice *vf);

/*
 * Lets VF, which is halted, run, with the state that waits if there is one.
 * Why it cannot, or NULL.
 */
const char *staged_resume(PCIDevice *vf);

/* Begins what the source of the state had begun; then it waits no longer. */
void staged_replay(PCIDevice *vf);

#endif
