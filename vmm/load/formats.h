/* SPDX-License-Identifier: BSD-2-Clause */
/* The formats that load_plan_build() chooses from. It has checked the input's RAM and limits, and
 * the builder's plan is empty. */
#ifndef PORTOLAN_VMM_LOAD_FORMATS_H
#define PORTOLAN_VMM_LOAD_FORMATS_H

#include "vmm/load/plan.h"

/* A bzImage: Documentation/arch/x86/boot.rst of Linux, protocol 2.06 and later. */
enum status bzimage_plan(struct plan_builder *builder);

/* Multiboot Specification 0.6.96. */
enum status multiboot_plan(struct plan_builder *builder);

/* A Multiboot header, where it was found. */
struct multiboot_header {
    uint32_t offset; /* in the file */
    uint32_t flags;
};

/*
 * Add the image's segments and find its entry, from its ELF program headers or, if the header
 * says so, from its address fields. *END is where its highest segment ends.
 */
enum status multiboot_image_add(struct plan_builder *builder, const struct multiboot_header *header,
                                uint64_t *end);

#define MULTIBOOT_HEADER_ADDRESSES (1U << 16)

#endif
