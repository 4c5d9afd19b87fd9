/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands behind a function: its image, network, character device...
 */
#include "backend.h"
#include "compat.h"
#include "qapi/error.h"
#include "block/block.h"
#include "chardev/char-fe.h"
#include "hw/qdev-properties.h"
#include "hw/scsi/scsi.h"
#include "hw/virtio/virtio-blk.h"
#include "hw/virtio/virtio-net.h"
#include "hw/virtio/virtio-rng.h"

static PFState *pf_state_of_function(PCIDevice *d)
{
    return pf_state(pci_is_vf(d) ? pf_of(d) : d);
}

/* The virtio device of a function that is not realized yet. */
static Object *unrealized_virtio(PCIDevice *d)
{
    return object_resolve_path_component(OBJECT(d), "virtio-backend");
}

/* Network */

/* A VF keeps its address when it is disabled and enabled again. */
static void set_vf_mac(PCIDevice *vf)
{
    const uint8_t *pf_mac = VIRTIO_NET(virtio_of(pf_of(vf)))->mac;
    g_autofree char *mac =
        g_strdup_printf("06:54:%02x:%02x:%02x:%02x", pf_mac[3], pf_mac[4],
                        pf_mac[5],
                        pf_state(pf_of(vf))->vf_one_mac ? 1 : vf_number(vf));

    object_property_set_str(OBJECT(vf), "mac", mac, &error_abort);
}

static ssize_t pass_on(NetClientState *nc, const uint8_t *frame, size_t size);

/*
 * The other end of a queue pair that has none.  What a device sends there goes
 * to the end of its first pair, if that has one; nothing comes back.
 */
typedef struct NullPeer {
    NetClientState nc;
    Notifier shutdown;
} NullPeer;

static NetClientInfo null_peer = {
    .type = NET_CLIENT_DRIVER_NONE,
    .size = sizeof(NullPeer),
    .receive = pass_on,
};

static ssize_t pass_on(NetClientState *nc, const uint8_t *frame, size_t size)
{
    NetClientState *first = qemu_get_subqueue(qemu_get_nic(nc->peer), 0);

    if (first->peer && first->peer->info != &null_peer) {
        qemu_send_packet(first, frame, size);
    }
    return size;
}

/* QEMU never gets to its end if a NIC's pairs have peers with two names. */
static void let_go(Notifier *shutdown, void *data)
{
    NetClientState *nc = &container_of(shutdown, NullPeer, shutdown)->nc;
    NICState *nic = nc->peer ? qemu_get_nic(nc->peer) : NULL;

    for (int i = 0; nic && i < nic->conf->peers.queues; i++) {
        NetClientState *own = qemu_get_subqueue(nic, i);

        if (own->peer) {
            own->peer->peer = NULL;
            own->peer = NULL;
        }
    }
}

static void add_null_peers(NICConf *conf, int pairs)
{
    for (int i = conf->peers.queues; i < pairs; i++) {
        NetClientState *nc = qemu_new_net_client(&null_peer, NULL,
                                                 "portolan-null", NULL);
        Notifier *shutdown = &DO_UPCAST(NullPeer, nc, nc)->shutdown;

        shutdown->notify = let_go;
        qemu_register_shutdown_notifier(shutdown);
        conf->peers.ncs[i] = nc;
        conf->peers.queues = i + 1;
    }
}

static bool net_attach(PCIDevice *d, const char *name, Error **errp)
{
    NICConf *conf = &VIRTIO_NET(unrealized_virtio(d))->nic_conf;

    if (*name && !object_property_set_str(OBJECT(d), "netdev", name, errp)) {
        return false;
    }
    if (pci_is_vf(d)) {
        set_vf_mac(d);
        add_null_peers(conf, pf_state(pf_of(d))->vf_queues);
        object_property_set_bool(OBJECT(d), "mq", conf->peers.queues > 1,
                                 &error_abort);
    } else {
        add_null_peers(conf, 1);
    }
    return true;
}

/* The NIC is gone by now, and has let go of its peers. */
static void net_release(PCIDevice *d, const char *name)
{
    NICPeers *peers = &VIRTIO_NET(virtio_of(d))->nic_conf.peers;

    for (int i = 0; i < peers->queues; i++) {
        if (peers->ncs[i]->info == &null_peer) {
            notifier_remove(&DO_UPCAST(NullPeer, nc, peers->ncs[i])->shutdown);
            qemu_del_net_client(peers->ncs[i]);
        }
    }
}

const BackendOps net_backend = {
    .attach = net_attach,
    .release = net_release,
};

/* Block */

