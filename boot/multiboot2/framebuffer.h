/* SPDX-License-Identifier: BSD-2-Clause */
/* The screen that the boot loader has set up, as the core wants it. Pure: compiled for tests too.
 */
#ifndef PORTOLAN_BOOT_MULTIBOOT2_FRAMEBUFFER_H
#define PORTOLAN_BOOT_MULTIBOOT2_FRAMEBUFFER_H

#include "boot/multiboot2/information.h"

/*
 * SCREEN for the hand-off; pixel is HANDOFF_PIXEL_NONE when there is none that the core can draw
 * on: it wants 32 bits a pixel, 8 for each colour, lines that fit their pitch, and no wrapped
 * address.
 */
struct handoff_framebuffer framebuffer_convert(const struct information_framebuffer *screen);

#endif
