/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiled form of dsdt.asl, made by the build. */
#ifndef PORTOLAN_VMM_PC_DSDT_H
#define PORTOLAN_VMM_PC_DSDT_H

#include <stdint.h>

extern const uint8_t dsdt_aml[];
extern const uint32_t dsdt_aml_size;

#endif
