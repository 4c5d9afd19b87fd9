/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/legacy/fake_vf.h"

#include <string.h>

#define CONFIG_BASE 0x18U

struct fake_machine fake;

/* ---- The layout that the device has: kept apart from the tables under test. ---- */

struct element {
    uint16_t type;
    uint8_t first;
    uint8_t last;
    uint8_t width;
};

/* What is 8 bytes wide may be accessed in halves; byte arrays byte by byte. */
static const struct element fields[] = {
    {1, 0,  5,  1},
    {1, 6,  11, 2},
    {1, 12, 15, 4},
    {1, 16, 17, 1},
    {1, 18, 19, 2},
    {1, 20, 23, 4},
    {2, 0,  15, 4},
    {2, 16, 17, 2},
    {2, 18, 19, 1},
    {2, 20, 23, 4},
    {2, 24, 25, 1},
    {2, 26, 27, 2},
    {2, 28, 31, 4},
    {2, 32, 33, 1},
    {2, 34, 35, 2},
    {2, 36, 55, 4},
    {2, 56, 59, 1},
    {3, 0,  3,  2},
    {3, 4,  11, 4},
    {5, 0,  15, 4},
    {8, 0,  27, 4},
    {8, 28, 31, 2},
    {8, 32, 35, 4},
    {9, 0,  1,  2},
    {9, 2,  9,  1},
};

static const uint8_t config_sizes[] = {[1] = 12, [2] = 60, [3] = 12, [5] = 16, [8] = 36, [9] = 10};

static bool config_access_legal(const struct fake_vf *vf, uint32_t offset, unsigned width)
{
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        const struct element *f = &fields[i];

        if (f->type == vf->type && offset >= f->first && offset <= f->last) {
            return width == f->width && (offset - f->first) % width == 0 &&
                   offset + width <= vf->config_size;
        }
    }
    return false;
}

static unsigned header_width(uint32_t offset)
{
    switch (offset) {
    case LEGACY_HOST_FEATURES:
    case LEGACY_GUEST_FEATURES:
    case LEGACY_QUEUE_PFN:
        return 4;
    case LEGACY_QUEUE_SIZE:
    case LEGACY_QUEUE_SELECT:
    case LEGACY_QUEUE_NOTIFY:
    case LEGACY_CONFIG_VECTOR:
    case LEGACY_QUEUE_VECTOR:
        return 2;
    case LEGACY_STATUS:
        return 1;
    default:
        return 0; /* also the ISR, which is nobody's business */
    }
}

static uint32_t ones(unsigned width)
{
    return width == 4 ? 0xffffffffU : (1U << 8 * width) - 1;
}

/* ---- The device ---- */

void fake_device_reset(struct fake_vf *vf)
{
    vf->guest_features = 0;
    vf->select = vf->keeps_select ? vf->select : 0;
    vf->config_vector = LEGACY_NO_VECTOR;
    vf->status = 0;
    for (unsigned i = 0; i < FAKE_QUEUES; i++) {
        vf->queue[i].pfn = 0;
        vf->queue[i].vector = LEGACY_NO_VECTOR;
        vf->queue[i].works = false;
    }
}

static uint32_t read_header(struct fake_vf *vf, uint32_t offset)
{
    static struct fake_queue none = {.vector = LEGACY_NO_VECTOR};
    struct fake_queue *queue = vf->select < FAKE_QUEUES ? &vf->queue[vf->select] : &none;

    switch (offset) {
    case LEGACY_HOST_FEATURES:
        return vf->features;
    case LEGACY_GUEST_FEATURES:
        return vf->guest_features;
    case LEGACY_QUEUE_PFN:
        return queue->pfn;
    case LEGACY_QUEUE_SIZE:
        return queue->size;
    case LEGACY_QUEUE_SELECT:
        return vf->select;
    case LEGACY_STATUS:
        if (vf->reset_reads != 0 && --vf->reset_reads == 0) {
            fake_device_reset(vf);
        }
        return vf->status;
    case LEGACY_CONFIG_VECTOR:
        return vf->config_vector;
    case LEGACY_QUEUE_VECTOR:
        return queue->vector;
    default:
        vf->bad++; /* the notify register is write only */
        return 0;
    }
}

