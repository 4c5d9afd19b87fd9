/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines, sections and keys. What a value means is store.c's business, what fits together
 * config_check.c's.
 */
#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/config/config.h"
#include "vmm/config/config_check.h"
#include "vmm/config/config_keys.h"
#include "vmm/config/value.h"

#include <string.h>

struct parser {
    struct config *config;
    struct config_report *report;
    uint32_t line;
    enum config_section kind;
    void *section; /* where keys go now; NULL: before the first section, or in a bad one */
    struct config_lines *lines; /* of that section */
    bool skipping;              /* in a section that was refused: say nothing more about it */
};

static void set_defaults(struct config *config, const char *name)
{
    memset(config, 0, sizeof(*config));
    config->name = name;
    config->vmm.serial = (struct config_serial){0x3f8, 115200};
    config->vmm.framebuffer = 1;
    config->vmm.log = LOG_INFO;
}

static void section_enter(struct parser *parser, enum config_section kind, void *section,
                          struct config_lines *lines)
{
    parser->kind = kind;
    parser->section = section;
    parser->lines = lines;
    parser->skipping = false;
    lines->section = parser->line;
}

static void section_vmm(struct parser *parser, struct slice rest)
{
    struct config_vmm *vmm = &parser->config->vmm;

    if (rest.length > 0) {
        config_error(parser->report, parser->line, "[vmm] takes no name, but '%s' stands behind it",
                     QUOTE(rest));
        config_fix(parser->report, "write [vmm]");
    } else if (vmm->lines.section) {
        config_error(parser->report, parser->line, "[vmm] stands here again (first on line %u)",
                     vmm->lines.section);
        config_fix(parser->report, "join the two sections");
    } else {
        section_enter(parser, SECTION_VMM, vmm, &vmm->lines);
    }
}

static bool vm_name_ok(struct slice name)
{
    for (size_t i = 0; i < name.length; i++) {
        char c = name.at[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-') {
            return false;
        }
    }
    return name.length > 0 && name.length < CONFIG_NAME_MAX;
}

static void section_vm(struct parser *parser, struct slice name)
{
    struct config *config = parser->config;

    if (!vm_name_ok(name)) {
        config_error(parser->report, parser->line, "'%s' cannot be the name of a VM", QUOTE(name));
        config_fix(parser->report, "write [vm NAME] with 1 to %u small letters, digits and '-'",
                   CONFIG_NAME_MAX - 1);
        return;
    }
    for (uint32_t i = 0; i < config->vm_count; i++) {
        if (slice_is(name, config->vms[i].name)) {
            config_error(parser->report, parser->line, "a VM '%s' is there already (line %u)",
                         config->vms[i].name, config->vms[i].lines.section);
            config_fix(parser->report, "give one of the two another name");
            return;
        }
    }
    if (config->vm_count == CONFIG_VMS_MAX) {
        config_error(parser->report, parser->line, "more than %u VMs", CONFIG_VMS_MAX);
        config_fix(parser->report, "remove some [vm] sections");
        return;
    }
    struct config_vm *vm = &config->vms[config->vm_count++];

    memcpy(vm->name, name.at, name.length);
    vm->autostart = 1;
    section_enter(parser, SECTION_VM, vm, &vm->lines);
}

static void section_pf(struct parser *parser, struct slice name)
{
    struct config *config = parser->config;
    bdf_t bdf;

    if (!value_bdf(name, &bdf)) {
        config_error(parser->report, parser->line, "'%s' is not a PCI address", QUOTE(name));
        config_fix(parser->report,
                   "write [pf SSSS:BB:DD.F] as the report shows it: [pf 0000:01:00.0]");
        return;
    }
    for (uint32_t i = 0; i < config->pf_count; i++) {
        if (bdf_equal(bdf, config->pfs[i].bdf)) {
            config_error(parser->report, parser->line,
                         "the PF " BDF_FORMAT " has a section already (line %u)", BDF_ARGS(bdf),
                         config->pfs[i].lines.section);
            config_fix(parser->report, "join the two sections");
            return;
        }
    }
    if (config->pf_count == CONFIG_PFS_MAX) {
        config_error(parser->report, parser->line, "more than %u PFs", CONFIG_PFS_MAX);
        config_fix(parser->report, "remove some [pf] sections");
        return;
    }
    struct config_pf *pf = &config->pfs[config->pf_count++];

    pf->bdf = bdf;
    section_enter(parser, SECTION_PF, pf, &pf->lines);
}

static void parse_section(struct parser *parser, struct slice text)
{
    parser->section = NULL;
    parser->skipping = true;
    if (text.at[text.length - 1] != ']') {
        config_error(parser->report, parser->line, "']' is missing at the end of '%s'",
                     QUOTE(text));
        config_fix(parser->report, "write [vmm], [vm NAME] or [pf BDF] on a line of its own");
        return;
    }
    struct slice rest = slice_trim((struct slice){text.at + 1, text.length - 2});
    struct slice kind = slice_cut(&rest, ' ');

    rest = slice_trim(rest);
    if (slice_is(kind, "vmm")) {
        section_vmm(parser, rest);
    } else if (slice_is(kind, "vm")) {
        section_vm(parser, rest);
    } else if (slice_is(kind, "pf")) {
        section_pf(parser, rest);
    } else {
        config_error(parser->report, parser->line, "there is no section '%s'", QUOTE(text));
        config_fix(parser->report, "write [vmm], [vm NAME] or [pf BDF]");
    }
}

