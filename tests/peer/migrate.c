/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFIO's migration of a VF that works, by virtio-vfio-pci and the device parts of virtio 1.4: the
 * driver, which is this program, knows nothing of it, but that it rings its queues once.
 */
#include "peer.h"

#include <errno.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MOVES     6
#define STATE_MAX 0x10000U
#define PIECE     100U /* bytes of a write: no multiple of anything in a record */
#define STATUS_OK 15U
#define LEGACY_OK 7U

/* Since Linux 6.2, and missing in older headers: the state is read while the VF runs, and once more
 * when it is stopped. */
#define STATE_PRE_COPY     6U
#define STATE_PRE_COPY_P2P 7U
#define FLAG_PRE_COPY      (1U << 2)

static uint8_t state[STATE_MAX];
static size_t state_size;
static int state_file = -1;
static enum use use;
static uint8_t mac[6];

static unsigned queues_used(void)
{
    return use == USE_BLOCK ? 1 : 2;
}

static uint8_t driver_status(const struct driver *driver)
{
    return driver->is_legacy ? legacy_status(driver) : modern_status(driver);
}

static uint64_t driver_config(const struct driver *driver, unsigned offset, unsigned size)
{
    return driver->is_legacy ? legacy_config(driver, offset, size)
                             : modern_config(driver, offset, size);
}

static uint8_t status_wanted(const struct driver *driver)
{
    return driver->is_legacy ? LEGACY_OK : STATUS_OK;
}

/* What there is to be read now. While the VF runs, that ends with ENOMSG. */
static void read_state(const struct driver *driver, bool runs)
{
    ssize_t done;

    while ((done = read(state_file, state + state_size, STATE_MAX - state_size)) > 0) {
        state_size += (size_t)done;
    }
    if (state_size == STATE_MAX || (runs ? done == 0 || errno != ENOMSG : done < 0)) {
        fail("%s: the state cannot be read: %s", driver->vf->bdf,
             done ? strerror(errno) : "it ends");
    }
}

/* Gives the state to VF, piece by piece. Returns 0 or an errno. */
static int restore(const struct vf *vf)
{
    int file = vf_set_state(vf, VFIO_DEVICE_STATE_RESUMING), error = 0;

    for (size_t at = 0; at < state_size && !error;) {
        size_t left = state_size - at;
        ssize_t done = write(file, state + at, left < PIECE ? left : PIECE);

        error = done < 0 ? errno : 0;
        at += done < 0 ? 0 : (size_t)done;
    }
    (void)close(file);
    return error;
}

/* A VF that is as new, ready to be given a state: memory and interrupts are the host's. */
static void make_ready(struct vf *vf)
{
    vf_reset(vf);
    expect_value("state after a reset", vf_state(vf), VFIO_DEVICE_STATE_RUNNING);
    vf_set_command(vf, COMMAND_MEMORY | COMMAND_MASTER | (use == USE_LEGACY_NET ? COMMAND_IO : 0));
    vf_enable_msix(vf);
}

static void check_flags(const struct vf *vf)
{
    struct {
        struct vfio_device_feature feature;
        struct vfio_device_feature_migration migration;
    } get = {
        .feature = {.argsz = sizeof(get),
                    .flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION}
    };
    uint64_t wanted = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | FLAG_PRE_COPY;

    if (ioctl(vf->device, VFIO_DEVICE_FEATURE, &get) < 0) {
        fail("%s cannot be migrated: %s", vf->bdf, strerror(errno));
    }
    expect_value("flags of migration", get.migration.flags & wanted, wanted);
}

/* Work that is under way when the VF is stopped: what it has taken is done by then. */
static void stop_under_way(struct driver *driver, unsigned round, bool live)
{
    const struct queue *queue = &driver->queues[queues_used() - 1];

    if (driver->is_net) {
        net_ask(driver, mac);
    } else {
        block_post_write(driver, 64 + round * 8, round);
        driver_notify(driver, 0);
    }
    (void)vf_set_state(driver->vf, live ? STATE_PRE_COPY_P2P : VFIO_DEVICE_STATE_RUNNING_P2P);
    expect_value("used index of a stopped VF", queue_used_index(queue), queue->posted);
    if (!driver->is_net) {
        block_finish(driver);
    }
}

/* Work for a VF that is stopped: nothing of it is done, however often it is told. */
static void post_while_stopped(struct driver *driver, unsigned round)
{
    unsigned index = queues_used() - 1;
    const struct queue *queue = &driver->queues[index];
    uint16_t used = queue_used_index(queue);

    if (driver->is_net) {
        net_post_question(driver, mac);
    } else {
        block_post_write(driver, 128 + round * 8, round);
    }
    driver_notify(driver, index);
    expect_value("status of a stopped VF", driver_status(driver), status_wanted(driver));
    expect_value("used index of a stopped VF that was notified", queue_used_index(queue), used);
}

