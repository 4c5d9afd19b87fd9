/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams of VMs as versions of the VMM wrote them: golden/N.bin. Each must load for ever; the last
 * one is what this version writes. When a section's version grows, the test says so and where it
 * has put the new stream: that becomes the next file.
 */
#include "tests/unit/pc/fake_edge.h"
#include "vmm/legacy/legacy_state.h"
#include "vmm/state/state.h"
#include "vmm/vm/cpu_state.h"
#include "vmm/vm/model.h"
#include "vmm/vm/vm_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN     "tests/unit/state/golden/" /* in the tree */
#define LATEST     2
#define VCPUS      2U
#define STREAM_MAX 65536U

/* What checks of sections ask of the host's CPU: it takes all. */
struct model_facts model_facts = {
    .physical_bits = 48, .cr4 = UINT64_MAX, .efer = UINT64_MAX, .xcr0 = 7};

uint32_t fpu_mxcsr_mask(void)
{
    return UINT32_MAX;
}

bool model_check(const struct cpu_state *state)
{
    return true;
}

bool model_xcr0_is_valid(uint64_t value)
{
    return value == 7;
}

static struct pc pc;
static struct cpu_state cpu[VCPUS];
static struct legacy_state function;
static struct vm_clock clock;
static uint32_t screen[VGA_MEMORY_SIZE / 4];
static uint8_t stream[STREAM_MAX], golden[STREAM_MAX];

/* A guest has been at work: devices are not as after a reset. */
static void make_machine(void)
{
    const struct pc_config config = {.vcpu_count = VCPUS,
                                     .memory_below_4g = 64 << 20,
                                     .tsc_hz = 3000000000,
                                     .rtc_seconds = 1700000000,
                                     .keyboard = true,
                                     .mouse = true,
                                     .screen = screen,
                                     .firmware = true};

    memset(&pc, 0, sizeof(pc));
    fake_edge_clear();
    assert_int_equal(pc_init(&pc, &config), STATUS_OK);
    pc_port_write(&pc, 0x43, 1, 0x34, 1000);
    pc_port_write(&pc, 0x40, 1, 0x9c, 1001);
    pc_port_write(&pc, 0x40, 1, 0x2e, 1002);
    pc_port_write(&pc, 0x20, 1, 0x11, 1003);
    pc_port_write(&pc, 0x21, 1, 0x30, 1004);
    pc_port_write(&pc, 0x70, 1, 0x0b, 1005);
    pc_port_write(&pc, 0x3f9, 1, 3, 1006);
    pc_port_write(&pc, 0xcf8, 4, 0x80000858, 1007);
    (void)pc_key(&pc, 'a', 1008);
    for (unsigned i = 0; i < VCPUS; i++) {
        memset(&cpu[i], 0, sizeof(cpu[i]));
        for (unsigned n = 0; n < 16; n++) {
            cpu[i].gpr[n] = 0x1111111111111111ULL * n + i;
        }
        cpu[i].rip = 0x401000 + i;
        cpu[i].rflags = 0x202;
        cpu[i].cr0 = 0x11;
        cpu[i].cr3 = 0x1000;
        cpu[i].segment[STATE_TR].attributes = 0x8b;
        cpu[i].tsc_offset = 12345;
        cpu[i].fpu.xcr0 = 7;
        cpu[i].fpu.area[FPU_AREA_BV] = 7;
    }
    clock = (struct vm_clock){.ns = 1009, .tsc = 3027, .tsc_hz = 3000000000, .paused = 1};
    memset(&function, 0, sizeof(function));
    function.status = 7;
    function.features = 0x30006e54;
    function.queue[0] = (struct legacy_queue){.pfn = 0x1234, .size = 256, .vector = 1};
    function.table[1] = (struct legacy_msix_entry){.address = 0xfee00000, .data = 0x41};
}

static size_t write_stream(void)
{
    struct state_writer writer;

    state_writer_init(&writer, stream, sizeof(stream));
    for (unsigned i = 0; i < VCPUS; i++) {
        state_put_section(&writer, &cpu_section, i, &cpu[i]);
    }
    state_put_all(&writer, pc_sections, pc_section_count, VCPUS, &pc);
    state_put_section(&writer, &legacy_section, 0, &function);
    state_put_section(&writer, &clock_section, 0, &clock);
    assert_false(state_overflowed(&writer));
    return writer.used;
}

/* Files before the second had no clock. */
static enum status read_stream(const uint8_t *bytes, size_t size, bool has_clock)
{
    struct state_reader reader;
    enum status status = STATUS_OK;

