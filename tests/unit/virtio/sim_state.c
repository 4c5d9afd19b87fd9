/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/virtio/sim_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DNR      0x80
#define ERR      1
#define PARTS    0x3fc00ULL /* 0Ah to 11h */
#define CAPS     0x380ULL
#define RESERVED 16U /* bytes of a START, STOP... before the address */

struct sim_state sim_state;

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static uint64_t get(const struct sim_command *c, uint32_t at, uint32_t size)
{
    uint64_t value = 0;

    require(at + size <= c->data_size);
    memcpy(&value, c->data + at, size);
    return value;
}

static bool refuse(struct sim_command *c, uint16_t status, uint16_t qualifier)
{
    c->status = status;
    c->qualifier = qualifier;
    return true;
}

static bool give(struct sim_command *c, const void *from, uint32_t size)
{
    if (size > c->room) {
        return c->opcode >= VIRTIO_2021_OPCODES ? refuse(c, VIRTIO_2021_TRANSFER_ERR, DNR)
                                                : refuse(c, 12, 6);
    }
    memcpy(c->result, from, size);
    c->length = size;
    return true;
}

static void note(const char *what)
{
    size_t used = strlen(sim_state.log);

    if (used + strlen(what) < sizeof(sim_state.log)) {
        strcpy(sim_state.log + used, what);
    }
}

/* ---- The state itself ---- */

static void put_part(uint16_t type, uint8_t flags, uint64_t selector, uint32_t length)
{
    uint8_t *to = sim_state.blob + sim_state.size;

    memcpy(to, &type, 2);
    to[2] = flags;
    to[3] = 0;
    memcpy(to + 4, &selector, 8);
    memcpy(to + 12, &length, 4);
    for (uint32_t i = 0; i < length; i++) {
        to[16 + i] = (uint8_t)(i * 5 + i / 251 + type);
    }
    sim_state.size += 16 + length;
}

static void put_field(uint32_t type, uint32_t length, uint16_t queue)
{
    uint8_t *to = sim_state.blob + sim_state.size;
    uint32_t count;

    memcpy(&count, sim_state.blob, 4);
    count++;
    memcpy(sim_state.blob, &count, 4);
    memcpy(to, &type, 4);
    memcpy(to + 4, &length, 4);
    for (uint32_t i = 0; i < length; i++) {
        to[8 + i] = (uint8_t)(i * 3 + i / 253 + type);
    }
    memcpy(to + 8, &queue, 2);
    sim_state.size += 8 + length;
}

static void make_state(enum vf_state_kind kind, uint32_t size)
{
    if (kind == VF_STATE_PARTS) {
        put_part(0x100, 1, 0, 8);
        put_part(0x101, 0, 0, 8);
        put_part(0x103, 0, 0, 1);
        for (uint64_t n = 0; sim_state.size + 48 < size; n++) {
            put_part(0x104, 0, n, 32);
        }
        return;
    }
    sim_state.size = 4;
    put_field(0, 32, 1);
    put_field(1, 64, 0);
    put_field(2, 38, 0);
    put_field(3, 6, 0);
    memset(sim_state.blob + sim_state.size - 4, 0, 4); /* its indexes, as they are in memory */
    put_field(10, size - sim_state.size - 8, 0);
}

/* ---- Device parts ---- */

static bool find_object(struct sim_command *c, unsigned kind, unsigned *id)
{
    *id = (unsigned)get(c, 4, 4);
    require(get(c, 0, 4) == 0);
    if (*id >= SIM_OBJECTS || !sim_state.object[*id].used) {
        refuse(c, 6, 3);
    } else if (sim_state.object[*id].member != c->member) {
        refuse(c, 22, 5);
    } else if (kind < 2 && sim_state.object[*id].kind != kind) {
        refuse(c, 22, 3);
    } else {
        return true;
    }
    return false;
}

unsigned sim_state_objects(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < SIM_OBJECTS; i++) {
        count += sim_state.object[i].used;
    }
    return count;
}