static void write_status(struct fake_vf *vf, uint32_t value)
{
    vf->bad += (value & ~LEGACY_STATUS_BITS) != 0;
    if (value != 0) {
        vf->status = (uint8_t)value;
        return;
    }
    vf->resets++;
    if (vf->never_resets && vf->status != 0) {
        return;
    }
    if (vf->slow_reset != 0 && vf->status != 0) {
        vf->reset_reads = vf->slow_reset;
        return;
    }
    fake_device_reset(vf);
}

static uint16_t accept_vector(const struct fake_vf *vf, uint32_t value)
{
    return value < vf->vector_limit ? (uint16_t)value : LEGACY_NO_VECTOR;
}

static void write_queue(struct fake_vf *vf, uint32_t offset, uint32_t value)
{
    struct fake_queue *queue = &vf->queue[vf->select];

    if (vf->select >= FAKE_QUEUES || queue->size == 0) {
        return;
    }
    if (offset == LEGACY_QUEUE_VECTOR) {
        queue->vector = accept_vector(vf, value);
        return;
    }
    queue->pfn = value;
    queue->works = value != 0;
    if (value == 0 && vf->pfn_zero_resets) {
        fake_device_reset(vf);
    }
}

static void write_header(struct fake_vf *vf, uint32_t offset, uint32_t value)
{
    if (vf->reset_reads != 0) {
        return;
    }
    switch (offset) {
    case LEGACY_GUEST_FEATURES:
        vf->guest_features = value & vf->features;
        break;
    case LEGACY_QUEUE_PFN:
    case LEGACY_QUEUE_VECTOR:
        write_queue(vf, offset, value);
        break;
    case LEGACY_QUEUE_SELECT:
        vf->select = (uint16_t)value;
        break;
    case LEGACY_QUEUE_NOTIFY:
        vf->doorbell = (uint16_t)value;
        break;
    case LEGACY_STATUS:
        write_status(vf, value);
        break;
    case LEGACY_CONFIG_VECTOR:
        vf->config_vector = accept_vector(vf, value);
        break;
    default:
        break;
    }
}

static uint32_t read_config(const struct fake_vf *vf, uint32_t offset, unsigned width)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < width; i++) {
        value |= (uint32_t)vf->config[offset + i] << 8 * i;
    }
    return value;
}

static void record(struct fake_vf *vf, uint32_t offset, unsigned width, bool write, uint32_t value)
{
    vf->log[vf->accesses++ % FAKE_LOG] = (struct fake_access){
        .offset = offset, .width = (uint8_t)width, .write = write, .value = value};
}

/* OFFSET as if MSI-X were enabled. False, and counted: the contract forbids it. */
static bool legal(struct fake_vf *vf, uint32_t offset, unsigned width)
{
    bool ok = offset < CONFIG_BASE
                  ? header_width(offset) == width && (vf->msix || offset < LEGACY_CONFIG_VECTOR)
                  : config_access_legal(vf, offset - CONFIG_BASE, width);

    vf->bad += !ok;
    return ok;
}

uint32_t fake_device_read(struct fake_vf *vf, uint32_t offset, unsigned width)
{
    uint32_t value = ones(width);

    if (vf->dead) {
        return value;
    }
    if (legal(vf, offset, width)) {
        value = offset < CONFIG_BASE ? read_header(vf, offset)
                                     : read_config(vf, offset - CONFIG_BASE, width);
    }
    record(vf, offset, width, false, value);
    return value;
}

