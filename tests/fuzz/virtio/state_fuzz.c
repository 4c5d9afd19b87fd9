/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile device behind the state of VFs: each command is answered as the input says, with any
 * status, length and bytes, late or never. Whatever it says, the driver must send only what the
 * protocol has, write only what it was given, end, and leave no object that it knows of; a page
 * whose mark was not had must count as written. The input's rest is also read as a state.
 */
#include "tests/unit/fakes/log.h"
#include "tests/unit/virtio/vf_state_to.h"

#include <stdlib.h>
#include <string.h>

#define VFS       3U
#define STEPS_MAX 24U
#define COMMANDS  20000U /* that all steps together may send */
#define BUFFER    2048U
#define GUARD     0x5a
#define PAGES_MAX 9000U
#define NEVER     0xffU
#define NO_RESULT 0x40U
#define BYTES_MAX 64U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t left;
static unsigned commands;
static struct virtio_pf pf;
static struct vf_state_pf control;
static struct vf_state vfs[VFS];
static uint8_t buffer[BUFFER + 1];
static uint64_t bitmap[PAGES_MAX / 64 + 2];
static struct ram ram = {.marks = bitmap};
static _Alignas(PAGE_SIZE) uint8_t map_memory[128U << 10];

static uint8_t next(void)
{
    if (left == 0) {
        return 0;
    }
    left--;
    return *input++;
}

static uint32_t next32(void)
{
    return (uint32_t)next() | (uint32_t)next() << 8 | (uint32_t)next() << 16 |
           (uint32_t)next() << 24;
}

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* ---- The edge: drivers/virtio/admin.h ---- */

/* The rules of the driver's side. */
static void check(const struct virtio_admin_command *command)
{
    const uint8_t *data = command->data;
    bool old = command->opcode >= VIRTIO_2021_OPCODES;

    require(++commands < COMMANDS);
    require(command->data_size + (uint64_t)command->more_size <= VIRTIO_ADMIN_DATA_MAX);
    require(command->result_size <= VIRTIO_ADMIN_RESULT_MAX &&
            command->result_room <= VIRTIO_ADMIN_RESULT_MAX);
    require(old == (control.pf == &pf && (pf.transport.features & VIRTIO_F_MIGRATION) != 0));
    require(command->result_size == 0 || command->result);
    for (uint32_t i = 0; i < command->data_size; i++) {
        __asm__ volatile("" : : "r"(data[i])); /* the sanitizer looks */
    }
    for (uint32_t i = 0; i < command->more_size; i++) {
        __asm__ volatile("" : : "r"(((const uint8_t *)command->more)[i]));
    }
}

static void fill(struct virtio_admin_command *command)
{
    uint8_t *result = command->result;
    uint32_t room =
        command->result_room > command->result_size ? command->result_room : command->result_size;
    uint8_t how = next();

    command->result_length = (how & 1) != 0 ? room : next32() % (room + 1);
    for (uint32_t i = 0; i < command->result_size; i++) {
        result[i] = i < BYTES_MAX && (how & 2) != 0 ? next() : (uint8_t)(how * i);
    }
    if (command->opcode >= VIRTIO_2021_OPCODES) {
        command->result_length = room; /* all of it is the device's word */
    } else if (command->result_length < command->result_at + command->result_size) {
        uint32_t end = command->result_length > command->result_at
                           ? command->result_length - command->result_at
                           : 0;

        memset(result + end, 0, command->result_size - end);
    }
}

static enum status answer(struct virtio_admin_command *command)
{
    uint8_t what = next();

    command->status = command->qualifier = 0;
    command->result_length = 0;
    if (what == NEVER) {
        return STATUS_TIMEOUT;
    }
    if (what % 8 == 7) {
        command->status = next() % 32;
        command->qualifier = next();
        if (command->status != 0) {
            if (command->result_size > 0) {
                memset(command->result, 0, command->result_size);
            }
            return virtio_admin_outcome(command);
        }
    }
    if (command->result_size > 0 && (what & NO_RESULT) == 0) {
        fill(command);
    }
    return command->whole && command->result_length != command->result_size ? STATUS_DEVICE
                                                                            : STATUS_OK;
}

enum status virtio_admin_execute(struct virtio_admin *admin, struct virtio_admin_command *command)
{
    check(command);
    return answer(command);
}

void virtio_admin_begin(struct virtio_admin_command *command)
{
    check(command);
    command->retries = next() % 4; /* polls until it is over */
}

bool virtio_admin_poll(struct virtio_admin *admin, struct virtio_admin_command *command,
                       uint32_t passed_us, enum status *status)
{
    if (command->retries-- > 0) {
        return false;
    }
    *status = answer(command);
    return true;
}

enum status virtio_admin_use(struct virtio_admin *admin, enum virtio_admin_group group,
                             uint64_t wanted, uint64_t *used)
{
    *used = (next() & 1) != 0 ? wanted : next32() & wanted;
    return next() % 4 == 0 ? STATUS_DEVICE : STATUS_OK;
}

void time_delay_us(uint64_t us)
{
    require(us > 0);
}

/* ---- What its user does ---- */

static void check_levels(struct vf_state *vf)
{
    enum vf_state_level target = next() % 3;
    enum status status = vf_state_to(vf, target);

    require(!vf->busy);
    require(status != STATUS_OK || vf->level == target);
}

