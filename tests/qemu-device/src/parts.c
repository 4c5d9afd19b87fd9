/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device parts of virtio 1.4.
 */
#include "parts.h"
#include "qemu/cutils.h"
#include "standard-headers/linux/virtio_net.h"
#include "standard-headers/linux/virtio_pci.h"

enum {
    PART_DEV_FEATURES = 0x100,
    PART_DRV_FEATURES = 0x101,
    PART_PCI_COMMON_CFG = 0x102,
    PART_DEVICE_STATUS = 0x103,
    PART_VQ_CFG = 0x104,
    PART_VQ_NOTIFY_CFG = 0x105,
    PART_NET_CVQ_CFG = 0x200,
};

#define FLAG_OPTIONAL   1
#define VQ_CFG_SIZE     32
#define VQ_NOTIFY_SIZE  8
#define MAC_TABLE_COUNT 4   /* bytes of each of its two counts */

/* Fields of the common configuration that are parts. */
typedef struct CommonField {
    uint16_t offset;
    uint8_t size;
    size_t at;              /* in Image */
} CommonField;

#define COMMON(offset, size, member) { offset, size, offsetof(Image, member) }

static const CommonField common_fields[] = {
    COMMON(VIRTIO_PCI_COMMON_DFSELECT, 4, device_feature_select),
    COMMON(VIRTIO_PCI_COMMON_GFSELECT, 4, driver_feature_select),
    COMMON(VIRTIO_PCI_COMMON_MSIX, 2, config_vector),
    COMMON(VIRTIO_PCI_COMMON_NUMQ, 2, queues),
    COMMON(VIRTIO_PCI_COMMON_Q_SELECT, 2, queue_select),
};

/* Encoding */

typedef struct Encoder {
    GByteArray *to;
    bool headers_only;
} Encoder;

static void add_part(Encoder *e, uint16_t type, uint8_t flags,
                     uint64_t selector, const void *value, uint32_t len)
{
    uint8_t header[PART_HEADER] = { 0 };

    stw_le_p(header, type);
    header[2] = flags;
    stq_le_p(header + 4, selector);
    stl_le_p(header + 12, len);
    g_byte_array_append(e->to, header, sizeof(header));
    if (!e->headers_only) {
        g_byte_array_append(e->to, value, len);
    }
}

static void add_features(Encoder *e, uint16_t type, uint8_t flags,
                         uint64_t features)
{
    uint8_t value[8];

    stq_le_p(value, features);
    add_part(e, type, flags, 0, value, sizeof(value));
}

static void add_common(Encoder *e, const Image *image)
{
    for (int i = 0; i < ARRAY_SIZE(common_fields); i++) {
        const CommonField *f = &common_fields[i];
        const void *at = (const char *)image + f->at;
        uint8_t value[4];

        stl_le_p(value, f->size == 4 ? *(const uint32_t *)at
                                     : *(const uint16_t *)at);
        add_part(e, PART_PCI_COMMON_CFG, 0, f->offset, value, f->size);
    }
}

static void add_queue(Encoder *e, unsigned n, const QueueImage *q)
{
    uint8_t value[VQ_CFG_SIZE] = { 0 };

    stw_le_p(value, q->size);
    stw_le_p(value + 2, q->vector);
    stw_le_p(value + 4, q->enabled);
    stq_le_p(value + 8, q->desc);
    stq_le_p(value + 16, q->driver);
    stq_le_p(value + 24, q->device);
    add_part(e, PART_VQ_CFG, 0, n, value, sizeof(value));
}

/* A queue's number is the place of its doorbell. */
static void add_notify(Encoder *e, unsigned n)
{
    uint8_t value[VQ_NOTIFY_SIZE] = { 0 };

    stw_le_p(value, n);
    add_part(e, PART_VQ_NOTIFY_CFG, 0, n, value, sizeof(value));
}

static void add_control(Encoder *e, uint8_t class, uint8_t command,
                        const void *value, uint32_t len)
{
    add_part(e, PART_NET_CVQ_CFG, 0, class | command << 8, value, len);
}

