/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The encodings of VMCS fields in vmcs.h, and in vmx_enter.S, against the manual: Intel SDM 3,
 * appendix B, which orders them by width, type and index; 25.11.2 says how these make an encoding.
 */
#include "vmm/base/types.h"
#include "vmm/vmx/vmcs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum width { BITS_16, BITS_64, BITS_32, NATURAL };
enum type { CONTROL, READ_ONLY, GUEST, HOST };

static const struct row {
    const char *name; /* without VMCS_ */
    uint8_t width, type, index;
} rows[] = {
    {"VPID",               BITS_16, CONTROL,   0 },
    {"SELECTORS",          BITS_16, GUEST,     0 },
    {"INTERRUPT_STATUS",   BITS_16, GUEST,     8 },
    {"LOG_INDEX",          BITS_16, GUEST,     9 },
    {"HOST_ES",            BITS_16, HOST,      0 },
    {"HOST_CS",            BITS_16, HOST,      1 },
    {"HOST_SS",            BITS_16, HOST,      2 },
    {"HOST_DS",            BITS_16, HOST,      3 },
    {"HOST_FS",            BITS_16, HOST,      4 },
    {"HOST_GS",            BITS_16, HOST,      5 },
    {"HOST_TR",            BITS_16, HOST,      6 },
    {"MSR_BITMAP",         BITS_64, CONTROL,   2 },
    {"LOG",                BITS_64, CONTROL,   7 },
    {"TSC_OFFSET",         BITS_64, CONTROL,   8 },
    {"VIRTUAL_APIC",       BITS_64, CONTROL,   9 },
    {"APIC_ACCESS",        BITS_64, CONTROL,   10},
    {"EPT_POINTER",        BITS_64, CONTROL,   13},
    {"EOI_EXITS",          BITS_64, CONTROL,   14},
    {"ENCLS_BITMAP",       BITS_64, CONTROL,   23},
    {"TSC_MULTIPLIER",     BITS_64, CONTROL,   25},
    {"PHYSICAL_ADDRESS",   BITS_64, READ_ONLY, 0 },
    {"LINK_POINTER",       BITS_64, GUEST,     0 },
    {"DEBUGCTL",           BITS_64, GUEST,     1 },
    {"PAT",                BITS_64, GUEST,     2 },
    {"EFER",               BITS_64, GUEST,     3 },
    {"PDPTES",             BITS_64, GUEST,     5 },
    {"HOST_PAT",           BITS_64, HOST,      0 },
    {"HOST_EFER",          BITS_64, HOST,      1 },
    {"PIN_CONTROLS",       BITS_32, CONTROL,   0 },
    {"PRIMARY_CONTROLS",   BITS_32, CONTROL,   1 },
    {"EXCEPTIONS",         BITS_32, CONTROL,   2 },
    {"PF_MASK",            BITS_32, CONTROL,   3 },
    {"PF_MATCH",           BITS_32, CONTROL,   4 },
    {"CR3_TARGETS",        BITS_32, CONTROL,   5 },
    {"EXIT_CONTROLS",      BITS_32, CONTROL,   6 },
    {"EXIT_STORES",        BITS_32, CONTROL,   7 },
    {"EXIT_LOADS",         BITS_32, CONTROL,   8 },
    {"ENTRY_CONTROLS",     BITS_32, CONTROL,   9 },
    {"ENTRY_LOADS",        BITS_32, CONTROL,   10},
    {"ENTRY_EVENT",        BITS_32, CONTROL,   11},
    {"ENTRY_ERROR",        BITS_32, CONTROL,   12},
    {"TPR_THRESHOLD",      BITS_32, CONTROL,   14},
    {"SECONDARY_CONTROLS", BITS_32, CONTROL,   15},
    {"PLE_GAP",            BITS_32, CONTROL,   16},
    {"PLE_WINDOW",         BITS_32, CONTROL,   17},
    {"INSTRUCTION_ERROR",  BITS_32, READ_ONLY, 0 },
    {"EXIT_REASON",        BITS_32, READ_ONLY, 1 },
    {"EXIT_EVENT",         BITS_32, READ_ONLY, 2 },
    {"EXIT_ERROR",         BITS_32, READ_ONLY, 3 },
    {"VECTORING_EVENT",    BITS_32, READ_ONLY, 4 },
    {"VECTORING_ERROR",    BITS_32, READ_ONLY, 5 },
    {"LENGTH",             BITS_32, READ_ONLY, 6 },
    {"LIMITS",             BITS_32, GUEST,     0 },
    {"RIGHTS",             BITS_32, GUEST,     10},
    {"INTERRUPTIBILITY",   BITS_32, GUEST,     18},
    {"ACTIVITY",           BITS_32, GUEST,     19},
    {"SYSENTER_CS",        BITS_32, GUEST,     21},
    {"HOST_SYSENTER_CS",   BITS_32, HOST,      0 },
    {"CR0_MASK",           NATURAL, CONTROL,   0 },
    {"CR4_MASK",           NATURAL, CONTROL,   1 },
    {"CR0_SHADOW",         NATURAL, CONTROL,   2 },
    {"CR4_SHADOW",         NATURAL, CONTROL,   3 },
    {"QUALIFICATION",      NATURAL, READ_ONLY, 0 },
    {"CR0",                NATURAL, GUEST,     0 },
    {"CR3",                NATURAL, GUEST,     1 },
    {"CR4",                NATURAL, GUEST,     2 },
    {"BASES",              NATURAL, GUEST,     3 },
    {"DR7",                NATURAL, GUEST,     13},
    {"RSP",                NATURAL, GUEST,     14},
    {"RIP",                NATURAL, GUEST,     15},
    {"RFLAGS",             NATURAL, GUEST,     16},
    {"PENDING_DEBUG",      NATURAL, GUEST,     17},
    {"SYSENTER_ESP",       NATURAL, GUEST,     18},
    {"SYSENTER_EIP",       NATURAL, GUEST,     19},
    {"HOST_CR0",           NATURAL, HOST,      0 },
    {"HOST_CR3",           NATURAL, HOST,      1 },
    {"HOST_CR4",           NATURAL, HOST,      2 },
    {"HOST_FS_BASE",       NATURAL, HOST,      3 },
    {"HOST_GS_BASE",       NATURAL, HOST,      4 },
    {"HOST_TR_BASE",       NATURAL, HOST,      5 },
    {"HOST_GDTR_BASE",     NATURAL, HOST,      6 },
    {"HOST_IDTR_BASE",     NATURAL, HOST,      7 },
    {"HOST_SYSENTER_ESP",  NATURAL, HOST,      8 },
    {"HOST_SYSENTER_EIP",  NATURAL, HOST,      9 },
    {"HOST_RSP",           NATURAL, HOST,      10},
    {"HOST_RIP",           NATURAL, HOST,      11},
};

