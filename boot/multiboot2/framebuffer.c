/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/multiboot2/framebuffer.h"

#include "vmm/base/types.h"

#define PIXEL_BITS 32U

static uint32_t pixel_get(const struct information_framebuffer *screen)
{
    if (screen->type != INFORMATION_RGB || screen->bits != PIXEL_BITS || screen->red_bits != 8 ||
        screen->green_bits != 8 || screen->blue_bits != 8 || screen->green != 8) {
        return HANDOFF_PIXEL_NONE;
    }
    if (screen->red == 16 && screen->blue == 0) {
        return HANDOFF_PIXEL_BGRX;
    }
    return screen->red == 0 && screen->blue == 16 ? HANDOFF_PIXEL_RGBX : HANDOFF_PIXEL_NONE;
}

struct handoff_framebuffer framebuffer_convert(const struct information_framebuffer *screen)
{
    struct handoff_framebuffer none = {0};
    uint32_t pixel = pixel_get(screen);

    if (pixel == HANDOFF_PIXEL_NONE || screen->base == 0 || screen->width == 0 ||
        screen->height == 0 || screen->width > screen->pitch / (PIXEL_BITS / 8) ||
        !range_fits(screen->base, (uint64_t)screen->pitch * screen->height, UINT64_MAX)) {
        return none;
    }
    return (struct handoff_framebuffer){screen->base, screen->width, screen->height, screen->pitch,
                                        pixel};
}