static void add_mac_table(Encoder *e, const NetImage *net)
{
    g_autoptr(GByteArray) table = g_byte_array_new();
    uint8_t count[MAC_TABLE_COUNT];

    stl_le_p(count, net->unicast);
    g_byte_array_append(table, count, sizeof(count));
    g_byte_array_append(table, net->macs, net->unicast * ETH_ALEN);
    stl_le_p(count, net->multicast);
    g_byte_array_append(table, count, sizeof(count));
    g_byte_array_append(table, net->macs + net->unicast * ETH_ALEN,
                        net->multicast * ETH_ALEN);
    add_control(e, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET,
                table->data, table->len);
}

static void add_net(Encoder *e, const NetImage *net)
{
    uint8_t pairs[2];

    for (int i = 0; i < IMAGE_RX_MODES; i++) {
        add_control(e, VIRTIO_NET_CTRL_RX, i, &net->rx_modes[i], 1);
    }
    add_mac_table(e, net);
    add_control(e, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, net->mac,
                ETH_ALEN);
    add_control(e, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, net->vlans,
                IMAGE_VLAN_BYTES);
    stw_le_p(pairs, net->pairs);
    add_control(e, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, pairs,
                sizeof(pairs));
}

GByteArray *parts_encode(const Image *image, bool headers_only)
{
    Encoder e = { g_byte_array_new(), headers_only };

    add_features(&e, PART_DEV_FEATURES, FLAG_OPTIONAL, image->device_features);
    add_features(&e, PART_DRV_FEATURES, 0, image->driver_features);
    add_common(&e, image);
    add_part(&e, PART_DEVICE_STATUS, 0, 0, &image->status, 1);
    for (unsigned n = 0; n < image->queues; n++) {
        add_queue(&e, n, &image->queue[n]);
    }
    for (unsigned n = 0; n < image->queues; n++) {
        add_notify(&e, n);
    }
    if (image->is_net) {
        add_net(&e, &image->net);
    }
    return e.to;
}

/* Decoding */

typedef struct Part {
    uint16_t type;
    uint8_t flags;
    uint64_t selector;
    uint32_t len;
    const uint8_t *value;
} Part;

size_t parts_size(const uint8_t *part, size_t left)
{
    uint32_t len;

    if (left < PART_HEADER) {
        return 0;
    }
    len = ldl_le_p(part + 12);
    return len <= left - PART_HEADER ? PART_HEADER + len : 0;
}

static const char *wrong_length = "the length of a part";

static const char *take_common(Image *image, const Part *p)
{
    for (int i = 0; i < ARRAY_SIZE(common_fields); i++) {
        const CommonField *f = &common_fields[i];
        void *at = (char *)image + f->at;

        if (p->selector != f->offset) {
            continue;
        }
        if (p->len != f->size) {
            return wrong_length;
        }
        if (f->size == 4) {
            *(uint32_t *)at = ldl_le_p(p->value);
        } else {
            *(uint16_t *)at = lduw_le_p(p->value);
        }
        return image->queues <= IMAGE_QUEUES ? NULL : "the number of queues";
    }
    return "a field of the common configuration that is no part";
}

static const char *take_queue(Image *image, const Part *p)
{
    QueueImage *q;

    if (p->selector >= image->queues) {
        return "a queue that is not there";
    }
    if (p->len != VQ_CFG_SIZE) {
        return wrong_length;
    }
    q = &image->queue[p->selector];
    q->size = lduw_le_p(p->value);
    q->vector = lduw_le_p(p->value + 2);
    q->enabled = lduw_le_p(p->value + 4);
    q->desc = ldq_le_p(p->value + 8);
    q->driver = ldq_le_p(p->value + 16);
    q->device = ldq_le_p(p->value + 24);
    return NULL;
}

static const char *take_notify(Image *image, const Part *p)
{
    if (p->selector >= image->queues) {
        return "a queue that is not there";
    }
    if (p->len != VQ_NOTIFY_SIZE) {
        return wrong_length;
    }
    return lduw_le_p(p->value) == p->selector
           ? NULL : "another place of a doorbell";
}

