/* SPDX-License-Identifier: BSD-2-Clause */
/* Records over the wire. */
#include "guest/agent/move.h"

#include "guest/agent/agent_task.h"

#include <stdio.h>
#include <string.h>

uint8_t *move_payload(struct move *m)
{
    return m->output + STREAM_HEADER;
}

/* The wire failed: of a cancelled task that is no news. */
static bool wire_failed(struct move *m)
{
    return task_is_cancelled() ? move_fail(m, "cancelled") : move_fail(m, "%s", m->wire.why);
}

bool move_send(struct move *m, enum stream_type type, uint32_t length)
{
    stream_put_header(m->output, type, move_payload(m), length);
    return wire_write(&m->wire, m->output, STREAM_HEADER + length) || wire_failed(m);
}

bool move_send_text(struct move *m, enum stream_type type, const char *text)
{
    uint32_t length = (uint32_t)strnlen(text, AGENT_TEXT_MAX - 1);

    memcpy(move_payload(m), text, length);
    return move_send(m, type, length);
}

bool move_send_preamble(struct move *m)
{
    uint8_t preamble[STREAM_PREAMBLE];

    stream_put_preamble(preamble);
    return wire_write(&m->wire, preamble, sizeof(preamble)) || wire_failed(m);
}

bool move_receive_preamble(struct move *m)
{
    uint8_t preamble[STREAM_PREAMBLE];
    char why[AGENT_TEXT_MAX];

    if (!wire_read(&m->wire, preamble, sizeof(preamble))) {
        return wire_failed(m);
    }
    return stream_check_preamble(preamble, why) || move_fail(m, "%s", why);
}

/* The next record, known or not. */
static bool receive_one(struct move *m, struct stream_record *record)
{
    uint8_t header[STREAM_HEADER];
    char why[AGENT_TEXT_MAX];

    if (!wire_read(&m->wire, header, sizeof(header))) {
        return wire_failed(m);
    }
    if (!stream_get_header(header, record, why)) {
        return move_fail(m, "%s", why);
    }
    if (!wire_read(&m->wire, m->input, record->length)) {
        return wire_failed(m);
    }
    record->payload = m->input;
    return stream_check_payload(record, why) || move_fail(m, "%s", why);
}

static const char *peer(const struct move *m)
{
    return m->source ? "target" : "source";
}

bool move_receive(struct move *m, struct stream_record *record)
{
    char reason[AGENT_TEXT_MAX];

    *record = (struct stream_record){.type = 0};
    do {
        /* A peer that has always more to say does not keep the loop from its work. */
        task_wait_always(-1, 0, agent_now());
        if (task_is_cancelled()) { /* whatever has come since that was said */
            return move_fail(m, "cancelled");
        }
        if (!receive_one(m, record)) {
            return false;
        }
    } while (!stream_type_is_known(record->type));
    if (record->type == STREAM_REFUSE || record->type == STREAM_CANCEL) {
        stream_get_reason(record, reason);
        m->refused = true;
        return move_fail(m, "the %s: %.200s", peer(m), reason);
    }
    return true;
}

bool move_expect(struct move *m, enum stream_type type, struct stream_record *record)
{
    return move_receive(m, record) &&
           (record->type == type ||
            move_fail(m, "a record %s came where %s was expected", stream_type_name(record->type),
                      stream_type_name((uint16_t)type)));
}

/* ---- What moves, and what it is like ---- */

bool move_send_description(struct move *m)
{
    if (!move_send(m, STREAM_VM, stream_put_vm(move_payload(m), &m->vm))) {
        return false;
    }
    for (uint32_t i = 0; i <= m->vm.vfs; i++) {
        if (!move_send(m, STREAM_TEXT, stream_put_text(move_payload(m), i, m->text[i]))) {
            return false;
        }
    }
    return true;
}

bool move_receive_description(struct move *m, struct stream_vm *vm)
{
    struct stream_record record;
    char why[AGENT_TEXT_MAX];
    uint32_t device;

    if (!move_expect(m, STREAM_VM, &record)) {
        return false;
    }
    if (!stream_get_vm(&record, vm, why)) {
        return move_fail(m, "%s", why);
    }
    for (uint32_t i = 0; i <= vm->vfs; i++) {
        if (!move_expect(m, STREAM_TEXT, &record)) {
            return false;
        }
        if (!stream_get_text(&record, &device, m->theirs[i], why) || device != i) {
            return move_fail(m, "the texts of the %s make no sense", peer(m));
        }
    }
    return true;
}