static bool create(struct sim_command *c)
{
    unsigned id = (unsigned)get(c, 4, 4), count = 0;
    uint8_t kind = (uint8_t)get(c, 16, 1);

    require(c->data_size == 24 && get(c, 0, 4) == 0 && get(c, 8, 8) == 0 && kind < 2);
    for (unsigned i = 0; i < SIM_OBJECTS; i++) {
        count += sim_state.object[i].used && sim_state.object[i].kind == kind;
    }
    if (id >= (unsigned)sim_state.set_limits[0] + sim_state.set_limits[1]) {
        return refuse(c, 22, 3);
    }
    if (sim_state.object[id].used) {
        return refuse(c, 17, 3);
    }
    if (count >= sim_state.set_limits[kind]) {
        return refuse(c, 28, 6);
    }
    sim_state.object[id].used = true;
    sim_state.object[id].kind = kind;
    sim_state.object[id].member = c->member;
    sim_state.created++;
    count = sim_state_objects();
    sim_state.most_objects = count > sim_state.most_objects ? count : sim_state.most_objects;
    return true;
}

static bool mode_set(struct sim_command *c)
{
    uint64_t flags = get(c, 0, 8);
    struct sim_vf *vf = &sim_state.vf[c->member];

    require(c->data_size == 8 && flags <= 1);
    note(flags ? "S" : "R");
    vf->level = flags ? SIM_QUIESCED : SIM_RUNNING;
    return true;
}

static bool parts_get(struct sim_command *c)
{
    uint64_t what = get(c, 8, 8), size = sim_state.claimed ? sim_state.claimed : sim_state.size;
    unsigned id;

    if (!find_object(c, 0, &id)) {
        return true;
    }
    if (c->opcode == VIRTIO_ADMIN_PARTS_METADATA) {
        require(what == 0);
        return give(c, &size, 8);
    }
    require(what == 1);
    return give(c, sim_state.blob, sim_state.size);
}

static bool parts_set(struct sim_command *c)
{
    unsigned id;

    if (!find_object(c, 1, &id)) {
        return true;
    }
    if (sim_state.vf[c->member].level != SIM_QUIESCED) {
        return refuse(c, 22, 1);
    }
    require(sim_state.restored_size + c->data_size - 8 <= SIM_STATE_MAX);
    memcpy(sim_state.restored + sim_state.restored_size, c->data + 8, c->data_size - 8);
    sim_state.restored_size += c->data_size - 8;
    note("W");
    return true;
}

static bool capability(struct sim_command *c)
{
    uint64_t list = 1;

    require(c->group == 0 && c->member == 0);
    if (c->opcode == VIRTIO_ADMIN_CAP_LIST_QUERY) {
        return give(c, &list, 8);
    }
    require(get(c, 0, 8) == 0);
    if (c->opcode == VIRTIO_ADMIN_CAP_GET) {
        return give(c, sim_state.limits, 2);
    }
    if (sim_state_objects() > 0) {
        return refuse(c, 16, 1);
    }
    memcpy(sim_state.set_limits, c->data + 8, 2);
    return sim_state.set_limits[0] <= sim_state.limits[0] &&
                   sim_state.set_limits[1] <= sim_state.limits[1]
               ? true
               : refuse(c, 22, 3);
}

