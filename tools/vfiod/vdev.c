/* SPDX-License-Identifier: BSD-2-Clause */
/* tools/vfiod/device.h: a function of vmm/legacy as a client of vfio-user sees it. */
#include "tools/vfiod/device.h"

#include "tools/vfiod/far.h"
#include "tools/vfiod/function.h"
#include "tools/vfiod/hostvf.h"
#include "tools/vfiod/sim_options.h"
#include "tools/vfiod/vfio.h"

#include "drivers/virtio/device.h"
#include "vmm/base/little_endian.h"
#include "vmm/base/msi.h"
#include "vmm/legacy/legacy_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOT         2U
#define DEVFN        (SLOT << 3)
#define DECODING     (COMMAND_IO | COMMAND_MEMORY)
#define BAR_IO_FLAGS 0x1U
#define ENTRY_SIZE   16U

enum { ENTRY_DATA = 8, ENTRY_CONTROL = 12 };

struct function function;
static struct vfio_user_function description;

/* ---- Configuration space ---- */

static uint32_t bar_size(unsigned bar)
{
    return bar == 0 ? function.legacy.io_size : LEGACY_MMIO_SIZE;
}

/* Does byte OFFSET belong to what vmm/legacy is not to see? */
static bool is_bar(unsigned offset, unsigned *bar, unsigned *shift)
{
    *bar = (offset - CONFIG_BAR0) / 4;
    *shift = 8 * (offset % 4);
    return offset >= CONFIG_BAR0 && *bar < ARRAY_SIZE(function.shown.bar);
}

static uint8_t read_config(unsigned offset)
{
    uint8_t value = (uint8_t)legacy_config_read(&function.set, DEVFN, (uint8_t)offset, 1);
    unsigned bar, shift;

    if (legacy_is_lost(&function.legacy)) {
        return value;
    }
    if (is_bar(offset, &bar, &shift)) {
        return (uint8_t)((function.shown.bar[bar] | (bar == 0 ? BAR_IO_FLAGS : 0)) >> shift);
    }
    if (offset == CONFIG_COMMAND) {
        return (uint8_t)((value & ~DECODING) | function.shown.command);
    }
    return value;
}

static void write_config(unsigned offset, uint8_t value)
{
    unsigned bar, shift;

    if (is_bar(offset, &bar, &shift)) {
        uint32_t bits = function.shown.bar[bar] & ~(0xffU << shift);

        function.shown.bar[bar] = (bits | (uint32_t)value << shift) & ~(bar_size(bar) - 1);
        return;
    }
    if (offset == CONFIG_COMMAND) {
        function.shown.command = value & DECODING;
        value |= DECODING;
    }
    legacy_config_write(&function.set, DEVFN, (uint8_t)offset, 1, value);
}

/* What was written while the state could not change. */
void function_replay_config(void)
{
    for (unsigned i = 0; i < LEGACY_CONFIG_SIZE; i++) {
        if (function.held_set[i]) {
            write_config(i, function.held[i]);
        }
    }
    memset(function.held_set, 0, sizeof(function.held_set));
    legacy_settle(&function.set);
}

/* ---- BAR 1: the client has the table, and says by vdev_vector_wanted() what it wants ---- */

static bool is_decoded(uint16_t space)
{
    return (function.shown.command & space) != 0 && !legacy_is_lost(&function.legacy);
}

static uint64_t table_size(void)
{
    return (uint64_t)function.legacy.vectors * ENTRY_SIZE;
}

static uint8_t read_table(uint64_t offset)
{
    uint64_t value = 0;

    if (offset < table_size()) {
        return function.table[offset];
    }
    if (offset >= LEGACY_PBA_OFFSET) {
        gpa_t at = {LEGACY_MMIO_BASE + (offset & ~3ULL)};

        (void)legacy_mmio_read(&function.set, at, 4, &value);
    }
    return (uint8_t)(value >> 8 * (offset % 4));
}

void function_apply_vectors(void)
{
    for (unsigned i = 0; i < function.legacy.vectors; i++) {
        gpa_t at = {LEGACY_MMIO_BASE + (uint64_t)i * ENTRY_SIZE};
        gpa_t data = {at.raw + ENTRY_DATA}, control = {at.raw + ENTRY_CONTROL};

        (void)legacy_mmio_write(&function.set, at, 8, MSI_BASE);
        (void)legacy_mmio_write(&function.set, data, 4, i);
        (void)legacy_mmio_write(&function.set, control, 4,
                                bit_get(function.wanted, i) ? 0 : ENTRY_MASKED);
    }
}

/* What a client reads there until it has written it. */
static void reset_table(void)
{
    memset(function.table, 0, sizeof(function.table));
    for (unsigned i = 0; i < function.legacy.vectors; i++) {
        function.table[(size_t)i * ENTRY_SIZE + ENTRY_CONTROL] = ENTRY_MASKED;
    }
}

void vdev_vector_wanted(uint32_t vector, bool wanted)
{
    if (vector >= function.legacy.vectors) {
        return;
    }
    if (wanted) {
        bit_set(function.wanted, vector);
    } else {
        bit_clear(function.wanted, vector);
    }
    if (!function.legacy.irq.paused) {
        function_apply_vectors();
    }
}

