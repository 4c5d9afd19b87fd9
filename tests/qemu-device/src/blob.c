/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a VF as the 2021 protocol has it.
 */
#include "device.h"
#include "blob.h"

enum {
    FIELD_COMMON_CFG = 0,
    FIELD_DEV_CFG = 1,
    FIELD_QUEUE_CFG = 2,
    /* optional from here on */
    FIELD_RUN_STATE = 3,
    FIELD_NET_RX_MODE = 4,
    FIELD_NET_VLAN = 5,
    FIELD_NET_UNICAST = 6,
    FIELD_NET_MULTICAST = 7,
    FIELD_IN_FLIGHT = 8,
    FIELD_COMPLETED = 9,
    FIELD_SUBVENDOR = 10,   /* of a net VF: queue pairs in use */
};

#define COUNT_SIZE      4
#define HEADER_SIZE     8

typedef struct QEMU_PACKED CommonField {
    uint32_t device_feature_select;
    uint64_t device_features;
    uint32_t driver_feature_select;
    uint64_t driver_features;
    uint16_t config_vector;
    uint16_t queues;
    uint16_t queue_select;
    uint8_t status;
    uint8_t generation;
} CommonField;

typedef struct QEMU_PACKED QueueField {
    uint16_t index;
    uint16_t size;
    uint16_t vector;
    uint16_t enabled;
    uint16_t notify_off;
    uint64_t desc;
    uint64_t driver;
    uint64_t device;
    uint16_t notify_data;
    uint16_t reset;
} QueueField;

typedef struct QEMU_PACKED RunField {
    uint16_t index;
    uint16_t avail_index;
    uint16_t used_index;
} RunField;

typedef struct QEMU_PACKED HeadsField {
    uint16_t index;
    uint16_t count;
    uint16_t heads[];
} HeadsField;

/* Encoding */

typedef struct Encoder {
    GByteArray *to;
    uint32_t count;
} Encoder;

static void add_field(Encoder *e, uint32_t type, const void *value,
                      uint32_t len)
{
    uint8_t header[HEADER_SIZE];

    stl_le_p(header, type);
    stl_le_p(header + 4, len);
    g_byte_array_append(e->to, header, sizeof(header));
    g_byte_array_append(e->to, value, len);
    e->count++;
}

static void add_common(Encoder *e, const Image *image)
{
    CommonField f = {
        .device_feature_select = cpu_to_le32(image->device_feature_select),
        .device_features = cpu_to_le64(image->device_features),
        .driver_feature_select = cpu_to_le32(image->driver_feature_select),
        .driver_features = cpu_to_le64(image->driver_features),
        .config_vector = cpu_to_le16(image->config_vector),
        .queues = cpu_to_le16(image->queues),
        .queue_select = cpu_to_le16(image->queue_select),
        .status = image->status,
    };

    add_field(e, FIELD_COMMON_CFG, &f, sizeof(f));
    add_field(e, FIELD_DEV_CFG, image->config, image->config_len);
}

static void add_queue(Encoder *e, unsigned n, const QueueImage *q)
{
    QueueField f = {
        .index = cpu_to_le16(n), .size = cpu_to_le16(q->size),
        .vector = cpu_to_le16(q->vector), .enabled = cpu_to_le16(q->enabled),
        .notify_off = cpu_to_le16(n), .desc = cpu_to_le64(q->desc),
        .driver = cpu_to_le64(q->driver), .device = cpu_to_le64(q->device),
    };
    RunField run = {
        .index = cpu_to_le16(n), .avail_index = cpu_to_le16(q->avail_index),
        .used_index = cpu_to_le16(q->used_index),
    };

    add_field(e, FIELD_QUEUE_CFG, &f, sizeof(f));
    if (q->has_run_state) {
        add_field(e, FIELD_RUN_STATE, &run, sizeof(run));
    }
}

static void add_heads(Encoder *e, uint32_t type, unsigned n,
                      const uint16_t *heads, uint16_t count)
{
    g_autofree HeadsField *f = g_malloc(sizeof(*f) + 2 * IMAGE_HEADS);

    if (!count) {
        return;
    }
    f->index = cpu_to_le16(n);
    f->count = cpu_to_le16(count);
    for (int i = 0; i < count; i++) {
        f->heads[i] = cpu_to_le16(heads[i]);
    }
    add_field(e, type, f, sizeof(*f) + 2 * count);
}

static void add_net(Encoder *e, const NetImage *net)
{
    uint16_t pairs = cpu_to_le16(net->pairs);
    size_t unicast = net->unicast * ETH_ALEN;

    add_field(e, FIELD_NET_RX_MODE, net->rx_modes, IMAGE_RX_MODES);
    add_field(e, FIELD_NET_VLAN, net->vlans, IMAGE_VLAN_BYTES);
    add_field(e, FIELD_NET_UNICAST, net->macs, unicast);
    add_field(e, FIELD_NET_MULTICAST, net->macs + unicast,
              net->multicast * ETH_ALEN);
    add_field(e, FIELD_SUBVENDOR, &pairs, sizeof(pairs));
}

