/* SPDX-License-Identifier: BSD-2-Clause */
/* What a client of QMP may send: cut into commands, read, checked, carried out. */
#include "guest/agent/incoming.h"
#include "guest/agent/move.h"
#include "guest/agent/qmp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct agent_options agent_options;
struct move move;

bool portal_ask(enum portal_asker asker, uint32_t tag, const char *format, ...)
{
    return tag % 2 == 0;
}

const char *move_begin_source(const char *name, const char *where)
{
    return strlen(name) + strlen(where) > 20 ? "too long" : NULL;
}

const char *incoming_begin(const char *uri)
{
    return strlen(uri) > 20 ? "too long" : NULL;
}

bool move_cancel(void)
{
    return false;
}

bool move_is_under_way(void)
{
    return false;
}

const char *move_status_name(enum move_status status)
{
    return "active";
}

static void set_up(void)
{
    static const char *const names[] = {"service", "g", "h"};

    vm_table.count = ARRAY_SIZE(names);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        vm_table.vm[i].state = (enum vm_state)(i + 1);
        memcpy(vm_table.vm[i].name, names[i], strlen(names[i]) + 1);
    }
    vm_table.vm[0].service = true;
    move.status = MOVE_ACTIVE;
}

/* The event loop's parts of qmp.h that nobody calls here. */
void qmp_event_vm(const char *event, const struct vm_entry *vm, json_t *data)
{
    json_decref(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qmp_scan scan = {0};
    bool greeted = false, broken = false;
    uint32_t have = (uint32_t)size, end;
    const char *text = (const char *)data;

    set_up();
    while (have != 0 && (end = qmp_scan(&scan, text, have, &broken)) != 0) {
        json_t *input = json_loadb(text, end, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
        struct qmp_answer answer = {.value = NULL};

        if (input != NULL) {
            qmp_execute(input, greeted, end, &greeted, &answer);
            if (answer.error != NULL && (answer.value != NULL || answer.text[0] == '\0')) {
                abort();
            }
        }
        json_decref(input);
        json_decref(answer.value);
        text += end;
        have -= end;
        scan = (struct qmp_scan){0};
    }
    if (agent_options.downtime_limit > 2000000) {
        abort();
    }
    return 0;
}