void fake_device_write(struct fake_vf *vf, uint32_t offset, unsigned width, uint32_t value)
{
    if (vf->dead) {
        return;
    }
    record(vf, offset, width, true, value);
    vf->bad += (value & ~ones(width)) != 0;
    if (!legal(vf, offset, width)) {
        return;
    }
    if (offset < CONFIG_BASE) {
        write_header(vf, offset, value);
        return;
    }
    for (unsigned i = 0; i < width; i++) {
        vf->config[offset - CONFIG_BASE + i] = (uint8_t)(value >> 8 * i);
    }
}

/* ---- For the tests ---- */

struct fake_vf *fake_vf_of(const struct legacy_function *f)
{
    return &fake.vf[f->setup.vf.devfn];
}

void fake_clear(uint16_t type)
{
    memset(&fake, 0, sizeof(fake));
    fake.claimed_first = 1;
    fake.claimed_last = 0;
    for (unsigned n = 0; n < FAKE_VFS; n++) {
        struct fake_vf *vf = &fake.vf[n];

        vf->type = type;
        vf->config_size = config_sizes[type];
        for (unsigned i = 0; i < vf->config_size; i++) {
            vf->config[i] = (uint8_t)(0x11 + 7 * i);
        }
        if (type == 9) {
            vf->config[0] = 8;
            vf->config[1] = 0;
        }
        vf->features = 0xf0000a5fU;
        vf->vector_limit = FAKE_ENTRIES;
        vf->vmm_vectors = FAKE_ENTRIES;
        for (unsigned i = 0; i < FAKE_QUEUES - 1; i++) {
            vf->queue[i].size = 256;
        }
        vf->notify_reply[0] = 2; /* the VF's BAR 2, at 40h */
        vf->notify_reply[1] = 2;
        vf->notify_reply[8] = 0x40;
        for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
            vf->entry[i].masked = true;
        }
        fake_device_reset(vf);
    }
}

struct legacy_setup fake_setup(unsigned n, enum legacy_transport transport)
{
    struct legacy_setup setup = {
        .vf = {.bus = 3, .devfn = (uint8_t)n},
        .type = fake.vf[n].type,
        .vectors = FAKE_ENTRIES,
        .slot = (uint8_t)(2 + n),
        .interrupt_line = 11,
        .transport = transport,
        .block_bar = 2,
        .block_offset = 0x1000,
        .block_length = CONFIG_BASE + fake.vf[n].config_size,
    };
    return setup;
}

void fake_forget(unsigned n)
{
    fake.vf[n].accesses = 0;
    memset(fake.vf[n].log, 0, sizeof(fake.vf[n].log));
}

unsigned fake_writes(unsigned n, uint32_t offset, uint32_t value)
{
    const struct fake_vf *vf = &fake.vf[n];
    unsigned count = 0;

    for (unsigned i = 0; i < vf->accesses && i < FAKE_LOG; i++) {
        const struct fake_access *access = &vf->log[i];

        count += access->write && access->offset == offset && access->value == value;
    }
    return count;
}

static void message(struct legacy_function *f, unsigned entry)
{
    struct fake_vf *vf = fake_vf_of(f);

    if (entry >= FAKE_ENTRIES || !vf->msix || !vf->bus_master || !vf->entry[entry].open) {
        return;
    }
    if (vf->entry[entry].masked) {
        vf->entry[entry].pending = true;
    } else {
        legacy_interrupt(f, entry);
    }
}

void fake_complete(struct legacy_function *f, unsigned queue)
{
    if (fake_vf_of(f)->queue[queue].works) {
        message(f, fake_vf_of(f)->queue[queue].vector);
    }
}

void fake_config_change(struct legacy_function *f)
{
    message(f, fake_vf_of(f)->config_vector);
}

bool fake_run(struct legacy_function *f)
{
    struct fake_vf *vf = fake_vf_of(f);
    bool any = false;

    for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
        if (vf->entry[i].open && vf->entry[i].pending && !vf->entry[i].masked) {
            vf->entry[i].pending = false;
            legacy_interrupt(f, i);
            any = true;
        }
    }
    return any;
}
