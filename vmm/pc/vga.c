/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers: VGA's, VBE's, and where both and the memory appear. */
#include "vmm/pc/vga.h"

#include "vmm/base/guest_map.h"
#include "vmm/base/little_endian.h"
#include "vmm/pc/clock.h"
#include "vmm/pc/pci_host.h"

#include <string.h>

#define MISC_COLOUR    0x01U /* the CRTC at 3D4h, not 3B4h */
#define MISC_CLOCK_28  0x04U
#define CRTC_PROTECT   0x80U /* of CRTC_V_RETRACE_END: 0..7 are read only, */
#define LINE_COMPARE_8 0x10U /* but for this bit of CRTC_OVERFLOW */
#define STATUS_BLANK   0x01U
#define STATUS_RETRACE 0x08U
#define DAC_IS_READING 3U

#define VBE_ID_FIRST 0xb0c0U
#define VBE_ID_LAST  0xb0c5U
#define BANK_SIZE    0x10000U

#define CONFIG_COMMAND 0x04U
#define CONFIG_BAR0    0x10U
#define CONFIG_BAR2    0x18U
#define CONFIG_ROM     0x30U
#define COMMAND_MEMORY 0x02U
#define ROM_ENABLE     0x01U
#define REGISTERS_SIZE 0x1000U
#define REGISTERS_VGA  0x400U /* 3C0h..3DFh */
#define REGISTERS_VBE  0x500U

/* The bits that there are. */
static const uint8_t sequencer_bits[SEQ_COUNT] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e};
static const uint8_t graphics_bits[GFX_COUNT] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03,
                                                 0x7b, 0x0f, 0x0f, 0xff};
static const uint8_t crtc_bits[CRTC_COUNT] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0x3f, 0x7f, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xef, 0xff,
};
static const uint8_t attribute_bits[ATTR_COUNT] = {
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f,
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f,
};

static void vbe_fit(uint16_t r[VBE_COUNT]);

static bool check_state(const void *state)
{
    const struct vga_state *s = state;
    uint16_t vbe[VBE_COUNT];

    memcpy(vbe, s->vbe, sizeof(vbe));
    if ((vbe[VBE_ENABLE] & VBE_ENABLED) != 0) {
        vbe_fit(vbe);
    }
    return memcmp(vbe, s->vbe, sizeof(vbe)) == 0 &&
           s->vbe[VBE_BANK] < VGA_MEMORY_SIZE / BANK_SIZE &&
           pci_table_fits(&pci_vga_registers, s->config);
}

static const struct field vga_fields[] = {
    FIELD(struct vga_state, misc, 0xff),
    FIELD(struct vga_state, feature, 0xff),
    FIELD(struct vga_state, sequencer_index, SEQ_COUNT - 1),
    FIELD_ARRAY(struct vga_state, sequencer, 0xff),
    FIELD(struct vga_state, graphics_index, 0x0f),
    FIELD_ARRAY(struct vga_state, graphics, 0xff),
    FIELD(struct vga_state, crtc_index, 0x3f),
    FIELD_ARRAY(struct vga_state, crtc, 0xff),
    FIELD(struct vga_state, attribute_index, 0x3f),
    FIELD(struct vga_state, attribute_data, 1),
    FIELD_ARRAY(struct vga_state, attribute, 0xff),
    FIELD(struct vga_state, dac_mask, 0xff),
    FIELD(struct vga_state, dac_read, 0xff),
    FIELD(struct vga_state, dac_write, 0xff),
    FIELD(struct vga_state, dac_component, 2),
    FIELD(struct vga_state, dac_reading, 1),
    FIELD_ARRAY(struct vga_state, dac, 0xff),
    FIELD(struct vga_state, latch, UINT32_MAX),
    FIELD(struct vga_state, vbe_index, 0xffff),
    FIELD_ARRAY(struct vga_state, vbe, 0xffff),
    FIELD_ARRAY(struct vga_state, config, 0xff),
};

const struct section vga_section = SECTION(struct vga_state, "vga", 1, vga_fields, check_state);

void vga_reset(struct vga *vga)
{
    vga->state = (struct vga_state){.dac_mask = 0xff, .vbe = {[VBE_ID] = VBE_ID_LAST}};
    pci_table_reset(&pci_vga_registers, vga->state.config);
}

/* ---- VGA ---- */

