/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands 2 to 6: the legacy registers of a VF through the administration
 * queue.
 */
#include "admin.h"
#include "legacy.h"

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

void legacy_access(Command *c)
{
    bool config = c->opcode >= OP_LEGACY_DEV_WRITE;
    bool write = c->opcode == OP_LEGACY_COMMON_WRITE ||
                 c->opcode == OP_LEGACY_DEV_WRITE;
    unsigned offset = c->data[0];
    const Field *field = legacy_field(c->vf, config, offset);
    size_t len = !write ? c->room
                 : c->data_len > WRITE_DATA ? c->data_len - WRITE_DATA : 0;
    unsigned n = access_size(field, offset, len);
    uint8_t bytes[8];

    if (!n) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_FIELD);
    } else if (write) {
        legacy_write_bytes(c->vf, config, field, offset, c->data + WRITE_DATA,
                           n);
    } else {
        legacy_read_bytes(c->vf, config, field, offset, bytes, n);
        admin_set_result(c, bytes, n);
    }
}

#define NOTIFY_INFO_MEMBER  2
#define NOTIFY_INFO_SIZE    64

/* One entry, the doorbell in the VF's own BAR; the others end the list. */
void legacy_notify_info(Command *c)
{
    uint8_t info[NOTIFY_INFO_SIZE] = { NOTIFY_INFO_MEMBER, VF_BAR_MODERN };

    stq_le_p(info + 8, VF_DOORBELL_OFFSET);
    admin_set_result(c, info, sizeof(info));
}