/* ---- BAR 0 ---- */

/* A piece of an access that a port access can be: the whole, if it is one. */
static unsigned piece(uint64_t offset, uint32_t left, uint32_t all)
{
    if (all == 1 || all == 2 || all == 4) {
        return all;
    }
    return offset % 4 == 0 && left >= 4 ? 4 : offset % 2 == 0 && left >= 2 ? 2 : 1;
}

static void read_ports(uint64_t offset, uint8_t *data, uint32_t count)
{
    for (uint32_t done = 0, width; done < count; done += width) {
        uint32_t value = UINT32_MAX;

        width = piece(offset + done, count - done, count);
        if (function_is_frozen() && offset + done == LEGACY_ISR) {
            value = function.legacy.state.isr; /* and it stays so */
            bytes_put(data + done, width, value);
            continue;
        }
        (void)legacy_port_read(&function.set, (uint16_t)(LEGACY_IO_BASE + offset + done), width,
                               &value);
        bytes_put(data + done, width, value);
    }
}

static void write_ports(uint64_t offset, const uint8_t *data, uint32_t count)
{
    for (uint32_t done = 0, width; done < count; done += width) {
        width = piece(offset + done, count - done, count);
        (void)legacy_port_write(&function.set, (uint16_t)(LEGACY_IO_BASE + offset + done), width,
                                (uint32_t)bytes_get(data + done, width));
    }
}

/* ---- Regions ---- */

enum status vdev_read(uint32_t region, uint64_t offset, uint8_t *data, uint32_t count)
{
    bool io = region == VFIO_USER_BAR0;

    memset(data, 0xff, count);
    if (region == VFIO_USER_CONFIG) {
        for (uint32_t i = 0; i < count; i++) {
            data[i] = read_config((unsigned)offset + i);
        }
    } else if (is_decoded(io ? COMMAND_IO : COMMAND_MEMORY)) {
        if (io) {
            read_ports(offset, data, count);
        }
        for (uint32_t i = 0; i < count && !io; i++) {
            data[i] = read_table(offset + i);
        }
    }
    function_deliver();
    return STATUS_OK;
}

static void write_all_config(uint64_t offset, const uint8_t *data, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (function_is_frozen()) {
            function.held[offset + i] = data[i];
            function.held_set[offset + i] = true;
        } else {
            write_config((unsigned)offset + i, data[i]);
        }
    }
    legacy_settle(&function.set);
}

enum status vdev_write(uint32_t region, uint64_t offset, const uint8_t *data, uint32_t count)
{
    if (region == VFIO_USER_CONFIG) {
        write_all_config(offset, data, count);
    } else if (region == VFIO_USER_BAR0) {
        if (is_decoded(COMMAND_IO) && !function_is_frozen()) {
            write_ports(offset, data, count);
        }
    } else if (is_decoded(COMMAND_MEMORY) && offset < table_size()) {
        memcpy(function.table + offset, data,
               count < table_size() - offset ? count : table_size() - offset);
    }
    function_deliver();
    return STATUS_OK;
}

void function_deliver(void)
{
    for (int entry; (entry = sim_take_message(&function.sim)) >= 0;) {
        legacy_interrupt(&function.legacy, (unsigned)entry);
    }
}

/* ---- Life ---- */

enum status vdev_reset(void)
{
    legacy_reset(&function.set);
    legacy_resume(&function.set);
    function.shown = (struct shown_registers){0};
    memset(function.held_set, 0, sizeof(function.held_set));
    reset_table();
    function_apply_vectors();
    function_state_open();
    return legacy_is_lost(&function.legacy) ? STATUS_NOTE(STATUS_DEVICE) : STATUS_OK;
}

static void describe(void)
{
    static struct vfio_user_notify notifies[ARRAY_SIZE(function.notify)];
    struct vfio_user_function *d = &description;

    for (unsigned i = 0; i < VFIO_USER_PCI_REGIONS; i++) {
        d->region[i].handle = NO_HANDLE;
    }
    d->region[VFIO_USER_BAR0].size = function.legacy.io_size;
    d->region[VFIO_USER_BAR0 + 1].size = LEGACY_MMIO_SIZE;
    d->region[VFIO_USER_CONFIG].size = LEGACY_CONFIG_SIZE;
    d->intx = 1;
    d->vectors = function.legacy.vectors;
    d->migrates = d->logs = function.sim.options.abi != VF_STATE_NONE;
    d->split = !function.hosted; /* VFIO unmaps what was mapped */
    d->notifies = function.notifies;
    d->notify = notifies;
    for (unsigned i = 0; i < d->notifies; i++) {
        notifies[i] = (struct vfio_user_notify){.region = VFIO_USER_BAR0,
                                                .size = 2,
                                                .offset = LEGACY_QUEUE_NOTIFY,
                                                .match = i,
                                                .io = true,
                                                .handle = function.notify[i]};
    }
}

