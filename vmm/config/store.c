/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/config/value.h"

#include "vmm/base/format.h"
#include "vmm/config/config.h"

#include <string.h>

#define BAUD_DEFAULT  115200U
#define BAUD_CLOCK    115200U /* a 16550 divides this */
#define SLOT_MIN      2U
#define SLOT_MAX      31U
#define CPU_INDEX_MAX 255U

/* What a value is being stored with: passed on as one. */
struct store {
    const struct config_key *key;
    uint32_t line;
    struct config_report *report;
};

/* SIZE as a person writes it. */
static void size_text(uint64_t size, char *buffer, size_t length)
{
    static const char units[] = {'T', 'G', 'M', 'K'};

    for (unsigned i = 0; i < sizeof(units); i++) {
        unsigned shift = 40 - 10 * i;

        if (size > 0 && size % (1ULL << shift) == 0) {
            (void)format(buffer, length, "%lu%c", (unsigned long)(size >> shift), units[i]);
            return;
        }
    }
    (void)format(buffer, length, "%lu", (unsigned long)size);
}

static void store_yes_no(uint32_t *to, struct slice value, const struct store *store)
{
    int index = value_word(value, "no yes");

    if (index < 0) {
        config_error(store->report, store->line, "'%s' is '%s', which is neither yes nor no",
                     store->key->name, QUOTE(value));
        config_fix(store->report, "write '%s = yes' or '%s = no'", store->key->name,
                   store->key->name);
        return;
    }
    *to = (uint32_t)index;
}

static void store_word(uint32_t *to, struct slice value, const struct store *store)
{
    int index = value_word(value, store->key->words);

    if (index < 0) {
        config_error(store->report, store->line, "'%s' cannot be '%s'", store->key->name,
                     QUOTE(value));
        config_fix(store->report, "choose one of: %s", store->key->words);
        return;
    }
    *to = (uint32_t)index;
}

static void store_number(uint32_t *to, struct slice value, const struct store *store)
{
    const struct config_key *key = store->key;
    char word[32] = "";
    uint64_t number;

    if (key->words) {
        (void)format(word, sizeof(word), ", or write '%s'", key->words);
    }
    if (key->words && slice_is(value, key->words)) {
        *to = 0;
    } else if (!value_number(value, &number)) {
        config_error(store->report, store->line, "'%s' is '%s', which is not a number", key->name,
                     QUOTE(value));
        config_fix(store->report,
                   "write a decimal number, or a hexadecimal one with 0x before it%s", word);
    } else if (number < key->min || number > key->max) {
        config_error(store->report, store->line, "'%s' is %s, out of range", key->name,
                     QUOTE(value));
        config_fix(store->report, "choose from %lu to %lu%s", (unsigned long)key->min,
                   (unsigned long)key->max, word);
    } else {
        *to = (uint32_t)number;
    }
}

static void store_size(uint64_t *to, struct slice value, const struct store *store)
{
    char min[24], max[24], step[24];
    uint64_t size;

    size_text(store->key->min, min, sizeof(min));
    size_text(store->key->max, max, sizeof(max));
    size_text(store->key->step, step, sizeof(step));
    if (!value_size(value, &size)) {
        config_error(store->report, store->line, "'%s' is '%s', which is not a size",
                     store->key->name, QUOTE(value));
        config_fix(store->report,
                   "write a number of bytes, or one with K, M, G or T behind it: 512M");
    } else if (size < store->key->min || size > store->key->max) {
        config_error(store->report, store->line, "'%s' is %s, out of range", store->key->name,
                     QUOTE(value));
        config_fix(store->report, "choose from %s to %s", min, max);
    } else if (size % store->key->step) {
        config_error(store->report, store->line, "'%s' is %s, not a multiple of %s",
                     store->key->name, QUOTE(value), step);
        config_fix(store->report, "round it to a multiple of %s", step);
    } else {
        *to = size;
    }
}

static bool store_copy(char *to, size_t room, struct slice value, const struct store *store)
{
    if (value.length >= room) {
        config_error(store->report, store->line, "'%s' has %zu characters, more than %zu",
                     store->key->name, value.length, room - 1);
        config_fix(store->report, "shorten it");
        return false;
    }
    memcpy(to, value.at, value.length);
    to[value.length] = '\0';
    return true;
}

