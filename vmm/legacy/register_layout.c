/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/legacy/register_layout.h"

static const struct legacy_field net_config[] = {
    {0,  6, 1}, /* mac, which old drivers write byte by byte */
    {6,  3, 2}, /* status, max_virtqueue_pairs, mtu */
    {12, 1, 4}, /* speed */
    {16, 2, 1}, /* duplex, rss_max_key_size */
    {18, 1, 2}, /* rss_max_indirection_table_length */
    {20, 1, 4}, /* supported_hash_types */
};

static const struct legacy_field block_config[] = {
    {0,  2, 4}, /* capacity */
    {8,  2, 4}, /* size_max, seg_max */
    {16, 1, 2}, /* cylinders */
    {18, 2, 1}, /* heads, sectors */
    {20, 1, 4}, /* blk_size */
    {24, 2, 1}, /* physical_block_exp, alignment_offset */
    {26, 1, 2}, /* min_io_size */
    {28, 1, 4}, /* opt_io_size */
    {32, 2, 1}, /* writeback */
    {34, 1, 2}, /* num_queues */
    {36, 5, 4}, /* discard: sectors, segments, alignment; write zeroes: sectors, segments */
    {56, 4, 1}, /* write zeroes may unmap */
};

static const struct legacy_field console_config[] = {
    {0, 2, 2}, /* columns, rows */
    {4, 2, 4}, /* max_nr_ports, emerg_wr */
};

static const struct legacy_field balloon_config[] = {
    {0, 4, 4}, /* num_pages, actual, free_page_hint_cmd_id, poison_val */
};

static const struct legacy_field scsi_config[] = {
    {0,  7, 4}, /* num_queues, seg_max, max_sectors, cmd_per_lun, event, sense and CDB size */
    {28, 2, 2}, /* max_channel, max_target */
    {32, 1, 4}, /* max_lun */
};

static const struct legacy_field p9_config[] = {
    {0, 1,   2}, /* length of the tag */
    {2, 230, 1}, /* as much of the tag as fits an I/O BAR of 256 bytes */
};

#define CONFIG(table, length) \
    .fields = (table), .field_count = ARRAY_SIZE(table), .config_length = (length)

/* The classes are those of QEMU's devices, which drivers have been seeing all along. */
static const struct legacy_type types[] = {
    {.type = 1,         .device = 0x1000,    .pci_class = 0x0200,   CONFIG(net_config,     24)},
    {.type = 2,         .device = 0x1001,    .pci_class = 0x0100,   CONFIG(block_config,   60)},
    {.type = 3,         .device = 0x1003,    .pci_class = 0x0780,   CONFIG(console_config, 12)},
    {.type = 4,         .device = 0x1005,    .pci_class = 0x00ff,   .fields = NULL       },
    {.type = 5, .device = 0x1002, .pci_class = 0x00ff, CONFIG(balloon_config,                   16)   },
    {.type = 8, .device = 0x1004, .pci_class = 0x0100,    CONFIG(scsi_config,                   36)},
    {.type = 9, .device = 0x1009, .pci_class = 0x0002,      CONFIG(p9_config,                  232)   },
};

const struct legacy_type *legacy_type_find(uint16_t type)
{
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        if (types[i].type == type) {
            return &types[i];
        }
    }
    return NULL;
}