GByteArray *blob_encode(const Image *image)
{
    Encoder e = { g_byte_array_new() };

    g_byte_array_set_size(e.to, COUNT_SIZE);
    add_common(&e, image);
    for (unsigned n = 0; n < image->queues; n++) {
        const QueueImage *q = &image->queue[n];

        add_queue(&e, n, q);
        add_heads(&e, FIELD_IN_FLIGHT, n, q->in_flight, q->in_flight_count);
        add_heads(&e, FIELD_COMPLETED, n, q->completed, q->completed_count);
    }
    if (image->is_net) {
        add_net(&e, &image->net);
    }
    stl_le_p(e.to->data, e.count);
    return e.to;
}

/* Decoding */

typedef struct Decoder {
    Image *image;
    bool common, config;
    bool queue[IMAGE_QUEUES], run[IMAGE_QUEUES];
    uint32_t optional;          /* fields seen that come once */
} Decoder;

typedef struct BlobField {
    uint32_t type;
    uint32_t len;
    const uint8_t *value;
} BlobField;

static const char *const wrong_length = "the length of a field";
static const char *const twice = "a field that is there twice";
static const char *const no_queue = "a queue that is not there";

size_t blob_length(const uint8_t *data, size_t len)
{
    size_t at = COUNT_SIZE;
    uint32_t count;

    if (len < COUNT_SIZE) {
        return 0;
    }
    for (count = ldl_le_p(data); count; count--) {
        if (len - at < HEADER_SIZE ||
            ldl_le_p(data + at + 4) > len - at - HEADER_SIZE) {
            return 0;
        }
        at += HEADER_SIZE + ldl_le_p(data + at + 4);
    }
    return at;
}

static const char *take_common(Decoder *d, const BlobField *f)
{
    const CommonField *c = (const CommonField *)f->value;

    if (f->len != sizeof(*c)) {
        return wrong_length;
    }
    if (d->common) {
        return twice;
    }
    if (le16_to_cpu(c->queues) > IMAGE_QUEUES) {
        return "the number of queues";
    }
    d->common = true;
    d->image->queues = le16_to_cpu(c->queues);
    d->image->device_feature_select = le32_to_cpu(c->device_feature_select);
    d->image->driver_feature_select = le32_to_cpu(c->driver_feature_select);
    d->image->driver_features = le64_to_cpu(c->driver_features);
    d->image->config_vector = le16_to_cpu(c->config_vector);
    d->image->queue_select = le16_to_cpu(c->queue_select);
    d->image->status = c->status;
    return NULL;
}

static const char *take_config(Decoder *d, const BlobField *f)
{
    if (f->len != d->image->config_len) {
        return wrong_length;
    }
    if (d->config) {
        return twice;
    }
    d->config = true;
    memcpy(d->image->config, f->value, f->len);
    if (d->image->is_net) {
        memcpy(d->image->net.mac, f->value, ETH_ALEN);
    }
    return NULL;
}

static const char *take_queue(Decoder *d, const BlobField *f)
{
    const QueueField *c = (const QueueField *)f->value;
    QueueImage *q;
    uint16_t n;

    if (f->len != sizeof(*c)) {
        return wrong_length;
    }
    n = le16_to_cpu(c->index);
    if (n >= d->image->queues) {
        return no_queue;
    }
    if (d->queue[n]) {
        return twice;
    }
    d->queue[n] = true;
    q = &d->image->queue[n];
    q->size = le16_to_cpu(c->size);
    q->vector = le16_to_cpu(c->vector);
    q->enabled = c->enabled;
    q->desc = le64_to_cpu(c->desc);
    q->driver = le64_to_cpu(c->driver);
    q->device = le64_to_cpu(c->device);
    return NULL;
}

static const char *take_run_state(Decoder *d, const BlobField *f)
{
    const RunField *r = (const RunField *)f->value;
    QueueImage *q;
    uint16_t n;

    if (f->len != sizeof(*r)) {
        return wrong_length;
    }
    n = le16_to_cpu(r->index);
    if (n >= d->image->queues) {
        return no_queue;
    }
    if (d->run[n]) {
        return twice;
    }
    d->run[n] = true;
    q = &d->image->queue[n];
    q->has_run_state = true;
    q->avail_index = le16_to_cpu(r->avail_index);
    q->used_index = le16_to_cpu(r->used_index);
    return NULL;
}

