/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/legacy/inflight_ring.h"

#include "drivers/virtio/device.h"
#include "tests/unit/legacy/guest.h"
#include "vmm/host/guest_ram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct legacy_function ring_function;
struct legacy_inflight ring_inflight;
unsigned ring_size;

static struct legacy_set set;
static struct ram ram;
static const struct legacy_type disk = {.type = VIRTIO_TYPE_BLOCK};

uint16_t *ring_avail(void)
{
    return (uint16_t *)(void *)&fake_ram[RING_PFN * 4096U + 16U * ring_size];
}

uint16_t *ring_used(void)
{
    uint64_t at = align_up(RING_PFN * 4096U + 16U * ring_size + 6U + 2U * ring_size, 4096);

    return (uint16_t *)(void *)&fake_ram[at];
}

void ring_begin(unsigned of_size, uint16_t start)
{
    memset(&ring_function, 0, sizeof(ring_function));
    memset(fake_ram, 0, sizeof(fake_ram));
    memset(&ring_inflight, 0xa5, sizeof(ring_inflight));
    ring_size = of_size;
    ring_function.set = &set;
    ring_function.type = &disk;
    ring_function.setup.ram = &ram;
    ring_function.setup.inflight = &ring_inflight;
    legacy_inflight_forget(&ring_function);
    ring_function.state.queue[RING_QUEUE] =
        (struct legacy_queue){.pfn = RING_PFN, .size = (uint16_t)ring_size};
    ring_avail()[1] = ring_used()[1] = start;
    legacy_inflight_restart(&ring_function, RING_QUEUE);
    fake.marks = 0;
    ram.tracked = true;
}

void ring_look(void)
{
    legacy_inflight_look(&ring_function, RING_QUEUE);
}

void ring_offer(unsigned head)
{
    ring_avail()[2 + ring_avail()[1] % ring_size] = (uint16_t)head;
    ring_avail()[1]++;
}

void ring_complete(unsigned head)
{
    uint32_t entry[2] = {head, 1};

    memcpy(&ring_used()[2 + 4 * (ring_used()[1] % ring_size)], entry, sizeof(entry));
    ring_used()[1]++;
}

void ring_kick(unsigned head)
{
    ring_offer(head);
    ring_look();
}

enum status ring_end(void)
{
    unsigned queue = RING_QUEUE;
    enum status status = legacy_offer_again(&ring_function, &queue);

    assert_int_equal(queue, RING_QUEUE);
    return status;
}

void ring_check(unsigned count, const uint16_t *heads)
{
    assert_int_equal((uint16_t)(ring_avail()[1] - ring_used()[1]), count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(ring_avail()[2 + (uint16_t)(ring_used()[1] + i) % ring_size], heads[i]);
    }
}