static void store_path(struct config_path *to, struct slice value, const struct store *store)
{
    if (!value_path_ok(value)) {
        config_error(store->report, store->line, "'%s' is '%s', which cannot be a file name here",
                     store->key->name, QUOTE(value));
        config_fix(store->report,
                   "write a path from the configuration's own folder on, with '/' between "
                   "and without '..', spaces or drive letters");
        return;
    }
    (void)store_copy(to->text, sizeof(to->text), value, store);
}

static void store_serial(struct config_serial *to, struct slice value, const struct store *store)
{
    static const uint16_t named[] = {0x3f8, 0x2f8};
    struct slice rest = value, where = slice_trim(slice_cut(&rest, ','));
    uint64_t port, baud = BAUD_DEFAULT;
    int name = value_word(where, "com1 com2");

    rest = slice_trim(rest);
    if (slice_is(value, "none")) {
        *to = (struct config_serial){0, 0};
        return;
    }
    if (name >= 0) {
        port = named[name];
    } else if (!value_number(where, &port) || port < 0x100 || port > 0xfff8 || port % 8) {
        config_error(store->report, store->line, "'serial' is '%s', which is no serial line",
                     QUOTE(value));
        config_fix(store->report,
                   "write com1, com2, none, or an I/O port from 0x100 on, a multiple of 8");
        return;
    }
    if (where.length != value.length &&
        (!value_number(rest, &baud) || baud < 50 || baud > BAUD_CLOCK || BAUD_CLOCK % baud)) {
        config_error(store->report, store->line, "'%s' is no rate of a serial line", QUOTE(rest));
        config_fix(store->report, "write 115200, 57600, 38400, 19200 or 9600 behind the comma");
        return;
    }
    *to = (struct config_serial){(uint32_t)port, (uint32_t)baud};
}

static bool cpus_add(struct config_cpus *to, uint64_t cpu, const struct store *store)
{
    for (uint32_t i = 0; i < to->count; i++) {
        if (to->cpu[i] == cpu) {
            config_error(store->report, store->line, "CPU %lu stands twice in this list",
                         (unsigned long)cpu);
            config_fix(store->report, "a CPU runs one vCPU: name it once");
            return false;
        }
    }
    if (to->count == CONFIG_VM_CPUS_MAX) {
        config_error(store->report, store->line, "more than %u CPUs for one VM",
                     CONFIG_VM_CPUS_MAX);
        config_fix(store->report, "shorten the list");
        return false;
    }
    to->cpu[to->count++] = (uint16_t)cpu;
    return true;
}

/* "3" or "2-5". */
static bool cpus_range(struct config_cpus *to, struct slice item, const struct store *store)
{
    struct slice rest = item, head = slice_trim(slice_cut(&rest, '-'));
    uint64_t first, last;
    bool range = head.length != item.length;

    if (!value_number(head, &first) || (range && !value_number(slice_trim(rest), &last))) {
        config_error(store->report, store->line, "'%s' is neither a CPU number nor a range of them",
                     QUOTE(item));
        config_fix(store->report, "write numbers and ranges with commas between: 1,4-6");
        return false;
    }
    last = range ? last : first;
    if (first > last || last > CPU_INDEX_MAX) {
        config_error(store->report, store->line, "'%s' is no range of CPUs", QUOTE(item));
        config_fix(store->report, "the lower number first; CPUs are numbered 0 to %u",
                   CPU_INDEX_MAX);
        return false;
    }
    for (uint64_t cpu = first; cpu <= last; cpu++) {
        if (!cpus_add(to, cpu, store)) {
            return false;
        }
    }
    return true;
}

static void store_cpus(struct config_cpus *to, struct slice value, const struct store *store)
{
    struct slice rest = value;

    to->count = 0;
    do {
        if (!cpus_range(to, slice_trim(slice_cut(&rest, ',')), store)) {
            to->count = 0;
            return;
        }
    } while (rest.length > 0);
}

/* "slot=N" behind a VF. */
static bool vf_option(struct config_vf *vf, struct slice option, const struct store *store)
{
    struct slice number = option;
    uint64_t slot;

    if (option.length == 0) {
        return true;
    }
    if (!slice_is(slice_cut(&number, '='), "slot") || !value_number(number, &slot) ||
        slot < SLOT_MIN || slot > SLOT_MAX) {
        config_error(store->report, store->line, "'%s' is not understood behind a VF",
                     QUOTE(option));
        config_fix(store->report, "write slot=N with N from %u to %u, or nothing", SLOT_MIN,
                   SLOT_MAX);
        return false;
    }
    vf->slot = (uint32_t)slot;
    return true;
}