/* The two bits of 3BAh and 3DAh: where the beam is. */
static uint8_t status(const struct vga_state *s, uint64_t now)
{
    const uint8_t *crtc = s->crtc;
    uint64_t hz = (s->misc & MISC_CLOCK_28) != 0 ? 28322000 : 25175000;
    unsigned dots = (s->sequencer[SEQ_CLOCKING] & 1U) != 0 ? 8 : 9;
    unsigned over = crtc[CRTC_OVERFLOW];
    unsigned lines = (crtc[CRTC_V_TOTAL] | (over & 0x01U) << 8 | (over & 0x20U) << 4) + 2;
    unsigned shown = (crtc[CRTC_V_DISPLAY] | (over & 0x02U) << 7 | (over & 0x40U) << 3) + 1;
    unsigned retrace = crtc[CRTC_V_RETRACE] | (over & 0x04U) << 6 | (over & 0x80U) << 2;
    unsigned length = (crtc[CRTC_V_RETRACE_END] - retrace) & 15U;

    dots <<= s->sequencer[SEQ_CLOCKING] >> 3 & 1U;
    uint64_t width = (crtc[CRTC_H_TOTAL] + 5ULL) * dots;
    uint64_t dot = clock_ticks(now, hz, 1) % (width * lines), line = dot / width;
    bool blank = line >= shown || dot % width / dots > crtc[CRTC_H_DISPLAY];

    return (uint8_t)((blank ? STATUS_BLANK : 0) |
                     (line >= retrace && line < retrace + length ? STATUS_RETRACE : 0));
}

/* A DAC's component, and on to the next; after blue of the next colour. */
static uint8_t *dac_next(struct vga_state *s, uint8_t *index)
{
    uint8_t *value = &s->dac[3U * *index + s->dac_component];

    s->dac_component = (uint8_t)((s->dac_component + 1) % 3);
    *index += s->dac_component == 0;
    return value;
}

/* CRTC and input status are at 3Bxh or at 3Dxh: as 3Dxh; 0: not at this one. */
static uint16_t decode(const struct vga_state *s, uint16_t port)
{
    bool mono = port < 0x3c0;

    if (port >= 0x3c0 && port < 0x3d0) {
        return port;
    }
    return mono == ((s->misc & MISC_COLOUR) != 0) ? 0 : (uint16_t)(port + (mono ? 0x20U : 0));
}

static uint8_t at_index(const uint8_t *registers, unsigned index, unsigned count)
{
    return index < count ? registers[index] : 0;
}

uint8_t vga_port_read(struct vga *vga, uint16_t port, uint64_t now)
{
    struct vga_state *s = &vga->state;

    switch (decode(s, port)) {
    case 0x3c0:
        return s->attribute_index;
    case 0x3c1:
        return at_index(s->attribute, s->attribute_index & 0x1fU, ATTR_COUNT);
    case 0x3c2: /* no switch is sensed, no interrupt pending */
        return 0;
    case 0x3c4:
        return s->sequencer_index;
    case 0x3c5:
        return s->sequencer[s->sequencer_index];
    case 0x3c6:
        return s->dac_mask;
    case 0x3c7:
        return s->dac_reading ? DAC_IS_READING : 0;
    case 0x3c8:
        return s->dac_write;
    case 0x3c9:
        return *dac_next(s, &s->dac_read);
    case 0x3ca:
        return s->feature;
    case 0x3cc:
        return s->misc;
    case 0x3ce:
        return s->graphics_index;
    case 0x3cf:
        return at_index(s->graphics, s->graphics_index, GFX_COUNT);
    case 0x3d4:
        return s->crtc_index;
    case 0x3d5:
        return at_index(s->crtc, s->crtc_index, CRTC_COUNT);
    case 0x3da:
        s->attribute_data = false;
        return status(s, now);
    default:
        return 0xff;
    }
}

static void write_attribute(struct vga_state *s, uint8_t value)
{
    unsigned index = s->attribute_index & 0x1fU;

    if (!s->attribute_data) {
        s->attribute_index = value & 0x3fU;
    } else if (index < ATTR_COUNT) {
        s->attribute[index] = value & attribute_bits[index];
    }
    s->attribute_data = !s->attribute_data;
}

static void write_crtc(struct vga_state *s, uint8_t value)
{
    unsigned index = s->crtc_index;

    if (index >= CRTC_COUNT) {
        return;
    }
    if (index <= CRTC_OVERFLOW && (s->crtc[CRTC_V_RETRACE_END] & CRTC_PROTECT) != 0) {
        if (index != CRTC_OVERFLOW) {
            return;
        }
        value = (uint8_t)((s->crtc[index] & ~LINE_COMPARE_8) | (value & LINE_COMPARE_8));
    }
    s->crtc[index] = value & crtc_bits[index];
}

static void write_dac(struct vga_state *s, uint8_t value)
{
    bool wide = (s->vbe[VBE_ENABLE] & VBE_8BIT_DAC) != 0;

    *dac_next(s, &s->dac_write) = wide ? value : value & 0x3fU;
}