static BlockDriverState *open_null_node(uint64_t size, Error **errp)
{
    QDict *options = qdict_new();

    qdict_put_str(options, "driver", "null-co");
    qdict_put_int(options, "size", size);
    qdict_put_bool(options, "read-zeroes", true);
    return bdrv_open(NULL, NULL, options, BDRV_O_RDWR, errp);
}

/* Sets DEV's drive.  A null node lives as long as the device that has it. */
static bool set_drive(DeviceState *dev, PCIDevice *function, const char *name,
                      Error **errp)
{
    BlockDriverState *null = NULL;
    bool done;

    if (blk_by_name(name)) {
        error_setg(errp, "'%s' is a -drive, which goes away with its VF: "
                   "name a node made with -blockdev instead", name);
        return false;
    }
    if (!*name) {
        null = open_null_node(pf_state_of_function(function)->null_size, errp);
        if (!null) {
            return false;
        }
        name = bdrv_get_node_name(null);
    }
    done = object_property_set_str(OBJECT(dev), "drive", name, errp);
    bdrv_unref(null);
    return done;
}

static bool blk_attach(PCIDevice *d, const char *name, Error **errp)
{
    g_autofree char *drive = object_property_get_str(OBJECT(d), "drive",
                                                     &error_abort);

    return *drive || set_drive(DEVICE(d), d, name, errp);
}

static void blk_release(PCIDevice *vf, const char *name)
{
    blk_remove_bs(VIRTIO_BLK(virtio_of(vf))->blk);
}

static void blk_backend_drain(PCIDevice *vf)
{
    blk_drain(VIRTIO_BLK(virtio_of(vf))->blk);
}

const BackendOps blk_backend = {
    .attach = blk_attach,
    .release = blk_release,
    .drain = blk_backend_drain,
};

/* Console: one port, on CHARDEV if there is one */

static BusState *child_bus(PCIDevice *d)
{
    return QLIST_FIRST(&DEVICE(virtio_of(d))->child_bus);
}

static DeviceState *console_populate(PCIDevice *d, const char *name,
                                     Error **errp)
{
    DeviceState *port = qdev_new("virtconsole");

    if (*name && !object_property_set_str(OBJECT(port), "chardev", name, errp)) {
        object_unref(OBJECT(port));
        return NULL;
    }
    return qdev_realize_and_unref(port, child_bus(d), errp) ? port : NULL;
}

static void console_release(PCIDevice *vf, const char *name)
{
    Chardev *chr = *name ? qemu_chr_find(name) : NULL;

    if (chr && chr->be) {
        qemu_chr_fe_deinit(chr->be, false);
    }
}

const BackendOps console_backend = {
    .populate = console_populate,
    .release = console_release,
};

/* SCSI: one disk, or a CD drive for a node whose name begins with "cd" */

static DeviceState *scsi_populate(PCIDevice *d, const char *name, Error **errp)
{
    DeviceState *disk = qdev_new(strncmp(name, "cd", 2) == 0 ? "scsi-cd" : "scsi-hd");

    if (!set_drive(disk, d, name, errp)) {
        object_unref(OBJECT(disk));
        return NULL;
    }
    return qdev_realize_and_unref(disk, child_bus(d), errp) ? disk : NULL;
}

static void scsi_release(PCIDevice *vf, const char *name)
{
    blk_remove_bs(SCSI_DEVICE(vf_state(vf)->child)->conf.blk);
}

static void scsi_backend_drain(PCIDevice *vf)
{
    SCSIDevice *disk = SCSI_DEVICE(vf_state(vf)->child);

    do {
        blk_drain(disk->conf.blk);      /* the end of one part begins the next */
    } while (!QTAILQ_EMPTY(&disk->requests));
}

const BackendOps scsi_backend = {
    .populate = scsi_populate,
    .release = scsi_release,
    .drain = scsi_backend_drain,
};

/* Entropy: QEMU's own generator unless an rng object is named */

static bool rng_attach(PCIDevice *d, const char *name, Error **errp)
{
    return !*name || object_property_set_str(OBJECT(d), "rng", name, errp);
}

/* QEMU takes buffers when entropy is there, and would look for some then. */
static void rng_forget(PCIDevice *vf)
{
    VirtIORNG *vrng = VIRTIO_RNG(virtio_of(vf));
    RngRequest *request, *next;

    QSIMPLEQ_FOREACH_SAFE(request, &vrng->rng->requests, next, next) {
        if (request->opaque == vrng) {
            QSIMPLEQ_REMOVE(&vrng->rng->requests, request, RngRequest, next);
            g_free(request->data);
            g_free(request);
        }
    }
}

const BackendOps rng_backend = { .attach = rng_attach, .forget = rng_forget };
