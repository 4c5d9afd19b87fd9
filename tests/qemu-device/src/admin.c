/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The administration virtqueue of a PF as virtio 1.4 has it: framing, the
 * table of commands, what they have in common.
 */
#include "admin.h"
#include "faults.h"
#include "protocol_2021.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"

#define F_SR_IOV        37
#define F_ADMIN_VQ      41

#define ADMIN_QUEUE_SIZE 64

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

static void list_query(Command *c);
static void list_use(Command *c);

#define SELF    (1 << GROUP_SELF)
#define SRIOV   (1 << GROUP_SRIOV)

typedef struct Operation {
    void (*run)(Command *c);
    uint8_t groups;         /* that have it */
    bool migration;         /* only with migration=1.4 */
    bool of_group;          /* about the group, not about a member */
    bool needs_life;        /* a VF that is gone from the bus cannot */
} Operation;

static const Operation operations[] = {
    [OP_LIST_QUERY] = { list_query, SELF | SRIOV, .of_group = true },
    [OP_LIST_USE] = { list_use, SELF | SRIOV, .of_group = true },
    [OP_LEGACY_COMMON_WRITE] = { legacy_access, SRIOV },
    [OP_LEGACY_COMMON_READ] = { legacy_access, SRIOV },
    [OP_LEGACY_DEV_WRITE] = { legacy_access, SRIOV },
    [OP_LEGACY_DEV_READ] = { legacy_access, SRIOV },
    [OP_LEGACY_NOTIFY_INFO] = { legacy_notify_info, SRIOV },
    [OP_CAP_ID_LIST_QUERY] = { capability_list, SELF, true, true },
    [OP_DEVICE_CAP_GET] = { capability_get, SELF, true, true },
    [OP_DRIVER_CAP_SET] = { capability_set, SELF, true, true },
    [OP_RESOURCE_CREATE] = { resource_create, SRIOV, true },
    [OP_RESOURCE_MODIFY] = { resource_modify, SRIOV, true },
    [OP_RESOURCE_QUERY] = { resource_query, SRIOV, true },
    [OP_RESOURCE_DESTROY] = { resource_destroy, SRIOV, true },
    [OP_PARTS_METADATA_GET] = { parts_metadata_get, SRIOV, true, false, true },
    [OP_PARTS_GET] = { parts_get, SRIOV, true, false, true },
    [OP_PARTS_SET] = { parts_set, SRIOV, true, false, true },
    [OP_MODE_SET] = { mode_set, SRIOV, true, false, true },
};

void admin_set_result(Command *c, const void *result, size_t len)
{
    c->result_len = MIN(len, c->room);
    memcpy(c->result, result, c->result_len);
}

void admin_fail_gone(Command *c)
{
    if (c->is_old) {
        old_fail(c, OLD_ERR | OLD_DNR);
        return;
    }
    admin_fail(c, STATUS_EINVAL, Q_INVALID_MEMBER);
}

void admin_fail_dead(Command *c)
{
    if (c->is_old) {
        old_fail(c, OLD_DEVICE_INTERNAL_ERR | OLD_DNR);
        return;
    }
    admin_fail(c, STATUS_ENXIO, Q_INVALID_MEMBER);
}

/* Lists */

static uint64_t supported(PCIDevice *pf, uint16_t group)
{
    bool migration = pf_state(pf)->abi == ABI_VIRTIO_1_4;
    uint64_t list = 0;

    for (int i = 0; i < ARRAY_SIZE(operations); i++) {
        if (operations[i].groups & 1 << group &&
            (migration || !operations[i].migration)) {
            list |= 1ULL << i;
        }
    }
    return list;
}

/* Commands of the self group alone. */
#define CAPABILITIES (1 << OP_CAP_ID_LIST_QUERY | 1 << OP_DEVICE_CAP_GET | \
                      1 << OP_DRIVER_CAP_SET)

/*
 * Linux looks for the capability commands in the list of the SR-IOV group, and
 * uses no other list, before it sends them to the self group.
 */
static uint64_t listed(PCIDevice *pf, uint16_t group)
{
    uint64_t list = supported(pf, group);

    if (group == GROUP_SRIOV && !pf_state(pf)->strict_lists) {
        list |= supported(pf, GROUP_SELF) & CAPABILITIES;
    }
    return list;
}