static bool key_repeats(const struct config_key *key)
{
    return key->type == TYPE_VF || key->type == TYPE_MODULES;
}

/* The names of all keys of a section, for the remedy. */
static void key_names(enum config_section kind, char *buffer, size_t size)
{
    const struct config_section_keys *section = &config_sections[kind];
    size_t used = 0;

    buffer[0] = '\0';
    for (uint32_t i = 0; i < section->count && used < size; i++) {
        int n = format(buffer + used, size - used, "%s%s", i ? ", " : "", section->keys[i].name);

        used += n > 0 ? (size_t)n : 0;
    }
}

static void parse_key_value(struct parser *parser, struct slice name, struct slice value)
{
    const struct config_key *keys = config_sections[parser->kind].keys;

    for (uint32_t i = 0; i < config_sections[parser->kind].count; i++) {
        if (!slice_is(name, keys[i].name)) {
            continue;
        }
        if (parser->lines->key[i] && !key_repeats(&keys[i])) {
            config_error(parser->report, parser->line, "'%s' stands here again (first on line %u)",
                         keys[i].name, parser->lines->key[i]);
            config_fix(parser->report, "remove one of the two lines");
            return;
        }
        parser->lines->key[i] = parser->lines->key[i] ? parser->lines->key[i] : parser->line;
        if (value.length == 0) {
            config_error(parser->report, parser->line, "'%s' has no value", keys[i].name);
            config_fix(parser->report, "write one behind the '=', or remove the line");
            return;
        }
        config_store(parser->section, &keys[i], value, parser->line, parser->report);
        return;
    }
    char names[240];

    key_names(parser->kind, names, sizeof(names));
    config_error(parser->report, parser->line, "[%s] has no key '%s'",
                 config_sections[parser->kind].name, QUOTE(name));
    config_fix(parser->report, "its keys are: %s", names);
}

static void parse_key(struct parser *parser, struct slice text)
{
    if (parser->skipping) {
        return;
    }
    if (!memchr(text.at, '=', text.length)) {
        config_error(parser->report, parser->line, "'%s' is neither a section nor 'key = value'",
                     QUOTE(text));
        config_fix(parser->report,
                   "write 'key = value', or begin the line with '#' to make it a comment");
        return;
    }
    if (!parser->section) {
        config_error(parser->report, parser->line, "'%s' stands before the first section",
                     QUOTE(text));
        config_fix(parser->report, "begin with [vmm], [vm NAME] or [pf BDF]");
        return;
    }
    struct slice value = text, name = slice_trim(slice_cut(&value, '='));

    parse_key_value(parser, name, slice_trim(value));
}

/* Printable ASCII and tabs only: anything else could be a mistake that nobody sees. */
static bool line_ok(struct parser *parser, struct slice text)
{
    if (text.length > CONFIG_LINE_MAX) {
        config_error(parser->report, parser->line, "the line has %zu characters, more than %u",
                     text.length, CONFIG_LINE_MAX);
        config_fix(parser->report, "shorten it");
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if ((c < ' ' && c != '\t') || c > '~') {
            config_error(parser->report, parser->line,
                         "character %zu is not ASCII text (byte 0x%02x)", i + 1, c);
            config_fix(parser->report,
                       "save the file as plain ASCII text and remove that character");
            return false;
        }
    }
    return true;
}

static void parse_line(struct parser *parser, struct slice text)
{
    if (text.length > 0 && text.at[text.length - 1] == '\r') {
        text.length--;
    }
    struct slice trimmed = slice_trim(text);

    if (trimmed.length == 0 || trimmed.at[0] == '#' || trimmed.at[0] == ';') {
        return;
    }
    if (!line_ok(parser, text)) {
        return;
    }
    if (trimmed.at[0] == '[') {
        parse_section(parser, trimmed);
    } else {
        parse_key(parser, trimmed);
    }
}

enum status config_parse(struct config *config, const char *name, const char *text, size_t size,
                         struct config_report *report)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    struct parser parser = {.config = config, .report = report};

    set_defaults(config, name);
    config_report_init(report, name);
    if (size > CONFIG_SIZE_MAX) {
        config_error(report, 0, "the file has %zu bytes, more than %u", size, CONFIG_SIZE_MAX);
        config_fix(report, "is this the right file? remove comments if it is");
        return STATUS_NOTE(STATUS_INVALID);
    }
    struct slice rest = {text, size};

    if (size >= 3 && memcmp(text, byte_order_mark, 3) == 0) {
        rest = (struct slice){text + 3, size - 3};
    }
    while (rest.length > 0) {
        parser.line++;
        parse_line(&parser, slice_cut(&rest, '\n'));
    }
    for (uint32_t i = 0; i < config->vm_count; i++) {
        struct config_vm *vm = &config->vms[i];

        if (vm->lines.key[VM_VGA] == 0) {
            vm->vga = vm->firmware.text[0] && vm->vga_rom.text[0];
        }
    }
    config_check(config, report);
    return report->errors ? STATUS_NOTE(STATUS_INVALID) : STATUS_OK;
}