static void save(struct vf_state *vf)
{
    uint32_t size, got, offset, length;

    if (vf_state_open_save(vf, &size) == STATUS_OK) {
        require(size >= 4 && size <= VF_STATE_SIZE_MAX && control.kind != VF_STATE_NONE);
        for (unsigned i = 0; i < 3; i++) {
            offset = next32() % (size + 2);
            length = next32() % (BUFFER + 1);
            memset(buffer, GUARD, sizeof(buffer));
            enum status status = vf_state_read(vf, offset, buffer, length, &got);

            require(got <= length && (status == STATUS_OK || got == 0));
            require(got == 0 || offset + (uint64_t)got <= size);
            for (uint32_t at = length; at <= BUFFER; at++) {
                require(buffer[at] == GUARD);
            }
        }
    } else {
        require(size == 0);
    }
    vf_state_close(vf);
    require(vf->object == -1);
}

static void track(struct vf_state *vf)
{
    uint64_t pages = next32() % PAGES_MAX, size = vf_state_map_size(&control, pages);
    struct virtio_dma map = {.va = map_memory, .iova = 0x1000, .size = sizeof(map_memory)};

    require(size <= sizeof(map_memory));
    ram.below_4g = pages * PAGE_SIZE;
    if (vf_state_track(vf, &ram, size > 0 ? &map : NULL) == STATUS_OK) {
        require(vf->tracked == pages && control.mode != VF_TRACK_NONE);
    }
}

static void report(struct vf_state *vf)
{
    memset(bitmap, 0, sizeof(bitmap));
    map_memory[next32() % sizeof(map_memory)] = next();
    enum status status = vf_state_report(vf);
    uint64_t pages = vf->tracked;

    /* None beyond the end, and the last one when it failed. */
    require(pages % 64 == 0 || bitmap[pages / 64] >> pages % 64 == 0);
    for (uint64_t word = (pages + 63) / 64; word < ARRAY_SIZE(bitmap); word++) {
        require(bitmap[word] == 0);
    }
    if (status != STATUS_OK && pages > 0) {
        require((bitmap[(pages - 1) / 64] >> (pages - 1) % 64 & 1) != 0);
    }
}

static void write(struct vf_state *vf)
{
    uint32_t size = left < BUFFER ? (uint32_t)left : BUFFER;
    uint8_t *copy = malloc(size > 0 ? size : 1); /* its end is watched */

    memcpy(copy, input, size);
    (void)vf_state_write(vf, copy, size);
    require(vf->object == -1);
    free(copy);
}

static void read_state(const uint8_t *data, size_t size)
{
    for (unsigned kind = 0; kind < VF_STATE_KINDS; kind++) {
        struct vf_state_part part;
        uint32_t at = 0, before = 0;

        while (vf_state_next(kind, data, (uint32_t)size, &at, &part) == STATUS_OK) {
            require(at > before && at <= size && part.name);
            require(part.length == 0 || part.value + part.length == data + at);
            before = at;
        }
        if (vf_state_check(kind, data, (uint32_t)size) == STATUS_OK) {
            require(at == size && kind != VF_STATE_NONE);
        }
    }
}

static void step(void)
{
    static void (*const steps[])(struct vf_state *) = {check_levels, save, track, report, write};
    uint8_t what = next();
    struct vf_state *vf = &vfs[what / 16 % VFS];

    switch (what % 16) {
    case 0:
        vf_state_probe(&control, &pf, next() % 2 ? VF_STATE_COMMANDS : next32());
        break;
    case 1:
        vf_state_open(vf, &control, (uint16_t)(what / 16 % VFS + 1));
        break;
    case 2:
        (void)vf_state_untrack(vf);
        require(vf->tracked == 0);
        break;
    case 3:
        if (control.kind != VF_STATE_NONE) {
            vf->level = VF_STATE_FROZEN; /* as if it had worked */
        }
        break;
    default:
        steps[what % 16 % ARRAY_SIZE(steps)](vf);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fake_log_clear();
    input = data;
    left = size;
    commands = 0;
    pf = (struct virtio_pf){.has_admin = true};
    control = (struct vf_state_pf){.pf = &pf};
    memset(map_memory, 0, sizeof(map_memory));
    pf.transport.features = VIRTIO_F_ADMIN_VQ;
    uint8_t kind = next();

    if ((kind & 1) != 0) {
        pf.transport.features |= VIRTIO_F_MIGRATION | (uint64_t)(kind >> 1 & 0xf) << 46;
    }
    vf_state_probe(&control, &pf, VF_STATE_COMMANDS);
    if ((kind & 0x20) != 0) { /* as a rule one that can do something */
        control.kind = (kind & 1) != 0 ? VF_STATE_2021 : VF_STATE_PARTS;
        control.objects[0] = control.objects[1] = 1 + next() % 32;
    }
    for (unsigned i = 0; i < VFS; i++) {
        vf_state_open(&vfs[i], &control, (uint16_t)(i + 1));
        vfs[i].level = control.kind != VF_STATE_NONE ? VF_STATE_FROZEN : VF_STATE_RUNNING;
    }
    for (unsigned i = 0; i < STEPS_MAX && left > 0; i++) {
        step();
    }
    read_state(data, size);
    return 0;
}