/* Stops the VF and has its state, read while it runs as well if LIVE. */
static void save(struct driver *driver, unsigned round, bool live)
{
    state_size = 0;
    if (live) {
        state_file = vf_set_state(driver->vf, STATE_PRE_COPY);
        read_state(driver, true);
    }
    stop_under_way(driver, round, live);
    post_while_stopped(driver, round);
    if (live) {
        (void)vf_set_state(driver->vf, VFIO_DEVICE_STATE_STOP_COPY);
    } else {
        (void)vf_set_state(driver->vf, VFIO_DEVICE_STATE_STOP);
        state_file = vf_set_state(driver->vf, VFIO_DEVICE_STATE_STOP_COPY);
    }
    read_state(driver, false);
    parts_check(driver, state, state_size, live ? 2 : 1, mac);
}

/* The work of post_while_stopped(), and more, on whatever VF it is by now. */
static void go_on(struct driver *driver, unsigned round)
{
    for (unsigned i = 0; i < queues_used(); i++) {
        driver_notify(driver, i);
    }
    if (driver->is_net) {
        net_finish(driver, mac);
        net_ask(driver, mac);
    } else {
        block_finish(driver);
        block_check(driver, 64 + round * 8, round);
        block_check(driver, 128 + round * 8, round);
        block_write(driver, 192 + round * 8, round);
        block_check(driver, 192 + round * 8, round);
        block_check_config(driver);
    }
    for (unsigned i = 0; i < queues_used(); i++) {
        vf_wait_interrupt(driver->vf, i);
    }
    for (unsigned i = 0; driver->is_net && i < sizeof(mac); i++) {
        expect_value("byte of the address", driver_config(driver, i, 1), mac[i]);
    }
}

/* A state with another set of device features is refused, and the VF is as good as new after a
 * reset. */
static void offer_a_wrong_one(struct vf *to)
{
    uint8_t *features = state + PARTS_FEATURES_AT;

    *features ^= 1;
    expect_value("answer to a state of another device", (unsigned)restore(to), EINVAL);
    *features ^= 1;
    make_ready(to);
    say("%s: a state with other device features was refused", to->bdf);
}

static void call_off(struct driver *driver, unsigned round)
{
    (void)vf_set_state(driver->vf, VFIO_DEVICE_STATE_STOP);
    (void)vf_set_state(driver->vf, VFIO_DEVICE_STATE_RUNNING);
    go_on(driver, round);
    say("%s goes on after a migration that was called off", driver->vf->bdf);
}

static void move(struct driver *driver, struct vf *to, unsigned round, bool live)
{
    struct vf *from = driver->vf;

    make_ready(to);
    if (round == 1) {
        offer_a_wrong_one(to);
    }
    expect_value("answer to the state", (unsigned)restore(to), 0);
    (void)vf_set_state(to, VFIO_DEVICE_STATE_STOP);
    (void)vf_set_state(to, VFIO_DEVICE_STATE_RUNNING);
    if (driver->is_legacy) {
        driver->vf = to;
    } else {
        modern_find(driver, to);
    }
    expect_value("status of the target", driver_status(driver), status_wanted(driver));
    go_on(driver, round);
    (void)vf_set_state(from, VFIO_DEVICE_STATE_STOP);
    say("moved from %s to %s, %s", from->bdf, to->bdf,
        live ? "saved live and stopped" : "saved stopped");
}

static void start(struct driver *driver, struct vf *vfs)
{
    for (unsigned i = 0; i < 2; i++) {
        check_flags(&vfs[i]);
        make_ready(&vfs[i]);
    }
    if (use == USE_LEGACY_NET) {
        legacy_start(driver, &vfs[0]);
    } else {
        modern_start(driver, &vfs[0], use == USE_NET);
    }
    if (driver->is_net) {
        for (unsigned i = 0; i < sizeof(mac); i++) {
            mac[i] = (uint8_t)driver_config(driver, i, 1);
        }
        net_post_buffers(driver);
    }
}

void migrate_check(struct vf *vfs, enum use what)
{
    struct driver driver;

    use = what;
    start(&driver, vfs);
    for (unsigned round = 0; round <= MOVES; round++) {
        bool live = round % 2 == 0;

        save(&driver, round, live);
        if (round == 0) {
            call_off(&driver, round);
        } else {
            move(&driver, driver.vf == &vfs[0] ? &vfs[1] : &vfs[0], round, live);
        }
        (void)close(state_file);
    }
}

void migrate_leave(struct vf *vfs, enum use what)
{
    struct driver driver;

    use = what;
    start(&driver, vfs);
    save(&driver, 0, false);
    make_ready(&vfs[1]);
    expect_value("answer to the state", (unsigned)restore(&vfs[1]), 0);
    say("left with VFs in STOP_COPY and RESUMING");
}