    state_reader_init(&reader, bytes, size);
    for (unsigned i = 0; i < VCPUS && status == STATUS_OK; i++) {
        status = state_find_section(&reader, &cpu_section, i, &cpu[i]);
    }
    if (status == STATUS_OK) {
        status = state_get_all(&reader, pc_sections, pc_section_count, VCPUS, &pc);
    }
    if (status == STATUS_OK) {
        status = state_find_section(&reader, &legacy_section, 0, &function);
    }
    if (status == STATUS_OK && has_clock) {
        status = state_find_section(&reader, &clock_section, 0, &clock);
    }
    status = status == STATUS_OK ? state_end(&reader) : status;
    if (status != STATUS_OK) {
        print_message("%s\n", reader.problem);
    }
    return status;
}

/* Returns its size, into 'golden'; 0: there is none. */
static size_t read_golden(unsigned number)
{
    char name[64];

    (void)snprintf(name, sizeof(name), GOLDEN "%u.bin", number);
    FILE *file = fopen(name, "rb");

    if (!file) {
        return 0;
    }
    size_t size = fread(golden, 1, sizeof(golden), file);

    (void)fclose(file);
    return size;
}

static void test_all_load(void **state)
{
    for (unsigned i = 1; i <= LATEST; i++) {
        size_t size = read_golden(i);

        assert_true(size > 0);
        make_machine();
        pc_fill(&pc, 0xa5);
        memset(cpu, 0xa5, sizeof(cpu));
        memset(&function, 0xa5, sizeof(function));
        memset(&clock, 0xa5, sizeof(clock));
        assert_int_equal(read_stream(golden, size, i >= 2), STATUS_OK);
        assert_int_equal(cpu[1].gpr[15], 15 * 0x1111111111111111ULL + 1);
        assert_int_equal(cpu[1].rip, 0x401001);
        assert_int_equal(function.queue[0].pfn, 0x1234);
        assert_int_equal(pc.pit.state.channel[0].count, 0x2e9c);
        assert_int_equal(pc.uart.interrupt_enable, 3);
        assert_int_equal(pc.rtc.state.index, 0x0b);
        assert_true(i < 2 || (clock.ns == 1009 && clock.tsc == 3027 && clock.paused == 1));
    }
}

/* Before it had them: the host's rate, and a VM that runs. */
static void test_older_clocks(void **state)
{
    struct section older = clock_section;

    for (older.version = 1; older.version <= 2; older.version++) {
        struct state_writer writer;
        struct state_reader reader;

        make_machine();
        older.fields = older.version + 1;
        state_writer_init(&writer, stream, sizeof(stream));
        state_put_section(&writer, &older, 0, &clock);
        memset(&clock, 0xa5, sizeof(clock));
        state_reader_init(&reader, stream, writer.used);
        assert_int_equal(state_find_section(&reader, &clock_section, 0, &clock), STATUS_OK);
        assert_int_equal(clock.ns, 1009);
        assert_int_equal(clock.tsc_hz, older.version == 2 ? 3000000000 : 0);
        assert_int_equal(clock.paused, 0);
    }
}

static void test_this_version(void **state)
{
    size_t size = read_golden(LATEST);

    make_machine();
    size_t now = write_stream();

    if (now != size || memcmp(stream, golden, size) != 0) {
        FILE *file = fopen(P_tmpdir "/golden-new.bin", "wb");

        assert_non_null(file);
        assert_int_equal(fwrite(stream, 1, now, file), now);
        assert_int_equal(fclose(file), 0);
        fail_msg("the stream is another one: " P_tmpdir "/golden-new.bin is the next of " GOLDEN);
    }
}

/* Behind all, before all, or in between: one that can be done without is skipped, others refuse. */
static void test_unknown_sections(void **state)
{
    struct {
        uint32_t word;
    } unknown = {5};
    const struct field field = {
        .name = "word", .width = 4, .since = 1, .count = 1, .max = UINT32_MAX};
    struct section section = {
        .name = "later", .version = 1, .size = sizeof(unknown), .fields = 1, .field = &field};
    size_t size;

    for (unsigned optional = 0; optional <= 1; optional++) {
        for (unsigned place = 0; place < 3; place++) {
            struct state_writer writer;

            make_machine();
            section.optional = optional;
            state_writer_init(&writer, golden, sizeof(golden));
            for (unsigned i = 0; i < VCPUS; i++) {
                if (place == i) {
                    state_put_section(&writer, &section, 0, &unknown);
                }
                state_put_section(&writer, &cpu_section, i, &cpu[i]);
            }
            state_put_all(&writer, pc_sections, pc_section_count, VCPUS, &pc);
            state_put_section(&writer, &legacy_section, 0, &function);
            if (place == 2) {
                state_put_section(&writer, &section, 0, &unknown);
            }
            size = writer.used;
            assert_int_equal(read_stream(golden, size, false),
                             optional ? STATUS_OK : STATUS_INVALID);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_load),
        cmocka_unit_test(test_this_version),
        cmocka_unit_test(test_older_clocks),
        cmocka_unit_test(test_unknown_sections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
