/* SPDX-License-Identifier: BSD-2-Clause */
/* What the console asks of VFs: console_edge.h. */
#include "vmm/config/value.h"
#include "vmm/console/console.h"
#include "vmm/console/console_edge.h"
#include "vmm/migrate/migrate.h"

#include <string.h>

/* The words that follow the VF in 'vf state' and 'vf dirty'. */
static const struct {
    const char *word;
    enum console_action of;
    enum migrate_action action;
} words[] = {
    {"quiesce", CONSOLE_VF_SET,   MIGRATE_QUIESCE},
    {"freeze",  CONSOLE_VF_SET,   MIGRATE_FREEZE },
    {"run",     CONSOLE_VF_SET,   MIGRATE_RUN    },
    {"on",      CONSOLE_VF_DIRTY, MIGRATE_TRACK  },
    {"report",  CONSOLE_VF_DIRTY, MIGRATE_REPORT },
    {"off",     CONSOLE_VF_DIRTY, MIGRATE_UNTRACK},
};

/* PF:N, as in 02:00.0:1, or with a '/' as in the configuration; PF:N-M: all from N to M. Into
 * PLACE, which has room for ROOM; how many, or 0. */
static uint32_t parse_places(const char *text, struct migrate_place *place, uint32_t room)
{
    size_t length = strlen(text), at = length, dash;
    uint64_t first, last;
    bdf_t pf;

    while (at > 0 && text[at - 1] != ':' && text[at - 1] != '/') {
        at--;
    }
    for (dash = at; dash < length && text[dash] != '-'; dash++) {
    }
    if (at == 0 || !value_bdf((struct slice){text, at - 1}, &pf) ||
        !value_number((struct slice){text + at, dash - at}, &first) ||
        (dash < length &&
         !value_number((struct slice){text + dash + 1, length - dash - 1}, &last))) {
        console_print(
            "'%s' is no VF: write it as 'vf list' does, the PF and the VF's number: 02:00.0:1",
            text);
        return 0;
    }
    last = dash < length ? last : first;
    if (last > UINT16_MAX || last < first || last - first >= room) {
        console_print("'%s': these are too many VFs, or none", text);
        return 0;
    }
    for (uint32_t i = 0; i <= last - first; i++) {
        place[i] = (struct migrate_place){.pf = pf, .index = (uint32_t)first + i};
    }
    return (uint32_t)(last - first) + 1;
}

/* Pairs: VFs of the VM, and as many that it is moved to. */
static bool parse_move(const char (*word)[CONSOLE_WORD_MAX], uint32_t given,
                       struct migrate_order *order)
{
    order->action = MIGRATE_MOVE;
    for (uint32_t i = 0; i + 1 < given; i += 2) {
        uint32_t at = order->count, room = CONFIG_VM_VFS_MAX - at;
        uint32_t count = parse_places(word[i], &order->vf[at], room);

        if (count == 0) {
            return false;
        }
        uint32_t others = parse_places(word[i + 1], &order->to[at], room);

        if (others != count) {
            if (others > 0) {
                console_print("'%s' and '%s' are not as many VFs", word[i], word[i + 1]);
            }
            return false;
        }
        order->count += count;
    }
    return true;
}

static bool parse_word(enum console_action of, const char *text, enum migrate_action *action)
{
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        if (words[i].of == of && strcmp(text, words[i].word) == 0) {
            *action = words[i].action;
            return true;
        }
    }
    console_print(of == CONSOLE_VF_SET ? "'%s' is no state: quiesce, freeze or run"
                                       : "'%s' is not on, off or report",
                  text);
    return false;
}

static const char *const answers[STATUS_COUNT] = {
    [STATUS_OK] = "begun",
    [STATUS_NOT_FOUND] = "no VM has that VF; 'vf list' shows all",
    [STATUS_STATE] = "not now: its VM is off, or a 'vf' command or its PF's answer is due",
    [STATUS_INVALID] = "VFs of one VM are moved together, each once and each to another",
    [STATUS_CONFLICT] = "the second VF is a VM's",
    [STATUS_UNSUPPORTED] = "its PF has no commands for that: its VFs only run",
    [STATUS_DEVICE] = "the second VF cannot be had, as the log says",
};

void console_edge_vf_list(void)
{
    migrate_list(console_print);
}

void console_edge_vf_do(enum console_action action, const char (*word)[CONSOLE_WORD_MAX],
                        uint32_t count)
{
    static struct migrate_order order; /* CPU 0's */

    memset(&order, 0, sizeof(order));
    if (action == CONSOLE_VF_MOVE) {
        if (!parse_move(word, count, &order)) {
            return;
        }
    } else {
        order.action = action == CONSOLE_VF_SAVE ? MIGRATE_SAVE : MIGRATE_SHOW;
        order.count = parse_places(word[0], order.vf, 1);
        if (order.count == 0 || (count > 1 && !parse_word(action, word[1], &order.action))) {
            return;
        }
    }
    console_print("vf %s: %s", word[0], answers[migrate_begin(&order)]);
}