static bool open_simulated(const char *options, struct legacy_setup *setup)
{
    struct sim_options parsed;

    if (!sim_options_parse(options, &parsed) || !sim_open(&function.sim, &parsed)) {
        return false;
    }
    setup->type = parsed.type;
    setup->vectors = (uint16_t)(1 + function.sim.queues);
    setup->transport = parsed.transport;
    setup->block_length = LEGACY_HEADER_MSIX + function.sim.config_size;
    return true;
}

static bool open_notifies(void)
{
    function.notifies = function.hosted ? hostvf_queues(VFIO_USER_NOTIFY_MAX) : function.sim.queues;
    for (unsigned i = 0; i < function.notifies; i++) {
        function.notify[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (function.notify[i] < 0) {
            vfiod_say("eventfd: %s", strerror(errno));
            return false;
        }
    }
    return true;
}

bool vdev_open(const char *options, bool vf)
{
    struct legacy_setup setup = {.slot = SLOT};

    function = (struct function){.hosted = vf};
    description = (struct vfio_user_function){0};
    legacy_init(&function.set, "vfiod");
    if (!(vf ? hostvf_open(options, &setup) : open_simulated(options, &setup)) ||
        legacy_add(&function.set, &function.legacy, &setup) != STATUS_OK || !open_notifies()) {
        return false;
    }
    describe();
    return vdev_reset() == STATUS_OK;
}

void vdev_close(void)
{
    if (function.sim.options.type == VIRTIO_TYPE_BLOCK && !block_flush(&function.sim)) {
        vfiod_say("%s: %s", function.sim.options.back_end.file, strerror(errno));
    }
    legacy_release(&function.set);
    if (function.hosted) {
        hostvf_close();
    } else {
        sim_close(&function.sim);
    }
    for (unsigned i = 0; i < function.notifies; i++) {
        close(function.notify[i]);
    }
}

const int *vdev_syscalls(unsigned *count)
{
    static const int simulated[] = {SYS_preadv, SYS_pwritev, SYS_fdatasync};
    static const int hosted[] = {SYS_pread64, SYS_pwrite64};

    *count = function.hosted ? ARRAY_SIZE(hosted) : ARRAY_SIZE(simulated);
    return function.hosted ? hosted : simulated;
}

const unsigned long *vdev_requests(unsigned *count)
{
    const unsigned long *requests = vfio_requests(count);

    *count = function.hosted ? *count : 0;
    return requests;
}

const struct vfio_user_function *vdev_describe(void)
{
    return &description;
}

/* ---- Memory ---- */

enum status vdev_memory_comes(const struct vfio_user_map *map, void *here)
{
    return function.hosted ? hostvf_map(map->address, map->size, here, map->readable, map->writable)
                           : STATUS_OK;
}

/* Of a simulated device a request is done when it is taken: none uses this memory any more. */
void vdev_memory_leaves(uint64_t iova, uint64_t size)
{
    if (function.hosted) {
        hostvf_unmap(iova, size);
    }
}

void vdev_dma_done(bool ok, const uint8_t *data)
{
    far_answer(ok, data);
}

/* A VF goes on with DMA, to memory that is not there any more, until it is reset. */
void vdev_client_left(void)
{
    far_forget();
    if (function.hosted) {
        (void)vdev_reset();
    }
}

/* ---- The loop ---- */

unsigned vdev_poll_fds(struct pollfd *fd, unsigned room, int *timeout_ms)
{
    struct sim *sim = &function.sim;
    unsigned count = 0;

    for (unsigned i = 0; i < function.notifies && count < room; i++) {
        fd[count++] = (struct pollfd){.fd = function.notify[i], .events = POLLIN};
    }
    if (function.hosted) {
        *timeout_ms = -1;
        return count + hostvf_poll_fds(fd + count, room - count);
    }
    if (sim->options.type == VIRTIO_TYPE_NET && net_events(sim) != 0 && count < room) {
        fd[count++] = (struct pollfd){.fd = sim->back_end.fd, .events = net_events(sim)};
    }
    *timeout_ms = sim_delay_ms(sim);
    return count;
}

/* The client's guest has written the index of QUEUE to the notify port. */
static void notify(unsigned queue)
{
    if (function.hosted) {
        (void)legacy_port_write(&function.set, LEGACY_IO_BASE + LEGACY_QUEUE_NOTIFY, 2, queue);
    } else {
        sim_notify(&function.sim, queue);
    }
}

void vdev_poll(const struct pollfd *fd, unsigned count)
{
    uint64_t value;
    int entry;

    for (unsigned i = 0; i < count; i++) {
        if (fd[i].revents == 0) {
            continue;
        }
        if (i < function.notifies) {
            if (read(fd[i].fd, &value, sizeof(value)) == (ssize_t)sizeof(value)) {
                notify(i);
            }
        } else if (!function.hosted) {
            net_polled(&function.sim, fd[i].revents);
        } else if ((entry = hostvf_take_message(&fd[i], i - function.notifies)) >= 0) {
            legacy_interrupt(&function.legacy, (unsigned)entry);
        }
    }
    if (!function.hosted) {
        sim_run(&function.sim);
        function_deliver();
    }
}
