/* SPDX-License-Identifier: BSD-2-Clause */
/* A PF of the simulated device, and what the tests of its administration queue send. */
#ifndef PORTOLAN_TESTS_UNIT_VIRTIO_ADMIN_UNIT_H
#define PORTOLAN_TESTS_UNIT_VIRTIO_ADMIN_UNIT_H

#include "drivers/virtio/pf.h"
#include "tests/unit/fakes/log.h"
#include "tests/unit/virtio/simulated.h"
#include "vmm/host/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct virtio_pf pf;
static struct virtio_admin *const admin = &pf.admin;

static inline void start(void)
{
    struct virtio_dma memory = sim_memory();

    assert_int_equal(virtio_pf_start(&pf, sim_function(), sim_bars(), &memory), STATUS_OK);
}

static inline void use_all(void)
{
    uint64_t used;

    assert_int_equal(virtio_admin_use(admin, VIRTIO_GROUP_SRIOV,
                                      VIRTIO_LEGACY_COMMANDS | VIRTIO_LEGACY_NOTIFY, &used),
                     STATUS_OK);
    assert_int_equal(used, SIM_OPCODES);
}

static inline int set_up(void **state)
{
    sim_reset();
    start();
    use_all();
    fake_log_clear();
    return 0;
}

static inline int tear_down(void **state)
{
    sim.all_ones = false;
    return (int)virtio_pf_stop(&pf);
}

enum part { COMMON, DEVICE };

/* A register of VF MEMBER, as vmm/legacy reads it: the data is the offset and zeroes, the result
 * has its width. */
static inline enum status legacy_read(uint32_t member, enum part part, uint8_t offset,
                                      unsigned width, uint32_t *value)
{
    const uint8_t data[VIRTIO_LEGACY_HEADER_SIZE] = {offset};
    struct virtio_admin_command command = {.opcode = part == COMMON
                                                         ? VIRTIO_ADMIN_LEGACY_COMMON_READ
                                                         : VIRTIO_ADMIN_LEGACY_DEVICE_READ,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .member = member,
                                           .data = data,
                                           .data_size = sizeof(data),
                                           .result = value,
                                           .result_size = width,
                                           .whole = true};

    *value = 0;
    return virtio_admin_execute(admin, &command);
}

/* Likewise: the offset, zeroes, and the value at 8. */
static inline enum status legacy_write(uint32_t member, enum part part, uint8_t offset,
                                       unsigned width, uint32_t value)
{
    uint8_t data[12] = {offset};
    struct virtio_admin_command command = {.opcode = part == COMMON
                                                         ? VIRTIO_ADMIN_LEGACY_COMMON_WRITE
                                                         : VIRTIO_ADMIN_LEGACY_DEVICE_WRITE,
                                           .group = VIRTIO_GROUP_SRIOV,
                                           .member = member,
                                           .data = data,
                                           .data_size = 8 + width};

    memcpy(data + 8, &value, width);
    return virtio_admin_execute(admin, &command);
}

static inline enum status read_status_register(void)
{
    uint32_t value;

    return legacy_read(1, COMMON, 0x12, 1, &value);
}

#endif
