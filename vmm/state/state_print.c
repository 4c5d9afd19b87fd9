/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/base/format.h"
#include "vmm/state/state.h"

#define LINE_SIZE  120U
#define NAME_WIDTH 24
#define SHOWN      8U /* elements of an array */

static bool is_zero(const struct field *field, const void *state, uint32_t first)
{
    for (uint32_t i = first; i < field->count; i++) {
        if (state_element(field, state, i) != 0) {
            return false;
        }
    }
    return true;
}

static void print_field(const struct field *field, const void *state, state_print_line print,
                        void *context)
{
    char line[LINE_SIZE];
    int used = format(line, sizeof(line), "%-*s", NAME_WIDTH, field->name);
    uint32_t shown = field->count < SHOWN ? field->count : SHOWN;
    int digits = shown < field->count && field->width > 4 ? 1 : 2 * field->width;

    if (field->count > 1 && is_zero(field, state, 0)) {
        (void)format(line, sizeof(line), "%-*s %u x 0", NAME_WIDTH, field->name, field->count);
        print(context, line);
        return;
    }
    for (uint32_t i = 0; i < shown && used > 0 && (size_t)used < sizeof(line); i++) {
        used += format(line + used, sizeof(line) - (size_t)used, " %0*llx", digits,
                       (unsigned long long)state_element(field, state, i));
    }
    if (shown < field->count && used > 0 && (size_t)used < sizeof(line)) {
        (void)format(line + used, sizeof(line) - (size_t)used, " ... of %u%s", field->count,
                     is_zero(field, state, shown) ? ", the rest 0" : "");
    }
    print(context, line);
}

void state_print(const struct section *section, const void *state, state_print_line print,
                 void *context)
{
    for (uint32_t i = 0; i < section->fields; i++) {
        print_field(&section->field[i], state, print, context);
    }
}
