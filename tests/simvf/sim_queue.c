/* SPDX-License-Identifier: BSD-2-Clause */
/* The disk behind the simulated VF: virtio 1.3, 2.7 (split rings as legacy drivers have them), 5.2.
 */
#include "tests/simvf/sim.h"

#include <string.h>

#define PAGE_SHIFT_4K 12
#define NEXT          1U
#define NO_INTERRUPT  1U
#define IN            0U
#define OUT           1U
#define GET_ID        8U
#define FAILED        1U
#define HEADER        16U
#define NAME_BYTES    20U

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct ring { /* of what is offered */
    uint16_t flags, index, entry[SIM_QUEUE_SIZE];
};

struct used {
    uint16_t flags, index;
    struct {
        uint32_t id, length;
    } entry[SIM_QUEUE_SIZE];
};

struct header {
    uint32_t type, priority;
    uint64_t sector;
};

static uint8_t kept[(SIM_SECTORS - SIM_KEPT_FIRST) * SIM_SECTOR];

/* As guest/vblk/sectors.c has it. */
static uint8_t pattern(uint64_t sector, unsigned byte)
{
    return (uint8_t)(sector * 7 + byte * 13UL + (sector >> 8) + 1);
}

/* One byte of the disk to or from *DATA. */
static void move_byte(uint32_t type, uint64_t at, uint8_t *data)
{
    uint64_t sector = at / SIM_SECTOR;

    if (sector >= SIM_KEPT_FIRST && sector < SIM_SECTORS) {
        uint8_t *place = &kept[at - (uint64_t)SIM_KEPT_FIRST * SIM_SECTOR];

        *(type == OUT ? place : data) = *(type == OUT ? data : place);
    } else if (type == IN) {
        *data = pattern(sector, (unsigned)(at % SIM_SECTOR));
    }
}

/* The bytes that DESCRIPTOR has of a request, of which DONE bytes are moved. */
static bool move(const struct ram *ram, const struct header *header,
                 const struct descriptor *descriptor, uint32_t done)
{
    uint8_t *data = ram_pointer(ram, gpa(descriptor->address), descriptor->length);

    if (!data || header->sector > SIM_SECTORS || header->type == GET_ID) {
        return data && header->type == GET_ID && descriptor->length == NAME_BYTES &&
               memcpy(data, "simulated\0\0\0\0\0\0\0\0\0\0", NAME_BYTES);
    }
    for (uint32_t i = 0; i < descriptor->length; i++) {
        move_byte(header->type, header->sector * SIM_SECTOR + done + i, data + i);
    }
    if (header->type == IN) {
        ram_written(ram, gpa(descriptor->address), descriptor->length);
    }
    return header->type == IN || header->type == OUT;
}

/* The chain from HEAD on: a header, data, and a byte for the outcome. Returns what was written. */
static uint32_t serve(const struct ram *ram, const struct descriptor *table, uint16_t head)
{
    struct descriptor now = table[head % SIM_QUEUE_SIZE];
    const struct header *header = ram_pointer(ram, gpa(now.address), HEADER);
    uint32_t done = 0;
    bool good = header && now.length == HEADER;

    for (unsigned i = 0; i < SIM_QUEUE_SIZE && (now.flags & NEXT); i++) {
        now = table[now.next % SIM_QUEUE_SIZE];
        if (now.flags & NEXT) {
            good = good && move(ram, header, &now, done);
            done += now.length;
        }
    }
    uint8_t *outcome = ram_pointer(ram, gpa(now.address), 1);

    if (outcome) {
        *outcome = good ? 0 : FAILED;
        ram_written(ram, gpa(now.address), 1);
    }
    return 1 + (good && header->type != OUT ? done : 0);
}

bool sim_queue_serve(struct sim *sim)
{
    const struct ram *ram = sim->set->owner.ram;
    uint64_t at = (uint64_t)sim->queue.pfn << PAGE_SHIFT_4K;
    uint64_t offered_at = at + SIM_QUEUE_SIZE * sizeof(struct descriptor);
    uint64_t used_at = (offered_at + sizeof(struct ring) + 2 + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    const struct descriptor *table = ram_pointer(ram, gpa(at), offered_at - at);
    const struct ring *offered = ram_pointer(ram, gpa(offered_at), sizeof(*offered));
    struct used *used = ram_pointer(ram, gpa(used_at), sizeof(*used));
    bool any = false;

    if (!sim->queue.pfn || !table || !offered || !used) {
        return false;
    }
    for (unsigned i = 0; i < SIM_QUEUE_SIZE &&
                         __atomic_load_n(&offered->index, __ATOMIC_ACQUIRE) != sim->queue.seen;
         i++) {
        uint16_t head = offered->entry[sim->queue.seen++ % SIM_QUEUE_SIZE];
        uint16_t place = used->index % SIM_QUEUE_SIZE;

        used->entry[place].id = head;
        used->entry[place].length = serve(ram, table, head);
        __atomic_store_n(&used->index, (uint16_t)(used->index + 1), __ATOMIC_RELEASE);
        any = true;
    }
    ram_written(ram, gpa(used_at), sizeof(*used));
    return any && !(__atomic_load_n(&offered->flags, __ATOMIC_SEQ_CST) & NO_INTERRUPT);
}