static const struct row *find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* A line that gives a name a number: NAME, of SIZE bytes, and the number. */
static bool take_apart(const char *line, char *name, size_t size, unsigned long *number)
{
    const char *at = strstr(line, "VMCS_");
    size_t length = at ? strspn(at + 5, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") : 0;

    if (!at || length >= size) {
        return false;
    }
    memcpy(name, at + 5, length);
    name[length] = '\0';
    at += 5 + length;
    at += strspn(at, " =,");
    *number = strtoul(at, NULL, 16);
    return strncmp(at, "0x", 2) == 0;
}

/* The lines of the file PATH from one that begins with FROM to one with '}': how many name a field.
 */
static unsigned check_file(const char *path, const char *from)
{
    FILE *file = fopen(path, "r");
    char line[200], name[64];
    unsigned long encoding;
    unsigned count = 0;
    bool on = false;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        on |= strncmp(line, from, strlen(from)) == 0;
        if (on && line[0] == '}') {
            break;
        }
        if (on && take_apart(line, name, sizeof(name), &encoding)) {
            const struct row *row = find(name);

            if (!row) {
                fail_msg("%s: no field '%s' is in the table", path, name);
            } else {
                assert_int_equal(encoding, row->width << 13 | row->type << 10 | row->index << 1);
            }
            count++;
        }
    }
    (void)fclose(file);
    return count;
}

static void test_header(void **state)
{
    assert_int_equal(check_file(SOURCES "/vmm/vmx/vmcs.h", "enum vmcs_field"), ARRAY_SIZE(rows));
}

static void test_assembly(void **state)
{
    assert_in_range(check_file(SOURCES "/vmm/vmx/vmx_enter.S", ""), 5, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_assembly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
