/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a VF that migrates.
 */
#include "admin.h"
#include "image.h"
#include "legacy.h"
#include "qemu/host-utils.h"
#include "hw/pci/msix.h"
#include "hw/virtio/virtio-net.h"
#include "hw/virtio/virtio-serial.h"

/* Capture */

static void capture_queue(PCIDevice *vf, unsigned n, QueueImage *q)
{
    VirtIODevice *vdev = virtio_of(vf);

    q->size = virtio_queue_get_num(vdev, n);
    q->vector = virtio_queue_vector(vdev, n);
    q->desc = virtio_queue_get_desc_addr(vdev, n);
    q->driver = virtio_queue_get_avail_addr(vdev, n);
    q->device = virtio_queue_get_used_addr(vdev, n);
    q->enabled = q->desc != 0;
    if (q->enabled) {
        q->has_run_state = true;
        q->avail_index = virtio_queue_get_last_avail_idx(vdev, n);
        q->used_index = q->avail_index;
    }
}

static void capture_net(PCIDevice *vf, NetImage *image)
{
    VirtIONet *net = VIRTIO_NET(virtio_of(vf));
    const uint8_t modes[IMAGE_RX_MODES] = {
        net->promisc, net->allmulti, net->alluni, net->nomulti, net->nouni,
        net->nobcast,
    };

    memcpy(image->rx_modes, modes, sizeof(modes));
    memcpy(image->mac, net->mac, ETH_ALEN);
    for (int i = 0; i < IMAGE_VLAN_BYTES / 4; i++) {
        stl_le_p(image->vlans + 4 * i, net->vlans[i]);
    }
    image->pairs = net->curr_queue_pairs;
    image->unicast = net->mac_table.first_multi;
    image->multicast = net->mac_table.in_use - net->mac_table.first_multi;
    memcpy(image->macs, net->mac_table.macs,
           net->mac_table.in_use * ETH_ALEN);
}

Image *image_capture(PCIDevice *vf)
{
    VirtIODevice *vdev = virtio_of(vf);
    VirtIOPCIProxy *proxy = VIRTIO_PCI(vf);
    Image *image = g_new0(Image, 1);

    image->device_features = vdev->host_features;
    image->driver_features = vdev->guest_features;
    image->device_feature_select = proxy->dfselect;
    image->driver_feature_select = proxy->gfselect;
    image->config_vector = vdev->config_vector;
    image->queues = MIN(virtio_get_num_queues(vdev), IMAGE_QUEUES);
    image->queue_select = vdev->queue_sel;
    image->status = vdev->status;
    image->config_len = MIN(vdev->config_len, IMAGE_CONFIG_MAX);
    for (unsigned i = 0; i < image->config_len; i++) {
        image->config[i] = virtio_config_modern_readb(vdev, i);
    }
    for (unsigned n = 0; n < image->queues; n++) {
        capture_queue(vf, n, &image->queue[n]);
    }
    image->is_net = family_of(vf)->virtio_id == VIRTIO_ID_NET;
    if (image->is_net) {
        capture_net(vf, &image->net);
    }
    return image;
}

void image_free(Image *image)
{
    if (!image) {
        return;
    }
    for (int n = 0; n < IMAGE_QUEUES; n++) {
        g_free(image->queue[n].in_flight);
        g_free(image->queue[n].completed);
    }
    g_free(image);
}

/* Does it fit? */

static bool vector_fits(PCIDevice *vf, uint16_t vector)
{
    return vector == VIRTIO_NO_VECTOR ||
           vector < msix_nr_vectors_allocated(vf);
}

#define CONTROL_QUEUE_SIZE 64

/* A net device has the queues that its driver's features ask for. */
static unsigned net_queues(PCIDevice *vf, uint64_t features)
{
    bool all = virtio_has_feature(features, VIRTIO_NET_F_MQ) ||
               virtio_has_feature(features, VIRTIO_NET_F_RSS);

    return 2 * (all ? VIRTIO_NET(virtio_of(vf))->max_queue_pairs : 1) + 1;
}

static unsigned expected_queues(PCIDevice *vf, const Image *image)
{
    return image->is_net ? net_queues(vf, image->driver_features)
           : MIN(virtio_get_num_queues(virtio_of(vf)), IMAGE_QUEUES);
}

static uint16_t largest_size(PCIDevice *vf, unsigned n, const Image *image)
{
    const virtio_net_conf *conf;

    if (!image->is_net) {
        return virtio_queue_get_max_num(virtio_of(vf), n);
    }
    conf = &VIRTIO_NET(virtio_of(vf))->net_conf;
    if (n + 1 == image->queues) {
        return CONTROL_QUEUE_SIZE;
    }
    return n % 2 ? conf->tx_queue_size : conf->rx_queue_size;
}