void vga_port_write(struct vga *vga, uint16_t port, uint8_t value)
{
    struct vga_state *s = &vga->state;

    switch (decode(s, port)) {
    case 0x3c0:
        write_attribute(s, value);
        break;
    case 0x3c2:
        s->misc = value;
        break;
    case 0x3c4:
        s->sequencer_index = value & (SEQ_COUNT - 1);
        break;
    case 0x3c5:
        s->sequencer[s->sequencer_index] = value & sequencer_bits[s->sequencer_index];
        break;
    case 0x3c6:
        s->dac_mask = value;
        break;
    case 0x3c7:
    case 0x3c8:
        *(port == 0x3c7 ? &s->dac_read : &s->dac_write) = value;
        s->dac_reading = port == 0x3c7;
        s->dac_component = 0;
        break;
    case 0x3c9:
        write_dac(s, value);
        break;
    case 0x3ce:
        s->graphics_index = value & 0x0fU;
        break;
    case 0x3cf:
        if (s->graphics_index < GFX_COUNT) {
            s->graphics[s->graphics_index] = value & graphics_bits[s->graphics_index];
        }
        break;
    case 0x3d4:
        s->crtc_index = value & 0x3fU;
        break;
    case 0x3d5:
        write_crtc(s, value);
        break;
    case 0x3da:
        s->feature = value;
        break;
    default:
        break;
    }
}

/* ---- VBE ---- */

static unsigned clamp(unsigned value, unsigned least, unsigned most)
{
    return value < least ? least : value > most ? most : value;
}

/* Make the registers of a mode that is on fit each other, and the memory. */
static void vbe_fit(uint16_t r[VBE_COUNT])
{
    unsigned bits = (r[VBE_BPP] + 7U) & ~7U;

    if (r[VBE_BPP] == 4) {
        bits = 4;
    } else if (r[VBE_BPP] != 15 && (r[VBE_BPP] % 8 != 0 || bits < 8 || bits > 32)) {
        r[VBE_BPP] = 8;
        bits = 8;
    }
    r[VBE_WIDTH] = (uint16_t)clamp(r[VBE_WIDTH] & ~7U, 8, VGA_WIDTH_MAX);
    r[VBE_VIRTUAL_WIDTH] = (uint16_t)clamp(r[VBE_VIRTUAL_WIDTH] & ~7U, r[VBE_WIDTH], 0xfff8);
    unsigned pitch = r[VBE_VIRTUAL_WIDTH] * bits / 8;
    unsigned lines = VGA_MEMORY_SIZE / pitch;

    r[VBE_VIRTUAL_HEIGHT] = (uint16_t)clamp(lines, 0, 0xffff);
    r[VBE_HEIGHT] =
        (uint16_t)clamp(r[VBE_HEIGHT], 1, lines < VGA_HEIGHT_MAX ? lines : VGA_HEIGHT_MAX);
    if (((uint64_t)r[VBE_Y] + r[VBE_HEIGHT]) * pitch + r[VBE_X] * bits / 8 > VGA_MEMORY_SIZE) {
        r[VBE_X] = r[VBE_Y] = 0;
    }
}

/* The window and the planes as a mode of VBE has them, whatever was there before. */
static void vbe_begin(struct vga *vga)
{
    struct vga_state *s = &vga->state;
    uint16_t *r = s->vbe;

    r[VBE_VIRTUAL_WIDTH] = r[VBE_X] = r[VBE_Y] = r[VBE_BANK] = 0;
    vbe_fit(r);
    memset(s->graphics, 0, sizeof(s->graphics));
    s->graphics[GFX_BIT_MASK] = 0xff;
    s->graphics[GFX_MISC] = 0x05; /* graphics, 64 KiB at A0000h */
    s->sequencer[SEQ_MAP_MASK] = 0x0f;
    s->sequencer[SEQ_MEMORY] = r[VBE_BPP] == 4 ? 0x06 : 0x0e; /* all of it; chain 4 */
    s->graphics[GFX_MODE] = (uint8_t)(r[VBE_BPP] == 4 ? 0 : 0x40);
    if ((r[VBE_ENABLE] & VBE_NO_CLEAR) == 0) {
        vga->clear = (uint32_t)r[VBE_HEIGHT] * r[VBE_WIDTH] * ((r[VBE_BPP] + 7U) / 8);
    }
}

static void vbe_enable(struct vga *vga, uint16_t value)
{
    struct vga_state *s = &vga->state;
    bool was = (s->vbe[VBE_ENABLE] & VBE_ENABLED) != 0;

    s->vbe[VBE_ENABLE] = value;
    if ((value & VBE_ENABLED) != 0 && !was) {
        vbe_begin(vga);
    } else if ((value & VBE_ENABLED) == 0) {
        s->vbe[VBE_BANK] = 0;
    }
}

void vga_clear(struct vga *vga, uint32_t size)
{
    if (size != 0) {
        memset(vga->memory, 0, size);
    }
}