static bool run_parts(struct sim_command *c)
{
    unsigned id;

    if (c->opcode < VIRTIO_ADMIN_CAP_LIST_QUERY || c->opcode > VIRTIO_ADMIN_MODE_SET) {
        return false;
    }
    /* As Linux does it, capabilities are used without a list for their group. */
    if (c->opcode <= VIRTIO_ADMIN_CAP_SET &&
        ((sim.use[0] | (sim.self_opcodes == 0 ? sim.use[1] : 0)) >> c->opcode & 1) != 0) {
        return capability(c);
    }
    if (!(sim.use[1] >> c->opcode & 1) || c->opcode <= VIRTIO_ADMIN_CAP_SET) {
        return refuse(c, 22, 2);
    }
    require(c->group == 1);
    if (c->member == 0 || c->member > SIM_STATE_VFS) {
        return refuse(c, 22, 5);
    }
    switch (c->opcode) {
    case VIRTIO_ADMIN_OBJECT_CREATE:
        return create(c);
    case VIRTIO_ADMIN_OBJECT_DESTROY:
        if (find_object(c, 2, &id)) {
            sim_state.object[id].used = false;
        }
        return true;
    case VIRTIO_ADMIN_PARTS_METADATA:
    case VIRTIO_ADMIN_PARTS_GET:
        return parts_get(c);
    case VIRTIO_ADMIN_PARTS_SET:
        return parts_set(c);
    case VIRTIO_ADMIN_MODE_SET:
        return mode_set(c);
    default:
        abort(); /* nothing else has any business here */
    }
}

/* ---- 2021 ---- */

static bool modify(struct sim_command *c, struct sim_vf *vf)
{
    static const char *const letters[] = {"?", "R", "S", "F"};
    unsigned to = (unsigned)get(c, 2, 2), from = vf->level;

    require(c->data_size == 4 && to >= SIM_RUNNING && to <= SIM_FREEZED);
    note(letters[to]);
    if (to != from && to + 1 != from && to != from + 1 && !(from == SIM_INIT && to == 2)) {
        return refuse(c, ERR, DNR);
    }
    vf->level = (enum sim_level)to;
    return true;
}

static bool save_restore(struct sim_command *c)
{
    uint64_t offset = get(c, 8, 8), length = get(c, 16, 8);

    require((get(c, 0, 8) >> 16) == 0);
    if (c->opcode == VIRTIO_2021_SAVE) {
        return offset > sim_state.size || length > sim_state.size - offset
                   ? refuse(c, ERR, DNR)
                   : give(c, sim_state.blob + offset, (uint32_t)length);
    }
    require(length == c->data_size - 24 && offset + length <= SIM_STATE_MAX);
    memcpy(sim_state.restored + offset, c->data + 24, length);
    sim_state.restored_size = (uint32_t)(offset + length);
    note("W");
    return true;
}

static struct sim_range *find_range(struct sim_vf *vf, uint64_t address)
{
    for (unsigned i = 0; i < SIM_RANGES; i++) {
        if (vf->range[i].used && vf->range[i].address == address) {
            return &vf->range[i];
        }
    }
    return NULL;
}

static bool start(struct sim_command *c, struct sim_vf *vf)
{
    uint64_t address = get(c, 8, 8), length = get(c, 16, 8), mode = get(c, 2, 2);

    note("T");
    require(get(c, 4, 4) == PAGE_SIZE && length % PAGE_SIZE == 0 && length > 0);
    if (!(sim.accepted >> (45 + mode) & 1) || find_range(vf, address)) {
        return refuse(c, ERR, DNR);
    }
    for (unsigned i = 0; i < sim_state.ranges; i++) {
        if (!vf->range[i].used) {
            vf->range[i] = (struct sim_range){.used = true, .address = address, .length = length};
            vf->range[i].push = mode <= 2 ? get(c, 24, 8) : 0;
            require(mode > 2 ||
                    get(c, 32, 8) == (mode == 1 ? (length + 0x7fff) >> 15 : length >> 12));
            return true;
        }
    }
    return refuse(c, ERR, DNR);
}

static bool ranges(struct sim_command *c, struct sim_vf *vf)
{
    bool report = c->opcode == VIRTIO_2021_REPORT_MAP;
    struct sim_range *range = find_range(vf, get(c, report ? 24 : 8, 8));
    uint64_t pending = 0, offset, length;

    require((get(c, 0, 8) >> 16) == 0);
    if (!range) {
        return refuse(c, ERR, DNR);
    }
    if (c->opcode == VIRTIO_2021_STOP_TRACK) {
        range->used = false;
        note("t");
        return true;
    }
    for (unsigned i = 0; i < SIM_TRACK_SIZE; i++) {
        pending |= range->map[i] ? SIM_TRACK_SIZE : 0;
    }
    if (!report) {
        return give(c, &pending, 8);
    }
    offset = get(c, 8, 8);
    length = get(c, 16, 8);
    require(offset + length <= SIM_TRACK_SIZE);
    give(c, range->map + offset, (uint32_t)length);
    memset(range->map + offset, 0, length);
    return true;
}