/* The layout of a legacy ring follows from its size, which is fixed. */
static bool size_fits(PCIDevice *vf, unsigned n, const Image *image)
{
    uint16_t size = image->queue[n].size;
    uint16_t max = largest_size(vf, n, image);

    return virtio_has_feature(image->driver_features, VIRTIO_F_VERSION_1)
           ? is_power_of_2(size) && size <= max : size == max;
}

/* Heads that are to be done again or given back. */
static const char *heads_misfit(PCIDevice *vf, const QueueImage *q)
{
    if (q->in_flight_count &&
        family_of(vf)->virtio_id != VIRTIO_ID_BLOCK) {
        return "requests in flight, of another type of device";
    }
    for (int i = 0; i < q->in_flight_count; i++) {
        if (q->in_flight[i] >= q->size) {
            return "the head of a request";
        }
    }
    for (int i = 0; i < q->completed_count; i++) {
        if (q->completed[i] >= q->size) {
            return "the head of a request";
        }
    }
    return NULL;
}

static const char *queue_misfit(PCIDevice *vf, unsigned n, const Image *image)
{
    const QueueImage *q = &image->queue[n];

    if (!vector_fits(vf, q->vector)) {
        return "vector of a queue";
    }
    if (q->enabled && (!q->desc || !q->driver || !q->device)) {
        return "address of a ring";
    }
    if (!size_fits(vf, n, image)) {
        return "size of a queue";
    }
    if (q->has_run_state &&
        (uint16_t)(q->avail_index - q->used_index) !=
        q->in_flight_count + q->completed_count) {
        return "run state of a queue";
    }
    return heads_misfit(vf, q);
}

/* What a driver may write; the rest has to be the same. */
static bool config_writable(PCIDevice *vf, unsigned offset)
{
    switch (family_of(vf)->virtio_id) {
    case VIRTIO_ID_NET:
        return offset < 8;          /* mac; status changes by itself */
    case VIRTIO_ID_BLOCK:
        return offset == 32;        /* writeback */
    case VIRTIO_ID_SCSI:
        return offset >= 20 && offset < 28; /* sense_size, cdb_size */
    case VIRTIO_ID_CONSOLE:
        return offset < 4 || offset >= 8;   /* its window, emerg_wr */
    default:
        return false;
    }
}

static const char *config_misfit(PCIDevice *vf, const Image *image)
{
    VirtIODevice *vdev = virtio_of(vf);

    if (image->config_len != MIN(vdev->config_len, IMAGE_CONFIG_MAX)) {
        return "length of the device configuration";
    }
    for (unsigned i = 0; i < image->config_len; i++) {
        if (!config_writable(vf, i) &&
            image->config[i] != virtio_config_modern_readb(vdev, i)) {
            return "device configuration";
        }
    }
    return NULL;
}

const char *image_misfit(PCIDevice *vf, const Image *image)
{
    VirtIODevice *vdev = virtio_of(vf);
    const char *why;

    if (image->driver_features & ~vdev->host_features) {
        return "driver features";
    }
    if (image->queues != expected_queues(vf, image)) {
        return "number of queues";
    }
    if (!vector_fits(vf, image->config_vector)) {
        return "configuration vector";
    }
    for (unsigned n = 0; n < image->queues; n++) {
        why = queue_misfit(vf, n, image);
        if (why) {
            return why;
        }
    }
    if (image->is_net &&
        (image->net.pairs < 1 ||
         image->net.pairs > VIRTIO_NET(vdev)->max_queue_pairs)) {
        return "queue pairs";
    }
    return config_misfit(vf, image);
}

/* Rings */

#define USED_INDEX 2

const char *image_read_rings(PCIDevice *vf, Image *image)
{
    for (unsigned n = 0; n < image->queues; n++) {
        QueueImage *q = &image->queue[n];
        uint8_t bytes[2];
        uint16_t used;

        if (!q->enabled) {
            continue;
        }
        if (address_space_read(virtio_of(vf)->dma_as, q->device + USED_INDEX,
                               MEMTXATTRS_UNSPECIFIED, bytes, sizeof(bytes))) {
            return "a ring that cannot be read";
        }
        used = lduw_le_p(bytes);
        if (!q->has_run_state) {
            /* All that was taken has been given back. */
            q->avail_index = q->used_index = used;
        } else if (q->used_index != used) {
            return "a used index that is not the one in memory";
        }
    }
    return NULL;
}

/* Apply */

/* A control command as the driver would send it. */
static void control(VirtIODevice *vdev, uint8_t class, uint8_t command,
                    const void *data, size_t len)
{
    uint8_t header[2] = { class, command };
    uint8_t answer;
    struct iovec out[2] = { { header, 2 }, { (void *)data, len } };
    struct iovec in = { &answer, 1 };

    virtio_net_handle_ctrl_iov(vdev, &in, 1, out, 2);
}

