/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What VM entries check, SDM 3 chapter 27: for tests, before every entry. In unit tests the VMCS is
 * in memory; in the image of tests/simvf Bochs is the judge.
 */
#ifndef PORTOLAN_TESTS_SIMVF_ENTRY_CHECK_H
#define PORTOLAN_TESTS_SIMVF_ENTRY_CHECK_H

/*
 * The first rule that the current VMCS breaks: its section, and what is wrong. NULL: none. Of
 * 27.2, what VMLAUNCH itself refuses.
 */
const char *entry_check_vmcs(void);

/* Of 27.3: what is a VM exit by the guest's state. */
const char *entry_check_guest(void);

#endif
