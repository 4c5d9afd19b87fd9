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

/*
 * IMAGE is not what KIND says. Log what it is and what would take it; false if that is not known.
 */
bool foreign_explain(const struct load_file *image, enum load_kind kind);

/*
 * Is IMAGE, whose first 264h bytes are there and have Linux's magic numbers, a program for a BIOS
 * in the form of a bzImage? Then it is logged what it is.
 */
bool foreign_explain_bios(const struct load_file *image);

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
