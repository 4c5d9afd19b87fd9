/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of virtio 1.4 about device parts and the mode of a VF.
 */
#include "admin.h"
#include "parts.h"
#include "staged.h"
#include "qemu/log.h"
#include "standard-headers/linux/virtio_ids.h"

enum { METADATA_SIZE = 0, METADATA_COUNT = 1, METADATA_LIST = 2 };
enum { GET_SELECTED = 0, GET_ALL = 1 };

#define MODE_STOPPED    1

/* Data behind the resource object: what the command wants of it. */
#define WHAT            8
#define PARTS_GET_LIST  16
#define PARTS_SET_PARTS 8

static void refuse_state(Command *c, const char *why)
{
    qemu_log_mask(LOG_GUEST_ERROR, "%s %u: state refused: %s\n", c->vf->name,
                  vf_number(c->vf), why);
    admin_fail(c, STATUS_EINVAL, Q_INVALID_FIELD);
}

static GByteArray *encode_vf(PCIDevice *vf, bool headers_only)
{
    Image *image = image_capture(vf);
    GByteArray *parts = parts_encode(image, headers_only);

    image_free(image);
    return parts;
}

/* The most that the parts can become while the driver runs. */
static size_t largest(PCIDevice *vf, size_t now)
{
    Image *image;
    size_t more = 0;

    if (family_of(vf)->virtio_id == VIRTIO_ID_NET) {
        image = image_capture(vf);
        more = (IMAGE_MACS - image->net.unicast - image->net.multicast) *
               ETH_ALEN;
        image_free(image);
    }
    return now + more;
}

static void set_whole_result(Command *c, const void *result, size_t len)
{
    if (len > c->room) {
        admin_fail(c, STATUS_ENOMEM, Q_NORESOURCE);
    } else {
        admin_set_result(c, result, len);
    }
}

void parts_metadata_get(Command *c)
{
    g_autoptr(GByteArray) headers = NULL, parts = NULL;
    g_autoptr(GByteArray) result = g_byte_array_new();
    uint8_t number[8] = { 0 };

    if (!resource_is(c, PARTS_OBJECT_GET)) {
        return;
    }
    headers = encode_vf(c->vf, true);
    parts = encode_vf(c->vf, false);
    stl_le_p(number, headers->len / PART_HEADER);
    switch (c->data[WHAT]) {
    case METADATA_SIZE:
        stl_le_p(number, largest(c->vf, parts->len));
        break;
    case METADATA_COUNT:
        headers->len = 0;
        break;
    case METADATA_LIST:
        break;
    default:
        admin_fail(c, STATUS_EINVAL, Q_INVALID_FIELD);
        return;
    }
    g_byte_array_append(result, number, sizeof(number));
    if (c->data[WHAT] == METADATA_LIST) {
        g_byte_array_append(result, headers->data, headers->len);
    }
    set_whole_result(c, result->data, result->len);
}

/* Type and selector say which part it is. */
static bool is_selected(const Command *c, const uint8_t *part)
{
    for (size_t at = PARTS_GET_LIST; at + PART_HEADER <= c->data_len;
         at += PART_HEADER) {
        if (lduw_le_p(c->data + at) == lduw_le_p(part) &&
            ldq_le_p(c->data + at + 4) == ldq_le_p(part + 4)) {
            return true;
        }
    }
    return false;
}

static GByteArray *select_parts(const Command *c, const GByteArray *all)
{
    GByteArray *selected = g_byte_array_new();
    size_t at = 0;

    while (at < all->len) {
        size_t size = parts_size(all->data + at, all->len - at);

        if (is_selected(c, all->data + at)) {
            g_byte_array_append(selected, all->data + at, size);
        }
        at += size;
    }
    return selected;
}

void parts_get(Command *c)
{
    g_autoptr(GByteArray) all = NULL, selected = NULL;

    if (!resource_is(c, PARTS_OBJECT_GET)) {
        return;
    }
    all = encode_vf(c->vf, false);
    switch (c->data[WHAT]) {
    case GET_ALL:
        set_whole_result(c, all->data, all->len);
        break;
    case GET_SELECTED:
        selected = select_parts(c, all);
        set_whole_result(c, selected->data, selected->len);
        break;
    default:
        admin_fail(c, STATUS_EINVAL, Q_INVALID_FIELD);
    }
}

static Image *copy_of(const Image *image)
{
    /* Parts have no lists of heads: there is nothing behind it. */
    return g_memdup2(image, sizeof(*image));
}

static void forget_run_state(Image *image)
{
    for (unsigned n = 0; n < image->queues; n++) {
        image->queue[n].has_run_state = false;
    }
}

/* The new state waits for the VF to be resumed. */
void parts_set(Command *c)
{
    VFState *s = vf_state(c->vf);
    Image *image;
    const char *why;

    if (!resource_is(c, PARTS_OBJECT_SET)) {
        return;
    }
    if (s->halt.phase != PHASE_HALTED) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_COMMAND);
        return;
    }
    image = s->staged ? copy_of(s->staged) : image_capture(c->vf);
    if (!s->staged) {
        forget_run_state(image);
    }
    why = c->data_len < PARTS_SET_PARTS ? "no parts"
          : parts_decode(image, c->data + PARTS_SET_PARTS,
                         c->data_len - PARTS_SET_PARTS);
    why = why ? why : image_misfit(c->vf, image);
    if (why) {
        image_free(image);
        refuse_state(c, why);
        return;
    }
    staged_set(c->vf, image);
}

static void resume(Command *c)
{
    const char *why = staged_resume(c->vf);

    if (why) {
        refuse_state(c, why);
    }
}

void mode_set(Command *c)
{
    Phase phase = vf_state(c->vf)->halt.phase;
    bool stop = c->data[0] & MODE_STOPPED;

    if (c->data[0] & ~MODE_STOPPED) {
        admin_fail(c, STATUS_EINVAL, Q_INVALID_FIELD);
    } else if (phase == PHASE_DRAINING) {
        admin_fail(c, STATUS_EAGAIN, Q_TRYAGAIN);
    } else if (stop && phase == PHASE_RUNNING) {
        halt_begin(c->vf, c);
    } else if (!stop && phase == PHASE_HALTED) {
        resume(c);
    }
}