static const char *take_heads(Decoder *d, const BlobField *f)
{
    const HeadsField *h = (const HeadsField *)f->value;
    bool in_flight = f->type == FIELD_IN_FLIGHT;
    QueueImage *q;
    uint16_t count, *heads;

    if (f->len < sizeof(*h)) {
        return wrong_length;
    }
    count = le16_to_cpu(h->count);
    if (count > IMAGE_HEADS || f->len != sizeof(*h) + 2 * count) {
        return wrong_length;
    }
    if (le16_to_cpu(h->index) >= d->image->queues) {
        return no_queue;
    }
    q = &d->image->queue[le16_to_cpu(h->index)];
    if (in_flight ? q->in_flight : q->completed) {
        return twice;
    }
    heads = g_new(uint16_t, MAX(count, 1));
    for (int i = 0; i < count; i++) {
        heads[i] = le16_to_cpu(h->heads[i]);
    }
    *(in_flight ? &q->in_flight : &q->completed) = heads;
    *(in_flight ? &q->in_flight_count : &q->completed_count) = count;
    return NULL;
}

/* Unicast addresses come before multicast ones. */
static const char *take_macs(NetImage *net, const BlobField *f)
{
    bool first = f->type == FIELD_NET_UNICAST;
    uint32_t before = first ? 0 : net->unicast;
    uint32_t count = f->len / ETH_ALEN;

    if (f->len % ETH_ALEN || before + count > IMAGE_MACS) {
        return wrong_length;
    }
    memcpy(net->macs + before * ETH_ALEN, f->value, f->len);
    *(first ? &net->unicast : &net->multicast) = count;
    return NULL;
}

static const char *take_net(Decoder *d, const BlobField *f)
{
    NetImage *net = &d->image->net;

    if (!d->image->is_net) {
        return NULL;        /* optional, and of no use here */
    }
    switch (f->type) {
    case FIELD_NET_RX_MODE:
        if (f->len != IMAGE_RX_MODES) {
            return wrong_length;
        }
        memcpy(net->rx_modes, f->value, f->len);
        return NULL;
    case FIELD_NET_VLAN:
        if (f->len != IMAGE_VLAN_BYTES) {
            return wrong_length;
        }
        memcpy(net->vlans, f->value, f->len);
        return NULL;
    case FIELD_SUBVENDOR:
        if (f->len != 2) {
            return wrong_length;
        }
        net->pairs = lduw_le_p(f->value);
        return NULL;
    default:
        return take_macs(net, f);
    }
}

static const char *take_field(Decoder *d, const BlobField *f)
{
    if (!d->common && f->type != FIELD_COMMON_CFG) {
        return "a field before the common configuration";
    }
    switch (f->type) {
    case FIELD_COMMON_CFG:
        return take_common(d, f);
    case FIELD_DEV_CFG:
        return take_config(d, f);
    case FIELD_QUEUE_CFG:
        return take_queue(d, f);
    case FIELD_RUN_STATE:
        return take_run_state(d, f);
    case FIELD_IN_FLIGHT:
    case FIELD_COMPLETED:
        return take_heads(d, f);
    case FIELD_NET_RX_MODE ... FIELD_NET_MULTICAST:
    case FIELD_SUBVENDOR:
        if (d->optional & 1U << f->type) {
            return twice;
        }
        d->optional |= 1U << f->type;
        return take_net(d, f);
    default:
        return NULL;            /* optional */
    }
}

static const char *check_whole(const Decoder *d)
{
    if (!d->common || !d->config) {
        return "a field that is missing";
    }
    for (unsigned n = 0; n < d->image->queues; n++) {
        const QueueImage *q = &d->image->queue[n];

        if (!d->queue[n]) {
            return "a field that is missing";
        }
        if (!q->has_run_state && (q->in_flight_count || q->completed_count)) {
            return "requests in flight without a run state";
        }
    }
    return NULL;
}

/* What the blob says nothing of is as after a reset. */
static Image *blank_image(PCIDevice *vf)
{
    Image *image = image_capture(vf);

    for (unsigned n = 0; n < image->queues; n++) {
        image->queue[n].has_run_state = false;
    }
    memset(&image->net, 0, sizeof(image->net));
    image->net.rx_modes[0] = 1;
    image->net.pairs = 1;
    return image;
}

Image *blob_decode(PCIDevice *vf, const uint8_t *data, const char **why)
{
    Decoder d = { .image = blank_image(vf) };
    size_t at = COUNT_SIZE;

    *why = NULL;
    for (uint32_t count = ldl_le_p(data); count && !*why; count--) {
        BlobField f = {
            ldl_le_p(data + at), ldl_le_p(data + at + 4),
            data + at + HEADER_SIZE,
        };

        *why = take_field(&d, &f);
        at += HEADER_SIZE + f.len;
    }
    *why = *why ? *why : check_whole(&d);
    *why = *why ? *why : image_misfit(vf, d.image);
    if (*why) {
        image_free(d.image);
        return NULL;
    }
    return d.image;
}