/* PF and INDEX of VF. */
static bool vf_address(struct config_vf *vf, struct slice address, const struct store *store)
{
    struct slice index_text = address, pf = slice_cut(&index_text, '/');
    uint64_t index;

    if (!value_bdf(pf, &vf->pf) || !value_number(index_text, &index) || index > UINT16_MAX) {
        config_error(store->report, store->line, "'%s' names no VF", QUOTE(address));
        config_fix(store->report,
                   "write the PF's address and the VF's number from 0 on: 0000:01:00.0/0");
        return false;
    }
    vf->index = (uint32_t)index;
    vf->line = store->line;
    return true;
}

static void store_vf(struct config_vfs *to, struct slice value, const struct store *store)
{
    struct slice rest = value, address = slice_cut(&rest, ' ');
    struct config_vf vf = {0};

    if (!vf_address(&vf, address, store) || !vf_option(&vf, slice_trim(rest), store)) {
        return;
    }
    if (to->count == CONFIG_VM_VFS_MAX) {
        config_error(store->report, store->line, "more than %u VFs for one VM", CONFIG_VM_VFS_MAX);
        config_fix(store->report, "remove some 'vf' lines");
        return;
    }
    to->vf[to->count++] = vf;
}

static void store_module(struct config_modules *to, struct slice value, const struct store *store)
{
    struct slice rest = value, file = slice_cut(&rest, ' ');

    if (to->count == CONFIG_MODULES_MAX) {
        config_error(store->report, store->line, "more than %u modules for one VM",
                     CONFIG_MODULES_MAX);
        config_fix(store->report, "remove some 'module' lines");
        return;
    }
    struct config_module *module = &to->module[to->count];

    module->line = store->line;
    store_path(&module->path, file, store);
    if (module->path.text[0] &&
        store_copy(module->arguments, sizeof(module->arguments), slice_trim(rest), store)) {
        to->count++;
    }
}

/* A level, or WORD:BITS with commas between: the bits that stay of a word. */
static void store_cpu(struct config_cpu *to, struct slice value, const struct store *store)
{
    int level = value_word(value, store->key->words);
    struct slice rest = value;

    if (level >= 0) {
        to->level = (uint32_t)level;
        return;
    }
    memset(to->mask, 0xff, sizeof(to->mask));
    while (rest.length > 0) {
        struct slice bits = slice_trim(slice_cut(&rest, ',')), whole = bits;
        int word = value_word(slice_cut(&bits, ':'), CONFIG_CPU_WORD_NAMES);
        uint64_t mask;

        if (word < 0 || !value_number(bits, &mask) || mask > UINT32_MAX) {
            config_error(store->report, store->line, "'%s' is neither a level nor bits of a word",
                         QUOTE(whole));
            config_fix(store->report,
                       "write %s, or bits such as c7b:0x209c01a9, with commas between; words: %s",
                       store->key->words, CONFIG_CPU_WORD_NAMES);
            return;
        }
        to->mask[word] = (uint32_t)mask;
    }
    to->level = CONFIG_CPU_MASK;
}

void config_store(void *section, const struct config_key *key, struct slice value, uint32_t line,
                  struct config_report *report)
{
    const struct store store = {key, line, report};
    void *to = (uint8_t *)section + key->offset;

    switch (key->type) {
    case TYPE_YES_NO:
        store_yes_no(to, value, &store);
        break;
    case TYPE_NUMBER:
        store_number(to, value, &store);
        break;
    case TYPE_SIZE:
        store_size(to, value, &store);
        break;
    case TYPE_WORD:
        store_word(to, value, &store);
        break;
    case TYPE_PATH:
        store_path(to, value, &store);
        break;
    case TYPE_TEXT:
        (void)store_copy(to, CONFIG_TEXT_MAX, value, &store);
        break;
    case TYPE_SERIAL:
        store_serial(to, value, &store);
        break;
    case TYPE_CPUS:
        store_cpus(to, value, &store);
        break;
    case TYPE_VF:
        store_vf(to, value, &store);
        break;
    case TYPE_STANDBY: /* its slot is that of the VF whose place it takes */
        (void)vf_address(to, value, &store);
        break;
    case TYPE_CPU:
        store_cpu(to, value, &store);
        break;
    case TYPE_MODULES:
        store_module(to, value, &store);
        break;
    }
}
