/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The administration virtqueue of a PF: virtio 1.3, the list commands and
 * the legacy commands of the SR-IOV group.
 */
#include "legacy.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"

#define F_SR_IOV        37
#define F_ADMIN_VQ      41

#define ADMIN_QUEUE_SIZE 64

enum {
    GROUP_SELF = 0,
    GROUP_SRIOV = 1,
};

enum {
    STATUS_OK = 0,
    STATUS_EINVAL = 22,
};

enum {
    Q_INVALID_OPCODE = 2,
    Q_INVALID_FIELD = 3,
    Q_INVALID_GROUP = 4,
    Q_INVALID_MEMBER = 5,
};

enum {
    OP_LIST_QUERY = 0,
    OP_LIST_USE = 1,
    OP_LEGACY_COMMON_WRITE = 2,
    OP_LEGACY_COMMON_READ = 3,
    OP_LEGACY_DEV_WRITE = 4,
    OP_LEGACY_DEV_READ = 5,
    OP_LEGACY_NOTIFY_INFO = 6,
};

typedef struct QEMU_PACKED CommandHeader {
    uint16_t opcode;
    uint16_t group;
    uint8_t reserved[12];
    uint64_t member;
} CommandHeader;

typedef struct QEMU_PACKED CommandStatus {
    uint16_t status;
    uint16_t qualifier;
    uint8_t reserved[4];
} CommandStatus;

/* More of the data or of the result than this is not looked at. */
#define PAYLOAD_MAX 256

typedef struct Command {
    PCIDevice *pf;
    PCIDevice *vf;              /* the member, for the legacy commands */
    uint16_t opcode;
    uint16_t group;
    uint64_t member;
    uint8_t data[PAYLOAD_MAX];  /* what the driver left out reads as zero */
    size_t data_len;
    uint8_t result[PAYLOAD_MAX];
    size_t room;                /* for the result */
    size_t result_len;
    uint16_t status;
    uint16_t qualifier;
} Command;

static void fail(Command *c, uint16_t qualifier)
{
    c->status = STATUS_EINVAL;
    c->qualifier = qualifier;
}

/* A result that does not fit is cut off. */
static void set_result_len(Command *c, size_t len)
{
    c->result_len = MIN(len, c->room);
}

static uint64_t supported(uint16_t group)
{
    return group == GROUP_SELF ? 0x3 : 0x7f;
}

static void list_query(Command *c)
{
    stq_le_p(c->result, supported(c->group));
    set_result_len(c, 8);
}

static void list_use(Command *c)
{
    uint64_t list = ldq_le_p(c->data);

    if (list & ~supported(c->group) ||
        !buffer_is_zero(c->data + 8, sizeof(c->data) - 8)) {
        fail(c, Q_INVALID_FIELD);
        return;
    }
    pf_state(c->pf)->admin.used[c->group] = list;
}

/*
 * How many bytes a command of LEN data bytes at OFFSET means, or 0 if they
 * are not in one field.  A driver has to pad its buffers to 8 bytes, so that
 * many can stand for anything shorter: they mean the rest of the element.
 */
static unsigned access_size(const Field *field, unsigned offset, size_t len)
{
    unsigned inside;

    if (!field || !len) {
        return 0;
    }
    inside = offset - field->offset;
    if (len % 8 == 0) {
        return field->unit - inside % field->unit;
    }
    return inside + len <= field->size ? len : 0;
}

#define WRITE_DATA 8        /* behind the offset and its padding */

static void legacy_access(Command *c)
{
    bool config = c->opcode >= OP_LEGACY_DEV_WRITE;
    bool write = c->opcode == OP_LEGACY_COMMON_WRITE ||
                 c->opcode == OP_LEGACY_DEV_WRITE;
    unsigned offset = c->data[0];
    const Field *field = legacy_field(c->vf, config, offset);
    size_t len = !write ? c->room
                 : c->data_len > WRITE_DATA ? c->data_len - WRITE_DATA : 0;
    unsigned n = access_size(field, offset, len);

    if (!n) {
        fail(c, Q_INVALID_FIELD);
    } else if (write) {
        legacy_write_bytes(c->vf, config, field, offset, c->data + WRITE_DATA,
                           n);
    } else {
        legacy_read_bytes(c->vf, config, field, offset, c->result, n);
        set_result_len(c, n);
    }
}

#define NOTIFY_INFO_MEMBER  2
#define NOTIFY_INFO_SIZE    64

/* One entry, the doorbell in the VF's own BAR; the others end the list. */
static void notify_info(Command *c)
{
    c->result[0] = NOTIFY_INFO_MEMBER;
    c->result[1] = VF_BAR_MODERN;
    stq_le_p(c->result + 8, VF_DOORBELL_OFFSET);
    set_result_len(c, NOTIFY_INFO_SIZE);
}

static void (*const commands[])(Command *) = {
    [OP_LIST_QUERY] = list_query,
    [OP_LIST_USE] = list_use,
    [OP_LEGACY_COMMON_WRITE] = legacy_access,
    [OP_LEGACY_COMMON_READ] = legacy_access,
    [OP_LEGACY_DEV_WRITE] = legacy_access,
    [OP_LEGACY_DEV_READ] = legacy_access,
    [OP_LEGACY_NOTIFY_INFO] = notify_info,
};