static uint16_t vbe_get(const struct vga_state *s, unsigned index)
{
    static const uint16_t most[] = {
        [VBE_WIDTH] = VGA_WIDTH_MAX, [VBE_HEIGHT] = VGA_HEIGHT_MAX, [VBE_BPP] = 32};

    if (index == VBE_MEMORY) {
        return VGA_MEMORY_SIZE / BANK_SIZE;
    }
    bool caps = index >= VBE_WIDTH && index <= VBE_BPP && (s->vbe[VBE_ENABLE] & VBE_GET_CAPS) != 0;

    return index >= VBE_COUNT ? 0 : caps ? most[index] : s->vbe[index];
}

static void vbe_put(struct vga *vga, unsigned index, uint16_t value)
{
    struct vga_state *s = &vga->state;

    if (index == VBE_ID) {
        s->vbe[VBE_ID] = value >= VBE_ID_FIRST && value <= VBE_ID_LAST ? value : s->vbe[VBE_ID];
    } else if (index == VBE_ENABLE) {
        vbe_enable(vga, value);
    } else if (index == VBE_BANK) {
        s->vbe[VBE_BANK] = value % (VGA_MEMORY_SIZE / BANK_SIZE);
    } else if (index < VBE_COUNT && index != VBE_VIRTUAL_HEIGHT) {
        s->vbe[index] = value;
        if ((s->vbe[VBE_ENABLE] & VBE_ENABLED) != 0) {
            vbe_fit(s->vbe);
        }
    }
}

uint16_t vga_vbe_read(const struct vga *vga, uint16_t port)
{
    const struct vga_state *s = &vga->state;

    return port == VGA_VBE_PORTS ? s->vbe_index : vbe_get(s, s->vbe_index);
}

void vga_vbe_write(struct vga *vga, uint16_t port, uint16_t value)
{
    if (port == VGA_VBE_PORTS) {
        vga->state.vbe_index = value;
    } else {
        vbe_put(vga, vga->state.vbe_index, value);
    }
}

/* ---- PCI ---- */

/* Anywhere but in RAM and from the APICs on: OVMF begins at 2 GiB, or where RAM ends. */
static uint64_t base_of(const struct vga *vga, unsigned at, uint64_t size)
{
    const struct vga_state *s = &vga->state;
    uint64_t base = bytes_get(&s->config[at], 4) & ~(size - 1);
    bool fits = base >= vga->bars_from && base + size <= PCI_HOLE_END;

    return (s->config[CONFIG_COMMAND] & COMMAND_MEMORY) != 0 && fits ? base : 0;
}

uint64_t vga_frame_base(const struct vga *vga)
{
    return base_of(vga, CONFIG_BAR0, VGA_MEMORY_SIZE);
}

uint64_t vga_register_base(const struct vga *vga)
{
    return base_of(vga, CONFIG_BAR2, REGISTERS_SIZE);
}

uint64_t vga_rom_base(const struct vga *vga)
{
    bool on = vga->rom && (vga->state.config[CONFIG_ROM] & ROM_ENABLE) != 0;

    return on ? base_of(vga, CONFIG_ROM, VGA_ROM_MAX) : 0;
}

void vga_config_written(struct vga *vga)
{
    if (!vga->rom) {
        bytes_put(&vga->state.config[CONFIG_ROM], 4, 0);
    }
}

/* The bytes of BAR 2: 3C0h..3DFh, and the words of VBE, which are written whole. */
uint32_t vga_register_read(struct vga *vga, uint32_t offset, unsigned width, uint64_t now)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < width; i++, offset++) {
        uint32_t byte = 0;

        if (offset - REGISTERS_VGA < 0x20) {
            byte = vga_port_read(vga, (uint16_t)(0x3c0 + offset - REGISTERS_VGA), now);
        } else if (offset - REGISTERS_VBE < 2U * (VBE_MEMORY + 1)) {
            byte = vbe_get(&vga->state, (offset - REGISTERS_VBE) / 2) >> 8 * (offset % 2) & 0xffU;
        }
        value |= byte << 8 * i;
    }
    return value;
}

void vga_register_write(struct vga *vga, uint32_t offset, unsigned width, uint32_t value)
{
    for (unsigned i = 0; i < width; i++) {
        uint32_t at = offset + i;

        if (at - REGISTERS_VGA < 0x20) {
            vga_port_write(vga, (uint16_t)(0x3c0 + at - REGISTERS_VGA), (uint8_t)(value >> 8 * i));
        } else if (at >= REGISTERS_VBE && at % 2 == 0 && i + 1 < width) {
            vbe_put(vga, (at - REGISTERS_VBE) / 2, (uint16_t)(value >> 8 * i));
        }
    }
}