static uint64_t in_use(PCIDevice *pf, uint16_t group)
{
    const Admin *a = &pf_state(pf)->admin;
    uint64_t list = a->used[group] | 1 << OP_LIST_QUERY | 1 << OP_LIST_USE;

    if (group == GROUP_SELF && !pf_state(pf)->strict_lists) {
        list |= a->used[GROUP_SRIOV] & CAPABILITIES;
    }
    return list;
}

static void list_query(Command *c)
{
    uint64_t list = cpu_to_le64(listed(c->pf, c->group));

    admin_set_result(c, &list, sizeof(list));
}

static void list_use(Command *c)
{
    uint64_t list = ldq_le_p(c->data);

    if (list & ~listed(c->pf, c->group) ||
        (c->data_len > 8 && !buffer_is_zero(c->data + 8, c->data_len - 8))) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_FIELD);
        return;
    }
    pf_state(c->pf)->admin.used[c->group] = list;
}

/* Validation */

/*
 * The SR-IOV group exists while VF Enable is set.  Linux asks for its list
 * before that, and gives the queue up if it is refused.
 */
static bool group_exists(const Command *c)
{
    uint8_t *sriov = c->pf->config + c->pf->exp.sriov_cap;

    if (c->group == GROUP_SELF) {
        return true;
    }
    return c->group == GROUP_SRIOV &&
           (pci_get_word(sriov + PCI_SRIOV_CTRL) & PCI_SRIOV_CTRL_VFE ||
            (c->opcode <= OP_LIST_USE && !pf_state(c->pf)->strict_lists));
}

static bool opcode_allowed(const Command *c)
{
    return c->opcode < ARRAY_SIZE(operations) &&
           in_use(c->pf, c->group) & supported(c->pf, c->group) &
           1ULL << c->opcode;
}

/* The order is that of the standard: group, opcode, member. */
static bool validate(Command *c)
{
    if (!group_exists(c)) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_GROUP);
        return false;
    }
    if (!opcode_allowed(c)) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_OPCODE);
        return false;
    }
    if (operations[c->opcode].of_group) {
        return true;
    }
    if (c->member == 0 || c->member > pcie_sriov_num_vfs(c->pf)) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_MEMBER);
        return false;
    }
    c->vf = pcie_sriov_get_vf_at_index(c->pf, c->member - 1);
    if (operations[c->opcode].needs_life && vf_state(c->vf)->is_dead) {
        admin_fail_dead(c);
        return false;
    }
    return true;
}

/* The queue */

static void read_parts(Command *c, size_t header, size_t status)
{
    VirtQueueElement *e = c->element;
    size_t given = iov_size(e->out_sg, e->out_num);
    size_t room = iov_size(e->in_sg, e->in_num);

    c->data_len = MIN(given - MIN(given, header), PAYLOAD_MAX);
    c->data = g_malloc0(MAX(c->data_len, PAYLOAD_MIN));
    iov_to_buf(e->out_sg, e->out_num, header, c->data, c->data_len);
    c->room = MIN(room - MIN(room, status), PAYLOAD_MAX);
    c->result = g_malloc0(MAX(c->room, PAYLOAD_MIN));
}

/*
 * Pure, the 2021 protocol has the queue for itself.  A PF whose VFs have no
 * legacy block needs commands 2 to 6 as well; no class is below 18.
 */
static bool is_old_command(const Command *c)
{
    const PFState *s = pf_state(c->pf);
    uint8_t class = 0;

    iov_to_buf(c->element->out_sg, c->element->out_num, 0, &class, 1);
    return s->abi == ABI_2021 && (s->mmr || class >= CLASS_MIGRATION);
}

#define OLD_HEADER 2
#define OLD_STATUS 1

static void read_command(Command *c)
{
    CommandHeader h = { 0 };

    iov_to_buf(c->element->out_sg, c->element->out_num, 0, &h, sizeof(h));
    c->is_old = is_old_command(c);
    if (c->is_old) {
        read_parts(c, OLD_HEADER, OLD_STATUS);
        c->opcode = bswap16(le16_to_cpu(h.opcode));
        c->member = lduw_le_p(c->data);
        return;
    }
    read_parts(c, sizeof(h), sizeof(CommandStatus));
    c->opcode = le16_to_cpu(h.opcode);
    c->group = le16_to_cpu(h.group);
    c->member = le64_to_cpu(h.member);
}

static void free_command(Command *c)
{
    g_ptr_array_remove_fast(pf_state(c->pf)->admin.pending, c);
    halt_forget(c);
    if (c->fault.timer) {
        timer_free(c->fault.timer);
    }
    g_free(c->data);
    g_free(c->result);
    g_free(c->element);
    g_free(c);
}