static void apply_macs(VirtIODevice *vdev, const NetImage *net)
{
    uint8_t table[4 + IMAGE_MACS * ETH_ALEN + 4];
    size_t unicast = net->unicast * ETH_ALEN;
    size_t multicast = net->multicast * ETH_ALEN;

    stl_le_p(table, net->unicast);
    memcpy(table + 4, net->macs, unicast);
    stl_le_p(table + 4 + unicast, net->multicast);
    memcpy(table + 8 + unicast, net->macs + unicast, multicast);
    control(vdev, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table,
            8 + unicast + multicast);
}

static void apply_net(PCIDevice *vf, const NetImage *image)
{
    VirtIODevice *vdev = virtio_of(vf);
    VirtIONet *net = VIRTIO_NET(vdev);
    uint8_t pairs[2];

    for (int i = 0; i < IMAGE_RX_MODES; i++) {
        control(vdev, VIRTIO_NET_CTRL_RX, i, &image->rx_modes[i], 1);
    }
    apply_macs(vdev, image);
    control(vdev, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET,
            image->mac, ETH_ALEN);
    for (int i = 0; i < IMAGE_VLAN_BYTES / 4; i++) {
        net->vlans[i] = ldl_le_p(image->vlans + 4 * i);
    }
    if (net->multiqueue) {
        stw_le_p(pairs, image->pairs);
        control(vdev, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
                pairs, 2);
    }
}

static uint16_t use_vector(PCIDevice *vf, uint16_t vector)
{
    if (vector != VIRTIO_NO_VECTOR) {
        msix_vector_use(vf, vector);
    }
    return vector;
}

static void apply_queue(PCIDevice *vf, unsigned n, const QueueImage *q)
{
    VirtIODevice *vdev = virtio_of(vf);
    VirtIOPCIQueue *modern = &VIRTIO_PCI(vf)->vqs[n];

    virtio_queue_set_vector(vdev, n, use_vector(vf, q->vector));
    if (!q->enabled) {
        return;
    }
    virtio_queue_set_num(vdev, n, q->size);
    virtio_queue_set_rings(vdev, n, q->desc, q->driver, q->device);
    virtio_queue_set_last_avail_idx(vdev, n, q->avail_index);
    virtio_queue_update_used_idx(vdev, n);
    virtio_queue_invalidate_signalled_used(vdev, n);
    tap_queue_set_up(vf, n);

    modern->num = q->size;
    modern->enabled = virtio_vdev_has_feature(vdev, VIRTIO_F_VERSION_1);
    modern->desc[0] = q->desc;
    modern->desc[1] = q->desc >> 32;
    modern->avail[0] = q->driver;
    modern->avail[1] = q->driver >> 32;
    modern->used[0] = q->device;
    modern->used[1] = q->device >> 32;
}

/* The ports of a console whose driver is there count as open. */
static void apply_console(PCIDevice *vf)
{
    DeviceState *port = vf_state(vf)->child;

    if (port && virtio_of(vf)->status & VIRTIO_CONFIG_S_DRIVER_OK) {
        VIRTIO_SERIAL_PORT(port)->guest_connected = true;
    }
}

static void apply_config(PCIDevice *vf, const Image *image)
{
    VirtIODevice *vdev = virtio_of(vf);
    VirtioDeviceClass *class = VIRTIO_DEVICE_GET_CLASS(vdev);

    if (class->set_config && !image->is_net) {
        memcpy(vdev->config, image->config, image->config_len);
        class->set_config(vdev, vdev->config);
    }
}

void image_apply(PCIDevice *vf, const Image *image)
{
    VirtIODevice *vdev = virtio_of(vf);
    VirtIOPCIProxy *proxy = VIRTIO_PCI(vf);

    legacy_reset(vf);
    tap_queue_changed(vf);
    vdev->config_vector = use_vector(vf, image->config_vector);
    proxy->dfselect = image->device_feature_select;
    proxy->gfselect = image->driver_feature_select;
    proxy->guest_features[0] = image->driver_features;
    proxy->guest_features[1] = image->driver_features >> 32;
    virtio_set_features(vdev, image->driver_features);
    apply_config(vf, image);
    for (unsigned n = 0; n < image->queues; n++) {
        apply_queue(vf, n, &image->queue[n]);
    }
    vdev->queue_sel = image->queue_select;
    virtio_set_status(vdev, image->status);
    if (image->is_net) {
        apply_net(vf, &image->net);
    }
    if (family_of(vf)->virtio_id == VIRTIO_ID_CONSOLE) {
        apply_console(vf);
    }
}
