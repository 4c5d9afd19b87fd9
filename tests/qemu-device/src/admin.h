/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands of the administration queue of a PF, between the queue and those
 * who carry them out.
 */
#ifndef PORTOLAN_ADMIN_H
#define PORTOLAN_ADMIN_H

#include "device.h"
#include "qemu/timer.h"

/* virtio 1.4 */

enum {
    GROUP_SELF = 0,
    GROUP_SRIOV = 1,
};

enum {
    STATUS_OK = 0,
    STATUS_ENXIO = 6,
    STATUS_EAGAIN = 11,
    STATUS_ENOMEM = 12,
    STATUS_EBUSY = 16,
    STATUS_EEXIST = 17,
    STATUS_EINVAL = 22,
    STATUS_ENOSPC = 28,
};

enum {
    Q_OK = 0,
    Q_INVALID_COMMAND = 1,
    Q_INVALID_OPCODE = 2,
    Q_INVALID_FIELD = 3,
    Q_INVALID_GROUP = 4,
    Q_INVALID_MEMBER = 5,
    Q_NORESOURCE = 6,
    Q_TRYAGAIN = 7,
};

enum {
    OP_LIST_QUERY = 0x00,
    OP_LIST_USE = 0x01,
    OP_LEGACY_COMMON_WRITE = 0x02,
    OP_LEGACY_COMMON_READ = 0x03,
    OP_LEGACY_DEV_WRITE = 0x04,
    OP_LEGACY_DEV_READ = 0x05,
    OP_LEGACY_NOTIFY_INFO = 0x06,
    OP_CAP_ID_LIST_QUERY = 0x07,
    OP_DEVICE_CAP_GET = 0x08,
    OP_DRIVER_CAP_SET = 0x09,
    OP_RESOURCE_CREATE = 0x0a,
    OP_RESOURCE_MODIFY = 0x0b,
    OP_RESOURCE_QUERY = 0x0c,
    OP_RESOURCE_DESTROY = 0x0d,
    OP_PARTS_METADATA_GET = 0x0e,
    OP_PARTS_GET = 0x0f,
    OP_PARTS_SET = 0x10,
    OP_MODE_SET = 0x11,
};

/* Data and results beyond this are not looked at. */
#define PAYLOAD_MAX (4 * 1024 * 1024)

/* How the answer to a command goes wrong. */
typedef struct AnswerFault {
    uint32_t late;              /* ms */
    uint32_t cut;               /* bytes that are missing at its end */
    uint32_t corrupt;           /* byte of the result, from 1 */
    bool die;                   /* the VF, when it has been answered */
    QEMUTimer *timer;
} AnswerFault;

struct Command {
    PCIDevice *pf;
    PCIDevice *vf;              /* the member, or NULL */
    bool is_old;                /* of the 2021 protocol, else of virtio 1.4 */
    uint16_t opcode;            /* or class and command */
    uint16_t group;
    uint64_t member;
    /* What the driver left out reads as zero, as far as any command looks. */
    uint8_t *data;
    size_t data_len;
    uint8_t *result;
    size_t room;                /* for the result */
    size_t result_len;
    uint16_t status;
    uint16_t qualifier;
    bool later;                 /* somebody will call admin_complete() */
    AnswerFault fault;

    VirtQueue *queue;
    VirtQueueElement *element;
};

/* The least that `data` and `result` have, whatever the driver gave. */
#define PAYLOAD_MIN 256

/* Answers C, and frees it. */
void admin_complete(Command *c);

static inline void admin_fail(Command *c, uint16_t status, uint16_t qualifier)
{
    c->status = status;
    c->qualifier = qualifier;
}

/* The member has been disabled meanwhile, or does not answer any more. */
void admin_fail_gone(Command *c);
void admin_fail_dead(Command *c);

/* A result that does not fit is cut off. */
void admin_set_result(Command *c, const void *result, size_t len);

/* legacy_commands.c */
void legacy_access(Command *c);
void legacy_notify_info(Command *c);

/* resources.c */
void capability_list(Command *c);
void capability_get(Command *c);
void capability_set(Command *c);
void resource_create(Command *c);
void resource_modify(Command *c);
void resource_query(Command *c);
void resource_destroy(Command *c);
void resources_reset(PCIDevice *pf);
/* Does C, whose data begin with a resource, name one of KIND?  Fails it if not. */
bool resource_is(Command *c, uint8_t kind);

enum { PARTS_OBJECT_GET = 0, PARTS_OBJECT_SET = 1 };

/* parts_commands.c */
void parts_metadata_get(Command *c);
void parts_get(Command *c);
void parts_set(Command *c);
void mode_set(Command *c);

#endif
