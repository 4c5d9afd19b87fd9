/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VGA with Bochs's VBE extension, as QEMU's stdvga: PCI function 02.0, 1234:1111. IBM Video
 * Subsystem technical reference; FreeVGA (registers, write modes); Bochs's and QEMU's
 * documentation of the DISPI interface and of stdvga's register BAR.
 *
 * Ports 3B0h..3DFh and 1CEh..1D0h; the window at A0000h; 16 MiB of video memory, which BAR 0 shows
 * as it is; BAR 2, with the same registers in memory; the expansion ROM.
 *
 * The four planes lie side by side: byte P of double word N of the video memory is byte N of plane
 * P. Chain-4 and odd/even addresses lead to the same places, so that the CRTC's word and double
 * word modes need no notice. There is no interrupt on retrace.
 *
 * Every function needs the pc lock, but those that get a copy of the state.
 */
#ifndef PORTOLAN_VMM_PC_VGA_H
#define PORTOLAN_VMM_PC_VGA_H

#include "vmm/base/fields.h"
#include "vmm/base/types.h"

#define VGA_DEVFN       0x10U
#define VGA_MEMORY_SIZE (16U << 20)
#define VGA_ROM_MAX     0x10000U
#define VGA_WINDOW      0xa0000U
#define VGA_WINDOW_SIZE 0x20000U
#define VGA_PORTS       0x3b0U
#define VGA_PORTS_SIZE  0x30U
#define VGA_VBE_PORTS   0x1ceU

/* The greatest picture, which is what VBE offers at most. */
#define VGA_WIDTH_MAX  2560U
#define VGA_HEIGHT_MAX 1600U

enum vga_sequencer { SEQ_CLOCKING = 1, SEQ_MAP_MASK, SEQ_FONTS, SEQ_MEMORY, SEQ_COUNT = 8 };

enum vga_graphics {
    GFX_SET_RESET,
    GFX_ENABLE,
    GFX_COMPARE,
    GFX_ROTATE,
    GFX_READ_MAP,
    GFX_MODE,
    GFX_MISC,
    GFX_DONT_CARE,
    GFX_BIT_MASK,
    GFX_COUNT
};

enum vga_crtc {
    CRTC_H_TOTAL,
    CRTC_H_DISPLAY,
    CRTC_V_TOTAL = 6,
    CRTC_OVERFLOW,
    CRTC_ROW_PRESET,
    CRTC_MAX_SCAN,
    CRTC_CURSOR_START,
    CRTC_CURSOR_END,
    CRTC_START_HIGH,
    CRTC_START_LOW,
    CRTC_CURSOR_HIGH,
    CRTC_CURSOR_LOW,
    CRTC_V_RETRACE,
    CRTC_V_RETRACE_END,
    CRTC_V_DISPLAY,
    CRTC_OFFSET,
    CRTC_UNDERLINE,
    CRTC_MODE = 0x17,
    CRTC_LINE_COMPARE,
    CRTC_COUNT
};

enum vga_attribute {
    ATTR_MODE = 16,
    ATTR_OVERSCAN,
    ATTR_PLANES,
    ATTR_PAN,
    ATTR_SELECT,
    ATTR_COUNT
};

enum vga_vbe {
    VBE_ID,
    VBE_WIDTH,
    VBE_HEIGHT,
    VBE_BPP,
    VBE_ENABLE,
    VBE_BANK,
    VBE_VIRTUAL_WIDTH,
    VBE_VIRTUAL_HEIGHT,
    VBE_X,
    VBE_Y,
    VBE_COUNT,
    VBE_MEMORY = VBE_COUNT /* read only: in units of 64 KiB */
};

#define VBE_ENABLED  0x01U
#define VBE_GET_CAPS 0x02U /* width, height and bpp read as the greatest */
#define VBE_8BIT_DAC 0x20U
#define VBE_NO_CLEAR 0x80U

struct vga_state {
    uint8_t misc; /* miscellaneous output, 3C2h */
    uint8_t feature;
    uint8_t sequencer_index;
    uint8_t sequencer[SEQ_COUNT];
    uint8_t graphics_index;
    uint8_t graphics[GFX_COUNT];
    uint8_t crtc_index;
    uint8_t crtc[CRTC_COUNT];
    uint8_t attribute_index; /* with bit 5, which lets the picture be seen */
    bool attribute_data;     /* the next byte to 3C0h is data */
    uint8_t attribute[ATTR_COUNT];
    uint8_t dac_mask;
    uint8_t dac_read;
    uint8_t dac_write;
    uint8_t dac_component; /* of the colour that is being read or written */
    bool dac_reading;
    uint8_t dac[3 * 256];
    uint32_t latch;
    uint16_t vbe_index;
    uint16_t vbe[VBE_COUNT];
    uint8_t config[256];
};

struct vga {
    struct vga_state state;
    /* Configuration; NULL: there is no screen, or no ROM. */
    uint32_t *memory; /* VGA_MEMORY_SIZE bytes; the guest writes there too */
    const uint8_t *rom;
    uint32_t rom_size;  /* at most VGA_ROM_MAX */
    uint64_t bars_from; /* where RAM ends: below there are no BARs */
    uint32_t clear;     /* bytes of the memory for vga_take_clear() */
};

extern const struct section vga_section; /* struct vga_state */

/* Without a screen nothing else is called than this. */
void vga_reset(struct vga *vga);

/* A byte of VGA_PORTS, at virtual time NOW; ports that are not there read as ones. */
uint8_t vga_port_read(struct vga *vga, uint16_t port, uint64_t now);
void vga_port_write(struct vga *vga, uint16_t port, uint8_t value);

/* A word at VGA_VBE_PORTS: the index; and at either behind it: the data. */
uint16_t vga_vbe_read(const struct vga *vga, uint16_t port);
void vga_vbe_write(struct vga *vga, uint16_t port, uint16_t value);

/*
 * A mode of VBE may begin with a memory of zeros, and that takes milliseconds. After a write to
 * either, under the same lock: how many bytes are to be cleared for it; then, without the lock,
 * vga_clear(), before the write is over for the guest.
 */
static inline uint32_t vga_take_clear(struct vga *vga)
{
    uint32_t size = vga->clear;

    vga->clear = 0;
    return size;
}

void vga_clear(struct vga *vga, uint32_t size);

/* Its configuration space was written: without a ROM there is no BAR for it. */
void vga_config_written(struct vga *vga);

/* Is AT, of device memory, the VGA's? Also without a screen, and without the lock: then a guest
 * that moves its BARs meanwhile may be told either. */
bool vga_claims(const struct vga *vga, uint64_t at);

/* WIDTH bytes there, 1, 2, 4 or 8. */
uint64_t vga_memory_read(struct vga *vga, uint64_t at, unsigned width, uint64_t now);
void vga_memory_write(struct vga *vga, uint64_t at, unsigned width, uint64_t value);

/* WIDTH bytes, at most 4, at OFFSET of BAR 2. */
uint32_t vga_register_read(struct vga *vga, uint32_t offset, unsigned width, uint64_t now);
void vga_register_write(struct vga *vga, uint32_t offset, unsigned width, uint32_t value);

/* Where BAR 0 shows the video memory; 0: nowhere, or where a guest has no BARs. */
uint64_t vga_frame_base(const struct vga *vga);
uint64_t vga_register_base(const struct vga *vga);
uint64_t vga_rom_base(const struct vga *vga);

#endif
