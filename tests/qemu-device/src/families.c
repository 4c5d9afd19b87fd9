/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kinds of virtio device this plugin offers.
 */
#include "qemu/osdep.h"
#include "families.h"
#include "backend.h"
#include "hw/virtio/virtio-blk.h"
#include "hw/virtio/virtio-net.h"
#include "hw/virtio/virtio-rng.h"
#include "hw/virtio/virtio-scsi.h"
#include "hw/virtio/virtio-serial.h"

/* The legacy device configuration of each kind, as virtio 1.x lays it out. */

static const Field net_config[] = {
    { 0, 6, 1 },        /* mac, which legacy drivers write byte by byte */
    { 6, 2, 2 },        /* status */
    { 8, 2, 2 },        /* max_virtqueue_pairs */
    { 10, 2, 2 },       /* mtu */
    { 12, 4, 4 },       /* speed */
    { 16, 1, 1 },       /* duplex */
    { 17, 1, 1 },       /* rss_max_key_size */
    { 18, 2, 2 },       /* rss_max_indirection_table_length */
    { 20, 4, 4 },       /* supported_hash_types */
};

static const Field blk_config[] = {
    { 0, 8, 8 },        /* capacity */
    { 8, 4, 4 },        /* size_max */
    { 12, 4, 4 },       /* seg_max */
    { 16, 2, 2 },       /* geometry: cylinders, heads, sectors */
    { 18, 1, 1 },
    { 19, 1, 1 },
    { 20, 4, 4 },       /* blk_size */
    { 24, 1, 1 },       /* topology: exponent, offset, minimum, optimum */
    { 25, 1, 1 },
    { 26, 2, 2 },
    { 28, 4, 4 },
    { 32, 1, 1 },       /* writeback */
    { 33, 1, 1 },
    { 34, 2, 2 },       /* num_queues */
    { 36, 4, 4 },       /* discard: sectors, segments, alignment */
    { 40, 4, 4 },
    { 44, 4, 4 },
    { 48, 4, 4 },       /* write zeroes: sectors, segments, may unmap */
    { 52, 4, 4 },
    { 56, 1, 1 },
    { 57, 3, 1 },
};

static const Field console_config[] = {
    { 0, 2, 2 },        /* cols */
    { 2, 2, 2 },        /* rows */
    { 4, 4, 4 },        /* max_nr_ports */
    { 8, 4, 4 },        /* emerg_wr */
};

static const Field scsi_config[] = {
    { 0, 4, 4 },        /* num_queues */
    { 4, 4, 4 },        /* seg_max */
    { 8, 4, 4 },        /* max_sectors */
    { 12, 4, 4 },       /* cmd_per_lun */
    { 16, 4, 4 },       /* event_info_size */
    { 20, 4, 4 },       /* sense_size */
    { 24, 4, 4 },       /* cdb_size */
    { 28, 2, 2 },       /* max_channel */
    { 30, 2, 2 },       /* max_target */
    { 32, 4, 4 },       /* max_lun */
};

/* Each of QEMU's virtio-*-pci types is a proxy followed by its device. */
#define PARENT(name, device) .parent = name, \
    .parent_size = sizeof(struct { VirtIOPCIProxy proxy; device vdev; })

#define CONFIG(fields) .config = fields, .config_fields = ARRAY_SIZE(fields)

const Family families[] = {
    { .pf_type = "portolan-net-pf", .vf_type = "portolan-net-vf",
      PARENT("virtio-net-pci", VirtIONet),
      .virtio_id = 1, .mmr_device_id = 0x10f9,
      .pf_vectors = 5, .queue_size_property = "rx_queue_size",
      .backend = &net_backend, CONFIG(net_config) },
    { .pf_type = "portolan-blk-pf", .vf_type = "portolan-blk-vf",
      PARENT("virtio-blk-pci", VirtIOBlock),
      .virtio_id = 2, .mmr_device_id = 0x10fa,
      .pf_vectors = 3, .queue_size_property = "queue-size",
      .queues_property = "num-queues",
      .backend = &blk_backend, CONFIG(blk_config) },
    { .pf_type = "portolan-console-pf", .vf_type = "portolan-console-vf",
      PARENT("virtio-serial-pci", VirtIOSerial),
      .virtio_id = 3, .mmr_device_id = 0x10fc,
      .pf_vectors = 6,
      .backend = &console_backend, CONFIG(console_config) },
    { .pf_type = "portolan-scsi-pf", .vf_type = "portolan-scsi-vf",
      PARENT("virtio-scsi-pci", VirtIOSCSI),
      .virtio_id = 8, .mmr_device_id = 0x10fd,
      .pf_vectors = 5, .queue_size_property = "virtqueue_size",
      .queues_property = "num_queues",
      .backend = &scsi_backend, CONFIG(scsi_config) },
    { .pf_type = "portolan-rng-pf", .vf_type = "portolan-rng-vf",
      PARENT("virtio-rng-pci", VirtIORNG),
      .virtio_id = 4, .mmr_device_id = 0x10fe,
      .pf_vectors = 3,
      .backend = &rng_backend },
};

const unsigned family_count = ARRAY_SIZE(families);

const Family *family_of(void *function)
{
    const char *type = object_get_typename(OBJECT(function));

    for (unsigned i = 0; i < family_count; i++) {
        if (!strcmp(type, families[i].pf_type) ||
            !strcmp(type, families[i].vf_type)) {
            return &families[i];
        }
    }
    g_assert_not_reached();
}

const Field *field_at(const Field *fields, unsigned count, unsigned offset)
{
    for (unsigned i = 0; i < count; i++) {
        if (offset >= fields[i].offset &&
            offset < fields[i].offset + fields[i].size) {
            return &fields[i];
        }
    }
    return NULL;
}
