/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capabilities and resource objects of virtio 1.4.  There is one capability,
 * the device parts, and one type of object.
 */
#include "admin.h"

#define CAP_DEV_PARTS       0
#define OBJECT_DEV_PARTS    0

typedef struct QEMU_PACKED CapData {
    uint16_t id;
    uint8_t reserved[6];
    uint8_t limits[2];          /* of objects to get, to set */
} CapData;

typedef struct QEMU_PACKED ObjectHeader {
    uint16_t type;
    uint8_t reserved[2];
    uint32_t id;
} ObjectHeader;

typedef struct QEMU_PACKED ObjectData {
    ObjectHeader header;
    uint64_t flags;
    uint8_t kind;               /* get or set */
    uint8_t reserved[7];
} ObjectData;

static Resources *resources_of(const Command *c)
{
    return &pf_state(c->pf)->resources;
}

/* Capabilities */

void capability_list(Command *c)
{
    uint64_t list = cpu_to_le64(1 << CAP_DEV_PARTS);

    admin_set_result(c, &list, sizeof(list));
}

static bool is_device_parts(Command *c)
{
    if (lduw_le_p(c->data) != CAP_DEV_PARTS) {
        admin_fail(c, STATUS_ENXIO, Q_INVALID_FIELD);
        return false;
    }
    return true;
}

void capability_get(Command *c)
{
    const PFState *s = pf_state(c->pf);
    uint8_t limits[2] = { s->parts_get_limit, s->parts_set_limit };

    if (is_device_parts(c)) {
        admin_set_result(c, limits, sizeof(limits));
    }
}

void capability_set(Command *c)
{
    const PFState *s = pf_state(c->pf);
    const CapData *cap = (const CapData *)c->data;
    Resources *r = resources_of(c);

    if (!is_device_parts(c)) {
        return;
    }
    if (r->objects->len) {
        admin_fail(c, STATUS_EBUSY, Q_INVALID_COMMAND);
    } else if (cap->limits[0] > s->parts_get_limit ||
               cap->limits[1] > s->parts_set_limit) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_FIELD);
    } else {
        memcpy(r->limits, cap->limits, sizeof(r->limits));
    }
}

/* Objects */

static int find_object(const Resources *r, uint32_t id)
{
    for (int i = 0; i < r->objects->len; i++) {
        if (g_array_index(r->objects, PartsObject, i).id == id) {
            return i;
        }
    }
    return -1;
}

/* Objects of KIND, without the one with the id NOT. */
static unsigned count_objects(const Resources *r, uint8_t kind, int64_t not)
{
    unsigned count = 0;

    for (int i = 0; i < r->objects->len; i++) {
        const PartsObject *o = &g_array_index(r->objects, PartsObject, i);

        count += o->kind == kind && o->id != not;
    }
    return count;
}

/* Is the object of the right type and are its attributes known? */
static bool check_data(Command *c, const ObjectData *o)
{
    if (le16_to_cpu(o->header.type) != OBJECT_DEV_PARTS || o->flags ||
        o->kind > PARTS_OBJECT_SET) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_FIELD);
        return false;
    }
    return true;
}

void resource_create(Command *c)
{
    const ObjectData *data = (const ObjectData *)c->data;
    Resources *r = resources_of(c);
    PartsObject o = {
        .id = le32_to_cpu(data->header.id), .kind = data->kind, .vf = c->member,
    };

    if (!check_data(c, data)) {
        return;
    }
    if (find_object(r, o.id) >= 0) {
        admin_fail(c, STATUS_EEXIST, Q_INVALID_FIELD);
    } else if (count_objects(r, o.kind, -1) >= r->limits[o.kind]) {
        admin_fail(c, STATUS_ENOSPC, Q_NORESOURCE);
    } else if (o.id >= r->limits[0] + r->limits[1]) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_FIELD);
    } else {
        g_array_append_val(r->objects, o);
    }
}

/* The object that C names, which has to be the member's.  Fails C if not. */
static int named_object(Command *c)
{
    const ObjectHeader *header = (const ObjectHeader *)c->data;
    const Resources *r = resources_of(c);
    int i;

    if (le16_to_cpu(header->type) != OBJECT_DEV_PARTS) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_FIELD);
        return -1;
    }
    i = find_object(r, le32_to_cpu(header->id));
    if (i < 0) {
        admin_fail(c, STATUS_ENXIO, Q_INVALID_FIELD);
    } else if (g_array_index(r->objects, PartsObject, i).vf != c->member) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_MEMBER);
        i = -1;
    }
    return i;
}

void resource_modify(Command *c)
{
    const ObjectData *data = (const ObjectData *)c->data;
    Resources *r = resources_of(c);
    int i = named_object(c);
    PartsObject *o;

    if (i < 0 || !check_data(c, data)) {
        return;
    }
    o = &g_array_index(r->objects, PartsObject, i);
    if (count_objects(r, data->kind, o->id) >= r->limits[data->kind]) {
        admin_fail(c, STATUS_ENOSPC, Q_NORESOURCE);
    } else {
        o->kind = data->kind;
    }
}

void resource_query(Command *c)
{
    int i = named_object(c);
    uint8_t kind[8] = { 0 };

    if (i >= 0) {
        kind[0] = g_array_index(resources_of(c)->objects, PartsObject, i).kind;
        admin_set_result(c, kind, sizeof(kind));
    }
}

void resource_destroy(Command *c)
{
    int i = named_object(c);

    if (i >= 0) {
        g_array_remove_index_fast(resources_of(c)->objects, i);
    }
}

bool resource_is(Command *c, uint8_t kind)
{
    int i = named_object(c);

    if (i >= 0 &&
        g_array_index(resources_of(c)->objects, PartsObject, i).kind != kind) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_FIELD);
        i = -1;
    }
    return i >= 0;
}

void resources_reset(PCIDevice *pf)
{
    Resources *r = &pf_state(pf)->resources;

    g_array_set_size(r->objects, 0);
    memset(r->limits, 0, sizeof(r->limits));
}
