/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/acpi/acpi_parse.h"

#include "vmm/base/format.h"
#include "vmm/base/log.h"

#include <string.h>

static const struct {
    const char *signature;
    const char *name;
    uint32_t least; /* bytes of the header and the fixed part */
    void (*parse)(struct acpi_parse *parse);
} parsers[] = {
    {"APIC", "MADT", 44,  madt_parse},
    {"MCFG", "MCFG", 44,  mcfg_parse},
    {"DMAR", "DMAR", 48,  dmar_parse},
    {"IVRS", "IVRS", 48,  ivrs_parse},
    {"FACP", "FADT", 116, fadt_parse}, /* ACPI 1.0's */
};

_Static_assert(ARRAY_SIZE(parsers) <= ACPI_PARSERS_MAX, "a bit for each");

int acpi_parser_of(const char *signature)
{
    for (unsigned i = 0; i < ARRAY_SIZE(parsers); i++) {
        if (strcmp(parsers[i].signature, signature) == 0) {
            return (int)i;
        }
    }
    return -1;
}

enum status acpi_parse_table(const char *signature, struct acpi_window table,
                             struct acpi_facts *facts)
{
    int index = acpi_parser_of(signature);

    if (index < 0) {
        return STATUS_NOT_FOUND;
    }
    struct acpi_parse parse = {.table = table, .facts = facts, .name = parsers[index].name};

    if (table.size < parsers[index].least) {
        acpi_complain(&parse, "table of %u bytes, needs at least %u", table.size,
                      parsers[index].least);
        return STATUS_NOTE(STATUS_INVALID);
    }
    parsers[index].parse(&parse);
    if (parse.complaints > ACPI_COMPLAINTS_TOLD) {
        log_warn("ACPI: %s: %u more entries are wrong in such ways", parse.name,
                 parse.complaints - ACPI_COMPLAINTS_TOLD);
    }
    return STATUS_OK;
}

void acpi_complain(struct acpi_parse *parse, const char *fmt, ...)
{
    char text[LOG_LINE_MAX];
    va_list args;

    if (++parse->complaints > ACPI_COMPLAINTS_TOLD) {
        return;
    }
    va_start(args, fmt);
    format_args(text, sizeof(text), fmt, args);
    va_end(args);
    log_warn("ACPI: %s: %s", parse->name, text);
}

bool acpi_list_next(struct acpi_parse *parse, struct acpi_list *list)
{
    uint32_t length =
        (uint32_t)window_read(list->window, list->at + list->length_at, list->length_width);

    if (list->at >= list->window.size) {
        return false;
    }
    if (length < list->least || !window_has(list->window, list->at, length)) {
        if (parse != NULL) {
            acpi_complain(parse, "%s at offset %u has length %u of %u left; the rest is lost",
                          list->what, list->at, length, list->window.size - list->at);
        }
        return false;
    }
    list->entry = window_part(list->window, list->at, length);
    list->at += length;
    return true;
}