/* The status is the last byte of all, wherever the result ends. */
static size_t lay_out_old_answer(const Command *c, uint8_t *answer)
{
    memcpy(answer, c->result, c->result_len);
    answer[c->room] = c->status;
    return c->room + OLD_STATUS;
}

static size_t lay_out_answer(const Command *c, uint8_t *answer)
{
    CommandStatus st = {
        .status = cpu_to_le16(c->status),
        .qualifier = cpu_to_le16(c->qualifier),
    };

    memcpy(answer, &st, sizeof(st));
    memcpy(answer + sizeof(st), c->result, c->result_len);
    return sizeof(st) + c->result_len;
}

static size_t write_answer(const Command *c)
{
    const VirtQueueElement *e = c->element;
    g_autofree uint8_t *answer = g_malloc0(sizeof(CommandStatus) + c->room);
    size_t len = c->is_old ? lay_out_old_answer(c, answer)
                           : lay_out_answer(c, answer);

    len = fault_of_answer(c, answer, c->is_old ? 0 : sizeof(CommandStatus),
                          len);
    return iov_from_buf(e->in_sg, e->in_num, 0, answer, len);
}

void admin_complete(Command *c)
{
    VirtIODevice *vdev = virtio_of(c->pf);

    if (fault_delays(c)) {
        return;
    }
    virtqueue_push(c->queue, c->element, write_answer(c));
    virtio_notify(vdev, c->queue);
    fault_after(c);
    free_command(c);
}

/* C is never answered.  After a reset the queue does not know it any more. */
static void abandon(Command *c)
{
    if (virtio_of(c->pf)->status) {
        virtqueue_detach_element(c->queue, c->element, 0);
    } else {
        virtqueue_push(c->queue, c->element, 0);
    }
    free_command(c);
}

static void handle_command(PCIDevice *pf, VirtQueue *vq, VirtQueueElement *e)
{
    PFState *s = pf_state(pf);
    Command *c = g_new0(Command, 1);

    *c = (Command) { .pf = pf, .queue = vq, .element = e };
    g_ptr_array_add(s->admin.pending, c);
    read_command(c);
    s->admin_commands++;
    switch (fault_of_command(c)) {
    case FAULT_HANG:
        abandon(c);
        return;
    case FAULT_BREAK:
        abandon(c);
        virtio_error(virtio_of(pf), "administration queue: injected fault");
        return;
    case FAULT_STATUS:
        admin_fail(c, s->faults.admin_status, s->faults.admin_qualifier);
        break;
    case FAULT_NONE:
        if (c->is_old) {
            old_run(c);
        } else if (validate(c)) {
            operations[c->opcode].run(c);
        }
    }
    if (!c->later) {
        admin_complete(c);
    }
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
        if (e->out_num && e->in_num) {
            handle_command(pf, vq, e);
            continue;
        }
        virtio_error(vdev, "administration command without a readable or "
                     "without a writable part");
        virtqueue_detach_element(vq, e, 0);
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
    a->pending = g_ptr_array_new();
    virtio_delete_queue(gap);
    virtio_add_feature(&vdev->host_features, F_SR_IOV);
    virtio_add_feature(&vdev->host_features, F_ADMIN_VQ);
    if (pf_state(pf)->abi == ABI_2021) {
        old_init(pf);
    }
}

void admin_forget_vf(PCIDevice *vf)
{
    GPtrArray *pending = pf_state(pf_of(vf))->admin.pending;

    for (unsigned i = 0; pending && i < pending->len; i++) {
        Command *c = g_ptr_array_index(pending, i);

        c->vf = c->vf == vf ? NULL : c->vf;
    }
}

/* QEMU's device and its queues are gone by now. */
void admin_exit(PCIDevice *pf)
{
    Admin *a = &pf_state(pf)->admin;

    while (a->pending && a->pending->len) {
        free_command(g_ptr_array_index(a->pending, 0));
    }
    g_clear_pointer(&a->pending, g_ptr_array_unref);
}

void admin_reset(PCIDevice *pf)
{
    Admin *a = &pf_state(pf)->admin;

    while (a->pending->len) {
        abandon(g_ptr_array_index(a->pending, 0));
    }
    memset(a->used, 0, sizeof(a->used));
    resources_reset(pf);
    for (int i = 0; i < pcie_sriov_num_vfs(pf); i++) {
        dirty_stop_all(pcie_sriov_get_vf_at_index(pf, i));
    }
}
