/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/passthrough/fake_vf.h"

#include "vmm/passthrough/edge.h"

#include <string.h>

#define CONFIG_BASE 0x18U
#define NS_PER_LOOK 1000000ULL

struct fake_machine fake;

/* ---- The layout that the device has: kept apart from the tables under test. ---- */

struct field {
    uint16_t type;
    uint8_t first;
    uint8_t last;
    uint8_t width;
};

/* What is 8 bytes wide may be accessed in halves; byte arrays byte by byte. */
static const struct field fields[] = {
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

static const uint8_t config_sizes[] = {[1] = 24, [2] = 60, [3] = 12, [5] = 16, [8] = 36, [9] = 10};

static bool config_access_legal(const struct fake_vf *vf, uint32_t offset, unsigned width)
{
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        const struct field *f = &fields[i];

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

static void reset_registers(struct fake_vf *vf)
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
            reset_registers(vf);
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
    reset_registers(vf);
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
        reset_registers(vf);
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

static uint32_t device_read(struct fake_vf *vf, uint32_t offset, unsigned width)
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

static void device_write(struct fake_vf *vf, uint32_t offset, unsigned width, uint32_t value)
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

/* ---- The edge: registers ---- */

static bool held(const struct spinlock *lock)
{
    return __atomic_load_n(&lock->next, __ATOMIC_RELAXED) !=
           __atomic_load_n(&lock->serving, __ATOMIC_RELAXED);
}

static struct fake_vf *vf_of(const struct legacy_function *f)
{
    return &fake.vf[f->setup.vf.devfn];
}

static struct fake_vf *enter_registers(const struct legacy_function *f)
{
    fake.bad_locking += !held(&f->lock);
    return vf_of(f);
}

static void enter_interrupts(const struct legacy_function *f)
{
    fake.bad_locking += !held(&f->irq.lock);
}

/* From the offset in the block to that with MSI-X enabled; 14h..17h may not be reached without. */
static uint32_t normal(const struct fake_vf *vf, uint32_t offset)
{
    return vf->msix || offset < LEGACY_HEADER_INTX ? offset : offset + 4;
}

uint32_t passthrough_edge_mmr_read(struct legacy_function *f, uint32_t offset, unsigned width)
{
    struct fake_vf *vf = enter_registers(f);

    vf->bad += f->setup.transport != LEGACY_TRANSPORT_MMR;
    vf->bad += offset + width > f->setup.block_length;
    return device_read(vf, normal(vf, offset), width);
}

void passthrough_edge_mmr_write(struct legacy_function *f, uint32_t offset, unsigned width,
                                uint32_t value)
{
    struct fake_vf *vf = enter_registers(f);

    vf->bad += f->setup.transport != LEGACY_TRANSPORT_MMR;
    vf->bad += offset + width > f->setup.block_length;
    device_write(vf, normal(vf, offset), width, value);
}

static void admin_read(struct fake_vf *vf, uint32_t offset, void *result, size_t size)
{
    uint32_t value = device_read(vf, offset, (unsigned)size);

    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)result)[i] = (uint8_t)(value >> 8 * i);
    }
}

static void admin_write(struct fake_vf *vf, uint32_t offset, const uint8_t *data, size_t size)
{
    uint32_t value = 0;

    for (size_t i = 8; i < size; i++) {
        value |= (uint32_t)data[i] << 8 * (i - 8);
    }
    for (size_t i = 1; i < 8; i++) {
        vf->bad += data[i] != 0;
    }
    device_write(vf, offset, (unsigned)size - 8, value);
}

enum status passthrough_edge_admin(struct legacy_function *f, uint16_t opcode, const void *data,
                                   size_t size, void *result, size_t result_size)
{
    struct fake_vf *vf = enter_registers(f);
    unsigned bad = vf->bad;
    uint32_t base = opcode == 4 || opcode == 5 ? CONFIG_BASE : 0;

    vf->bad += f->setup.transport != LEGACY_TRANSPORT_ADMIN;
    if (vf->dead) {
        return STATUS_TIMEOUT;
    }
    switch (opcode) {
    case 2:
    case 4:
        if (size > 8 && size <= 12) {
            admin_write(vf, base + *(const uint8_t *)data, data, size);
            break;
        }
        vf->bad++;
        break;
    case 3:
    case 5:
        if (size == 1 && result_size <= 4) {
            admin_read(vf, base + *(const uint8_t *)data, result, result_size);
            break;
        }
        vf->bad++;
        break;
    case 6:
        if (vf->no_doorbell) {
            return STATUS_DEVICE;
        }
        memcpy(result, vf->notify_reply, result_size);
        break;
    default:
        vf->bad++;
        break;
    }
    return vf->bad == bad ? STATUS_OK : STATUS_DEVICE;
}

