/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/vfiod/sim_options.h"

#include "tools/vfiod/device.h"

#include "drivers/virtio/device.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 4096U
#define KEY_MAX   16U

static bool copy(char *to, size_t room, const char *value)
{
    size_t length = strlen(value);

    if (length == 0 || length >= room) {
        return false;
    }
    memcpy(to, value, length + 1);
    return true;
}

static bool set_file(struct sim_options *o, const char *value)
{
    return copy(o->back_end.file, sizeof(o->back_end.file), value);
}

static bool set_serial(struct sim_options *o, const char *value)
{
    return copy(o->back_end.serial, sizeof(o->back_end.serial), value);
}

static bool set_read_only(struct sim_options *o, const char *value)
{
    o->back_end.read_only = strcmp(value, "on") == 0;
    return o->back_end.read_only || strcmp(value, "off") == 0;
}

static bool set_socket(struct sim_options *o, const char *value)
{
    return copy(o->back_end.socket, sizeof(o->back_end.socket), value);
}

static bool set_tap(struct sim_options *o, const char *value)
{
    return copy(o->back_end.tap, sizeof(o->back_end.tap), value);
}

static bool number(const char *value, unsigned long most, unsigned long *n)
{
    char *end;

    errno = 0;
    *n = strtoul(value, &end, 10);
    return value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0 && *n <= most;
}

static bool set_fd(struct sim_options *o, const char *value)
{
    unsigned long n;

    if (!number(value, INT32_MAX, &n)) {
        return false;
    }
    o->back_end.fd = (int)n;
    return true;
}

/* Six bytes of one or two digits, with colons between; not a group's address. */
static bool set_mac(struct sim_options *o, const char *value)
{
    for (unsigned i = 0; i < NET_MAC_SIZE; i++) {
        char *end;
        unsigned long byte = strtoul(value, &end, 16);

        if (!isxdigit((unsigned char)value[0]) || end > value + 2 ||
            *end != (i + 1 < NET_MAC_SIZE ? ':' : '\0')) {
            return false;
        }
        o->back_end.mac[i] = (uint8_t)byte;
        value = end + 1;
    }
    return (o->back_end.mac[0] & 1U) == 0;
}

static bool set_queue_size(struct sim_options *o, const char *value)
{
    unsigned long n;

    if (!number(value, RING_SIZE_MAX, &n) || n < 4 || (n & (n - 1)) != 0) {
        return false;
    }
    o->queue_size = (uint16_t)n;
    return true;
}

static bool set_transport(struct sim_options *o, const char *value)
{
    o->transport = strcmp(value, "mmr") == 0 ? LEGACY_TRANSPORT_MMR : LEGACY_TRANSPORT_ADMIN;
    return o->transport == LEGACY_TRANSPORT_MMR || strcmp(value, "admin") == 0;
}

static bool set_abi(struct sim_options *o, const char *value)
{
    for (unsigned kind = 0; kind < VF_STATE_KINDS; kind++) {
        if (strcmp(value, vf_state_facts(kind)->name) == 0) {
            o->abi = kind;
            return true;
        }
    }
    return false;
}

/* What each key takes, and whose it is; 0: any type's. */
static const struct {
    char key[KEY_MAX];
    uint16_t type;
    bool (*set)(struct sim_options *o, const char *value);
    const char *takes;
} keys[] = {
    {"file",       VIRTIO_TYPE_BLOCK, set_file,       "a path"                       },
    {"read-only",  VIRTIO_TYPE_BLOCK, set_read_only,  "on or off"                    },
    {"serial",     VIRTIO_TYPE_BLOCK, set_serial,     "at most 20 characters"        },
    {"socket",     VIRTIO_TYPE_NET,   set_socket,     "a path of at most 107 bytes"  },
    {"tap",        VIRTIO_TYPE_NET,   set_tap,        "a name of at most 15 bytes"   },
    {"fd",         VIRTIO_TYPE_NET,   set_fd,         "a number"                     },
    {"mac",        VIRTIO_TYPE_NET,   set_mac,        "an address like 52:54:0:1:2:3"},
    {"queue-size", 0,                 set_queue_size, "a power of two, 4 to 256"     },
    {"transport",  0,                 set_transport,  "mmr or admin"                 },
    {"abi",        0,                 set_abi,        "1.4, 2021 or none"            },
};

static bool set(struct sim_options *o, const char *key, const char *value)
{
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strcmp(keys[i].key, key) != 0 || (keys[i].type != 0 && keys[i].type != o->type)) {
            continue;
        }
        if (!keys[i].set(o, value)) {
            vfiod_say("%s=%s: it takes %s", key, value, keys[i].takes);
            return false;
        }
        return true;
    }
    vfiod_say("%s: there is no such option here", key);
    return false;
}

/* The next item of TEXT, up to a comma that stands alone; returns what follows. NULL: it is too
 * long, and ITEM has its beginning. */
static const char *next_item(const char *text, char *item, size_t room)
{
    size_t used = 0;

    for (; *text != '\0' && (*text != ',' || text[1] == ','); text++) {
        text += *text == ',';
        if (used + 1 >= room) {
            item[used] = '\0';
            return NULL;
        }
        item[used++] = *text;
    }
    item[used] = '\0';
    return *text == ',' ? text + 1 : text;
}

static bool is_complete(const struct sim_options *o)
{
    const struct back_end_options *b = &o->back_end;
    unsigned ends = (b->socket[0] != '\0') + (b->tap[0] != '\0') + (b->fd >= 0);

    if (o->type == VIRTIO_TYPE_BLOCK && b->file[0] == '\0') {
        vfiod_say("block: it needs file=PATH");
        return false;
    }
    if (o->type == VIRTIO_TYPE_NET && ends != 1) {
        vfiod_say("net: it needs one of socket=PATH, tap=NAME and fd=NUMBER");
        return false;
    }
    return true;
}

bool sim_options_parse(const char *text, struct sim_options *o)
{
    char item[KEY_MAX + VALUE_MAX];

    *o = (struct sim_options){
        .abi = VF_STATE_2021,
        .queue_size = RING_SIZE_MAX,
        .back_end = {
                     .fd = -1, .serial = "portolan-vfiod", .mac = {0x52, 0x54, 0x00, 0x50, 0x6f, 0x72}}
    };
    text = next_item(text, item, sizeof(item));
    if (text != NULL && strcmp(item, "block") == 0) {
        o->type = VIRTIO_TYPE_BLOCK;
    } else if (text != NULL && strcmp(item, "net") == 0) {
        o->type = VIRTIO_TYPE_NET;
    } else {
        vfiod_say("a simulated function begins with 'block' or 'net'");
        return false;
    }
    while (text != NULL && *text != '\0') {
        text = next_item(text, item, sizeof(item));
        char *value = text != NULL ? strchr(item, '=') : NULL;

        if (value == NULL) {
            vfiod_say("%s: options are KEY=VALUE, of at most %u bytes", item, VALUE_MAX);
            return false;
        }
        *value = '\0';
        if (!set(o, item, value + 1)) {
            return false;
        }
    }
    return is_complete(o);
}