static bool run_2021(struct sim_command *c)
{
    const uint16_t identity[4] = {sim_state.version, 0, 0, 0};
    const uint32_t dirty[2] = {sim_state.log_pages[0] | (uint32_t)sim_state.log_pages[1] << 16,
                               sim_state.ranges};
    struct sim_vf *vf;
    uint64_t size = sim_state.claimed ? sim_state.claimed : sim_state.size;

    if (c->opcode == VIRTIO_2021_IDENTITY || c->opcode == VIRTIO_2021_DIRTY_IDENTITY) {
        return c->opcode == VIRTIO_2021_IDENTITY ? give(c, identity, 8) : give(c, dirty, 8);
    }
    c->member = get(c, 0, 2);
    if (c->member == 0 || c->member > SIM_STATE_VFS) {
        return refuse(c, ERR, DNR);
    }
    vf = &sim_state.vf[c->member];
    if (c->opcode >= VIRTIO_2021_PENDING_BYTES && c->opcode <= VIRTIO_2021_RESTORE &&
        vf->level != SIM_FREEZED) {
        return refuse(c, ERR, DNR);
    }
    switch (c->opcode) {
    case VIRTIO_2021_GET_STATUS:
        note("?");
        return give(c, (const uint16_t[2]){(uint16_t)vf->level}, 4);
    case VIRTIO_2021_MODIFY_STATUS:
        return modify(c, vf);
    case VIRTIO_2021_PENDING_BYTES:
        return give(c, &size, 8);
    case VIRTIO_2021_SAVE:
    case VIRTIO_2021_RESTORE:
        return save_restore(c);
    case VIRTIO_2021_START_TRACK:
        return start(c, vf);
    default:
        return ranges(c, vf);
    }
}

/* To a device of 2021 that knows nothing else, an opcode below 64 is a class that it has not. */
static bool run_state(struct sim_command *c)
{
    if (c->opcode >= VIRTIO_2021_OPCODES) {
        require(sim_state.kind == VF_STATE_2021);
        return run_2021(c);
    }
    return sim_state.kind == VF_STATE_PARTS && run_parts(c);
}

void sim_state_reset(enum vf_state_kind kind, uint32_t size)
{
    sim_reset();
    sim_state = (struct sim_state){
        .kind = kind, .version = 1, .limits = {3,  2 },
                .log_pages = {15, 12},
                .ranges = 2
    };
    sim.more = run_state;
    if (kind == VF_STATE_NONE) {
        return;
    }
    if (kind == VF_STATE_PARTS) {
        sim.opcodes = SIM_OPCODES | PARTS;
        sim.self_opcodes = 3 | CAPS;
    } else {
        sim.offered |= 0x3fULL << 44;
    }
    make_state(kind, size);
}

void sim_state_dirty(unsigned vf, uint64_t page)
{
    for (unsigned i = 0; i < SIM_RANGES; i++) {
        struct sim_range *range = &sim_state.vf[vf].range[i];
        uint64_t at = page - range->address / PAGE_SIZE;
        bool bytes = !(sim.accepted >> 48 & 1) && (range->push == 0 || !(sim.accepted >> 46 & 1));
        uint8_t *map = range->push ? (uint8_t *)(uintptr_t)range->push : range->map;

        if (range->used && at < range->length / PAGE_SIZE) {
            map[bytes ? at : at / 8] |= (uint8_t)(bytes ? 1 : 1U << at % 8);
        }
    }
}