/* BAR 2 is where doorbells are: the VF's has one at 40h and the block's at 1010h. */
volatile uint16_t *passthrough_edge_doorbell(struct legacy_function *f, bool owner, unsigned bar,
                                             uint64_t offset)
{
    struct fake_vf *vf = vf_of(f);

    vf->bad += offset % 2 != 0 || bar > 5;
    if (vf->no_doorbell || owner || bar != 2 || (offset != 0x40 && offset != 0x1010)) {
        return NULL;
    }
    return &vf->doorbell;
}

/* ---- The edge: the function ---- */

enum status passthrough_edge_flr(struct legacy_function *f)
{
    struct fake_vf *vf = enter_registers(f);

    for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
        vf->bad += vf->entry[i].open;
        vf->entry[i] = (struct fake_entry){.masked = true};
    }
    vf->flrs++;
    vf->msix = false;
    vf->bus_master = false;
    vf->reset_reads = 0;
    vf->select = 0;
    reset_registers(vf);
    return vf->flr_fails ? STATUS_TIMEOUT : STATUS_OK;
}

void passthrough_edge_bus_master(struct legacy_function *f, bool on)
{
    enter_registers(f)->bus_master = on;
}

enum status passthrough_edge_msix_enable(struct legacy_function *f, bool on)
{
    enter_registers(f)->msix = on;
    return STATUS_OK;
}

enum status passthrough_edge_vector_open(struct legacy_function *f, unsigned entry)
{
    struct fake_vf *vf = enter_registers(f);
    unsigned used = 0;

    for (unsigned i = 0; i < FAKE_ENTRIES; i++) {
        used += vf->entry[i].open;
    }
    if (used >= vf->vmm_vectors) {
        return STATUS_NO_MEMORY;
    }
    if (entry >= FAKE_ENTRIES || vf->entry[entry].open || !vf->msix) {
        vf->bad++;
        return STATUS_INVALID;
    }
    vf->entry[entry] = (struct fake_entry){.open = true};
    return STATUS_OK;
}

void passthrough_edge_vector_close(struct legacy_function *f, unsigned entry)
{
    struct fake_vf *vf = enter_registers(f);

    vf->bad += entry >= FAKE_ENTRIES || !vf->entry[entry].open;
    vf->entry[entry] = (struct fake_entry){.masked = true};
}

/* ---- The edge: interrupts ---- */

void passthrough_edge_vector_mask(struct legacy_function *f, unsigned entry, bool masked)
{
    struct fake_vf *vf = vf_of(f);

    enter_interrupts(f);
    if (entry >= FAKE_ENTRIES || !vf->entry[entry].open || vf->entry[entry].masked == masked) {
        vf->bad++;
        return;
    }
    vf->entry[entry].masked = masked;
}

bool passthrough_edge_msi(struct legacy_function *f, uint64_t address, uint32_t data)
{
    enter_interrupts(f);
    vf_of(f)->bad += address >> 20 != 0xfee;
    fake.message[fake.messages++ % FAKE_LOG] =
        (struct fake_message){.address = address, .data = data};
    return !fake.reject_messages;
}

void passthrough_edge_intx(struct legacy_function *f, bool level)
{
    unsigned n = f->setup.vf.devfn;

    enter_interrupts(f);
    vf_of(f)->bad += fake.line[n] == level;
    __atomic_store_n(&fake.line[n], level, __ATOMIC_SEQ_CST);
    fake.rises[n] += level;
}

/* ---- The edge: the rest ---- */

bool passthrough_edge_port_claimed(struct legacy_set *set, uint16_t port, unsigned width)
{
    return port + width - 1U >= fake.claimed_first && port <= fake.claimed_last;
}

uint64_t passthrough_edge_time(void)
{
    return fake.now += NS_PER_LOOK;
}

void passthrough_edge_pause(void) {}

/* ---- For the tests ---- */

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
        reset_registers(vf);
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
    struct fake_vf *vf = vf_of(f);

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
    if (vf_of(f)->queue[queue].works) {
        message(f, vf_of(f)->queue[queue].vector);
    }
}

void fake_config_change(struct legacy_function *f)
{
    message(f, vf_of(f)->config_vector);
}

bool fake_run(struct legacy_function *f)
{
    struct fake_vf *vf = vf_of(f);
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