static const char *take_mac_table(NetImage *net, const Part *p)
{
    uint64_t first, second;

    if (p->len < 2 * MAC_TABLE_COUNT) {
        return wrong_length;
    }
    first = ldl_le_p(p->value);
    if (first > IMAGE_MACS || p->len < 2 * MAC_TABLE_COUNT + first * ETH_ALEN) {
        return "a table of addresses";
    }
    second = ldl_le_p(p->value + MAC_TABLE_COUNT + first * ETH_ALEN);
    if (first + second > IMAGE_MACS ||
        p->len != 2 * MAC_TABLE_COUNT + (first + second) * ETH_ALEN) {
        return "a table of addresses";
    }
    net->unicast = first;
    net->multicast = second;
    memcpy(net->macs, p->value + MAC_TABLE_COUNT, first * ETH_ALEN);
    memcpy(net->macs + first * ETH_ALEN,
           p->value + 2 * MAC_TABLE_COUNT + first * ETH_ALEN,
           second * ETH_ALEN);
    return NULL;
}

static const char *take_bytes(const Part *p, void *to, uint32_t len)
{
    if (p->len != len) {
        return wrong_length;
    }
    memcpy(to, p->value, len);
    return NULL;
}

static const char *take_control(Image *image, const Part *p)
{
    NetImage *net = &image->net;
    uint8_t command = p->selector >> 8;
    const char *why;

    if (!image->is_net || p->selector > 0xffff) {
        return "a part of another type of device";
    }
    switch (p->selector) {
    case VIRTIO_NET_CTRL_MAC | VIRTIO_NET_CTRL_MAC_TABLE_SET << 8:
        return take_mac_table(net, p);
    case VIRTIO_NET_CTRL_MAC | VIRTIO_NET_CTRL_MAC_ADDR_SET << 8:
        return take_bytes(p, net->mac, ETH_ALEN);
    case VIRTIO_NET_CTRL_VLAN | VIRTIO_NET_CTRL_VLAN_ADD << 8:
        return take_bytes(p, net->vlans, IMAGE_VLAN_BYTES);
    case VIRTIO_NET_CTRL_MQ | VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET << 8:
        why = take_bytes(p, &net->pairs, 2);
        net->pairs = le16_to_cpu(net->pairs);
        return why;
    }
    if ((p->selector & 0xff) == VIRTIO_NET_CTRL_RX && command < IMAGE_RX_MODES) {
        return take_bytes(p, &net->rx_modes[command], 1);
    }
    return "a control command that is no part";
}

static const char *take_part(Image *image, const Part *p)
{
    switch (p->type) {
    case PART_DEV_FEATURES:
        if (p->len != 8) {
            return wrong_length;
        }
        return ldq_le_p(p->value) == image->device_features
               ? NULL : "other features of the device";
    case PART_DRV_FEATURES:
        if (p->len != 8) {
            return wrong_length;
        }
        image->driver_features = ldq_le_p(p->value);
        return NULL;
    case PART_PCI_COMMON_CFG:
        return take_common(image, p);
    case PART_DEVICE_STATUS:
        return take_bytes(p, &image->status, 1);
    case PART_VQ_CFG:
        return take_queue(image, p);
    case PART_VQ_NOTIFY_CFG:
        return take_notify(image, p);
    case PART_NET_CVQ_CFG:
        return take_control(image, p);
    default:
        return p->flags & FLAG_OPTIONAL ? NULL : "a part that is not known";
    }
}

const char *parts_decode(Image *image, const uint8_t *data, size_t len)
{
    const char *why = NULL;
    uint16_t before = 0;

    while (len && !why) {
        size_t size = parts_size(data, len);
        Part p;

        if (!size) {
            /* A driver pads its buffers to eight bytes. */
            return len < 8 && buffer_is_zero(data, len)
                   ? NULL : "a part that is cut off";
        }
        p = (Part) {
            lduw_le_p(data), data[2], ldq_le_p(data + 4), size - PART_HEADER,
            data + PART_HEADER,
        };
        if (p.type < before) {
            return "parts out of order";
        }
        before = p.type;
        why = take_part(image, &p);
        data += size;
        len -= size;
    }
    return why;
}
