/* SPDX-License-Identifier: BSD-2-Clause */
/* Events in the words of the hardware: vmm/vm/backend.h. */
#include "vmm/base/x86.h"
#include "vmm/vm/backend.h"

static const uint8_t types[] = {
    [VCPU_EVENT_INTERRUPT] = VCPU_EVENT_TYPE_INTERRUPT,
    [VCPU_EVENT_NMI] = VCPU_EVENT_TYPE_NMI,
    [VCPU_EVENT_EXCEPTION] = VCPU_EVENT_TYPE_EXCEPTION,
};

uint32_t vcpu_event_word(const struct vcpu_event *event)
{
    if (event->kind == VCPU_EVENT_NONE) {
        return 0;
    }
    return event->vector | VCPU_EVENT_VALID |
           (uint32_t)types[event->kind] << VCPU_EVENT_TYPE_SHIFT |
           (event->has_error ? VCPU_EVENT_HAS_ERROR : 0);
}

/*
 * INT n, INT3 and INTO are not delivered a second time: the guest's rip still points at them, and
 * they are simply executed again. A type of 'exception' with a vector that is none comes from a CPU
 * that does not tell the types apart.
 */
struct vcpu_event vcpu_event_of(uint32_t word, uint32_t error)
{
    struct vcpu_event event = {.kind = VCPU_EVENT_NONE, .vector = (uint8_t)word};
    unsigned type = word >> VCPU_EVENT_TYPE_SHIFT & 7;

    if (!(word & VCPU_EVENT_VALID) || type >= VCPU_EVENT_TYPE_SOFTWARE) {
        return event;
    }
    if (type == VCPU_EVENT_TYPE_NMI ||
        (type == VCPU_EVENT_TYPE_EXCEPTION && event.vector == VECTOR_NMI)) {
        event.kind = VCPU_EVENT_NMI;
        event.vector = VECTOR_NMI;
    } else if (type == VCPU_EVENT_TYPE_INTERRUPT || event.vector >= VECTOR_EXCEPTIONS) {
        event.kind = VCPU_EVENT_INTERRUPT;
    } else if (type == VCPU_EVENT_TYPE_EXCEPTION && event.vector != VECTOR_BP &&
               event.vector != VECTOR_OF) {
        event.kind = VCPU_EVENT_EXCEPTION;
        event.has_error = word & VCPU_EVENT_HAS_ERROR;
        event.error = event.has_error ? error : 0;
    }
    return event;
}
