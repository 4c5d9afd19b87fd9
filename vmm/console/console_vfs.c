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

/* PF:N, as in 02:00.0:1, or with a '/' as in the configuration. */
static bool parse_place(const char *text, struct migrate_place *place)
{
    size_t length = strlen(text), at = length;
    uint64_t index;

    while (at > 0 && text[at - 1] != ':' && text[at - 1] != '/') {
        at--;
    }
    if (at == 0 || !value_bdf((struct slice){text, at - 1}, &place->pf) ||
        !value_number((struct slice){text + at, length - at}, &index) || index > UINT16_MAX) {
        console_print(
            "'%s' is no VF: write it as 'vf list' does, the PF and the VF's number: 02:00.0:1",
            text);
        return false;
    }
    place->index = (uint32_t)index;
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
    [STATUS_CONFLICT] = "the second VF is a VM's",
    [STATUS_UNSUPPORTED] = "its PF has no commands for that: its VFs only run",
    [STATUS_DEVICE] = "the second VF cannot be had, as the log says",
};

void console_edge_vf_list(void)
{
    migrate_list(console_print);
}

void console_edge_vf_do(enum console_action action, const char *vf, const char *more)
{
    struct migrate_order order = {.action = MIGRATE_SHOW};

    if (!parse_place(vf, &order.vf)) {
        return;
    }
    if (action == CONSOLE_VF_SAVE) {
        order.action = MIGRATE_SAVE;
    } else if (action == CONSOLE_VF_MOVE) {
        order.action = MIGRATE_MOVE;
        if (!parse_place(more, &order.to)) {
            return;
        }
    } else if (action != CONSOLE_VF_SHOW && !parse_word(action, more, &order.action)) {
        return;
    }
    console_print("vf %s: %s", vf, answers[migrate_begin(&order)]);
}
