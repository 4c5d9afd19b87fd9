/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a VF that migrates, whatever the protocol: read from the
 * device, checked against another, written to it.
 */
#ifndef PORTOLAN_IMAGE_H
#define PORTOLAN_IMAGE_H

#include "compat.h"
#include "net/eth.h"

#define IMAGE_QUEUES        128
#define IMAGE_CONFIG_MAX    64
#define IMAGE_RX_MODES      6
#define IMAGE_VLAN_BYTES    512         /* a bit for each VLAN id */
#define IMAGE_MACS          64          /* unicast and multicast together */
#define IMAGE_HEADS         1024

typedef struct QueueImage {
    uint16_t size;
    uint16_t vector;
    bool enabled;
    uint64_t desc, driver, device;
    /* Without run state the indexes are those in memory. */
    bool has_run_state;
    uint16_t avail_index, used_index;
    /* Heads taken and not given back; the target does them. */
    uint16_t *in_flight;
    uint16_t in_flight_count;
    /* Heads done that the target has to give back. */
    uint16_t *completed;
    uint16_t completed_count;
} QueueImage;

typedef struct NetImage {
    uint8_t rx_modes[IMAGE_RX_MODES];   /* by control command, from 0 */
    uint8_t mac[ETH_ALEN];
    uint8_t vlans[IMAGE_VLAN_BYTES];
    uint16_t pairs;
    uint32_t unicast, multicast;        /* addresses in macs, in this order */
    uint8_t macs[IMAGE_MACS * ETH_ALEN];
} NetImage;

struct Image {
    uint64_t device_features, driver_features;
    uint32_t device_feature_select, driver_feature_select;
    uint16_t config_vector;
    uint16_t queues;
    uint16_t queue_select;
    uint8_t status;
    uint8_t config[IMAGE_CONFIG_MAX];
    unsigned config_len;
    QueueImage queue[IMAGE_QUEUES];
    bool is_net;
    NetImage net;
};

typedef struct Image Image;

/* The caller frees it. */
Image *image_capture(PCIDevice *vf);
void image_free(Image *image);

/* Why IMAGE does not fit VF, or NULL if it does. */
const char *image_misfit(PCIDevice *vf, const Image *image);

/*
 * Why the rings of IMAGE cannot be taken up, or NULL.  VF reaches memory; the
 * indexes without a run state are filled in.
 */
const char *image_read_rings(PCIDevice *vf, Image *image);

/* Replaces the state of VF, which is halted, by IMAGE, which fits. */
void image_apply(PCIDevice *vf, const Image *image);

#endif