/* The SR-IOV group exists while VF Enable is set. */
static bool group_exists(PCIDevice *pf, uint16_t group)
{
    uint8_t *sriov = pf->config + pf->exp.sriov_cap;

    return group == GROUP_SELF ||
           (group == GROUP_SRIOV &&
            pci_get_word(sriov + PCI_SRIOV_CTRL) & PCI_SRIOV_CTRL_VFE);
}

static bool opcode_allowed(const Command *c)
{
    uint64_t list = pf_state(c->pf)->admin.used[c->group];

    if (c->opcode >= ARRAY_SIZE(commands)) {
        return false;
    }
    list |= 1 << OP_LIST_QUERY | 1 << OP_LIST_USE;
    return list & supported(c->group) & 1ULL << c->opcode;
}

/* The order is that of virtio 1.3: group, opcode, member. */
static bool validate(Command *c)
{
    if (!group_exists(c->pf, c->group)) {
        fail(c, Q_INVALID_GROUP);
        return false;
    }
    if (!opcode_allowed(c)) {
        fail(c, Q_INVALID_OPCODE);
        return false;
    }
    if (c->opcode <= OP_LIST_USE) {
        return true;        /* about the group, not about a member */
    }
    if (c->member == 0 || c->member > pcie_sriov_num_vfs(c->pf)) {
        fail(c, Q_INVALID_MEMBER);
        return false;
    }
    c->vf = pcie_sriov_get_vf_at_index(c->pf, c->member - 1);
    return true;
}

/* Does the injected fault hit this command?  It counts down if so. */
static bool fault_hits(Faults *f, const Command *c)
{
    if (!f->admin_count ||
        (f->admin_opcode != FAULT_ANY_OPCODE && f->admin_opcode != c->opcode) ||
        (f->vf && f->vf != c->member)) {
        return false;
    }
    if (f->admin_count != UINT32_MAX) {
        f->admin_count--;
    }
    return true;
}

static void read_command(Command *c, VirtQueueElement *e)
{
    CommandHeader h = { 0 };
    size_t room = iov_size(e->in_sg, e->in_num);

    iov_to_buf(e->out_sg, e->out_num, 0, &h, sizeof(h));
    c->opcode = le16_to_cpu(h.opcode);
    c->group = le16_to_cpu(h.group);
    c->member = le64_to_cpu(h.member);
    c->data_len = iov_to_buf(e->out_sg, e->out_num, sizeof(h), c->data,
                             sizeof(c->data));
    room -= MIN(room, sizeof(CommandStatus));
    c->room = MIN(room, sizeof(c->result));
}

static void complete(VirtIODevice *vdev, VirtQueue *vq, VirtQueueElement *e,
                     const Command *c)
{
    CommandStatus st = {
        .status = cpu_to_le16(c->status),
        .qualifier = cpu_to_le16(c->qualifier),
    };
    size_t n = iov_from_buf(e->in_sg, e->in_num, 0, &st, sizeof(st));

    n += iov_from_buf(e->in_sg, e->in_num, sizeof(st), c->result,
                      c->result_len);
    virtqueue_push(vq, e, n);
    virtio_notify(vdev, vq);
}

static void handle_command(PCIDevice *pf, VirtQueue *vq, VirtQueueElement *e)
{
    PFState *s = pf_state(pf);
    Command c = { .pf = pf };

    read_command(&c, e);
    s->admin_commands++;
    if (fault_hits(&s->faults, &c)) {
        if (s->faults.admin_hang) {
            virtqueue_detach_element(vq, e, 0);
            return;
        }
        c.status = s->faults.admin_status;
        c.qualifier = s->faults.admin_qualifier;
    } else if (validate(&c)) {
        commands[c.opcode](&c);
    }
    complete(virtio_of(pf), vq, e, &c);
}

static void handle_queue(VirtIODevice *vdev, VirtQueue *vq)
{
    PCIDevice *pf = PCI_DEVICE(DEVICE(vdev)->parent_bus->parent);
    VirtQueueElement *e;

    if (!virtio_vdev_has_feature(vdev, F_ADMIN_VQ)) {
        virtio_error(vdev, "administration queue used without ADMIN_VQ");
        return;
    }
    while ((e = virtqueue_pop(vq, sizeof(*e)))) {
        if (!e->out_num || !e->in_num) {
            virtio_error(vdev, "administration command without a readable or "
                         "without a writable part");
            virtqueue_detach_element(vq, e, 0);
        } else {
            handle_command(pf, vq, e);
        }
        g_free(e);
    }
}

static void handle_nothing(VirtIODevice *vdev, VirtQueue *vq)
{
}

/*
 * QEMU counts a device's queues up to the first free place, and its net
 * device takes them to be its own.  A free place before the administration
 * queue keeps it out of that count, as num_queues has to.
 */
void admin_init(PCIDevice *pf)
{
    Admin *a = &pf_state(pf)->admin;
    VirtIODevice *vdev = virtio_of(pf);
    VirtQueue *gap = virtio_add_queue(vdev, ADMIN_QUEUE_SIZE, handle_nothing);

    a->index = virtio_get_queue_index(virtio_add_queue(vdev, ADMIN_QUEUE_SIZE,
                                                       handle_queue));
    virtio_delete_queue(gap);
    virtio_add_feature(&vdev->host_features, F_SR_IOV);
    virtio_add_feature(&vdev->host_features, F_ADMIN_VQ);
}

void admin_reset(PCIDevice *pf)
{
    memset(pf_state(pf)->admin.used, 0, sizeof(pf_state(pf)->admin.used));
}
