/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A checkpoint of a VM of which only its parts are plain fields: nothing that comes while it is
 * taken is lost, and what is not loaded as it was saved is found.
 */
#include "vmm/vm/checkpoint.h"

#include "tests/unit/fakes/log.h"
#include "tests/unit/fakes/pages.h"
#include "vmm/host/address_space.h"
#include "vmm/host/fpu.h"
#include "vmm/pc/clock.h"
#include "vmm/vm/backend.h"
#include "vmm/vm/low_memory.h"
#include "vmm/vm/nvram.h"
#include "vmm/vm/service.h"
#include "vmm/vm/video.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define VCPUS  2U
#define RIP    0xffffffff81000000ULL
#define NOW_NS 123456789ULL
#define TSC_HZ 2400000000ULL

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static struct legacy_function function;
static struct config_vm config = {.name = "fake"};
static unsigned kicks;

/* ---- What happens while a checkpoint is taken ---- */

static bool vf_speaks;       /* between saving and loading */
static bool vf_dies;         /* while it is loaded */
static bool turn_is_lost;    /* a part of the PC that nobody loads */
static bool vf_is_refused;   /* with what was saved of it */
static bool rate_is_refused; /* that of its TSC */
static bool seen_filled;
static uint64_t now_ns;

/* ---- The parts ---- */

static const struct field cpu_fields[] = {
    FIELD(struct cpu_state, rip, UINT64_MAX),
    FIELD(struct cpu_state, startup_vector, UINT8_MAX),
    FIELD(struct cpu_state, requests, VCPU_REQUESTS),
};
const struct section cpu_section = SECTION(struct cpu_state, "cpu", 1, cpu_fields, NULL);

static const struct field board_fields[] = {
    FIELD(struct board_state, lowest_turn, 9),
};
static const struct section board_section =
    SECTION(struct board_state, "board", 1, board_fields, NULL);
const struct section_place pc_sections[] = {
    {&board_section, offsetof(struct pc, board), 0, 1},
};
const unsigned pc_section_count = ARRAY_SIZE(pc_sections);

static const struct field legacy_fields[] = {
    FIELD(struct legacy_state, isr, 3),
    FIELD_ARRAY(struct legacy_state, arrived, UINT64_MAX),
};
const struct section legacy_section =
    SECTION(struct legacy_state, "legacy", 1, legacy_fields, NULL);

#define FLASH_SIZE (3 * FLASH_BLOCK)

static uint8_t flash[FLASH_SIZE];

void nvram_settle(struct vm *of) {}

static void give_up(struct legacy_function *f)
{
    if (vf_dies && !f->rebuilding) {
        f->state.isr = 0;
    }
}

void pc_fill(struct pc *pc, uint8_t byte)
{
    memset(&pc->board, byte, sizeof(pc->board));
    memset(&pc->flash.state, byte, sizeof(pc->flash.state));
    memset(flash, byte, sizeof(flash));
}

/* Every part has been filled before it was loaded. */
void video_settle(struct vm *of) {}
void service_settle(struct vm *of) {}

enum status vm_set_tsc_rate(struct vm *of, uint64_t *hz)
{
    assert_int_equal(*hz, TSC_HZ);
    return rate_is_refused ? STATUS_UNSUPPORTED : STATUS_OK;
}

void pc_set_tsc_rate(struct pc *pc, uint64_t hz)
{
    assert_int_equal(hz, TSC_HZ);
}

void pc_derive(struct pc *pc)
{
    seen_filled = function.state.isr == 0xa5 && vcpus[1].saved.cr3 == 0;
    pc->board.lowest_turn += turn_is_lost;
}

void low_memory_settle(struct vm *settled, bool anew) {}

/* CPU 0 gives it up as soon as it may. */
void legacy_rebuild(struct legacy_function *f, bool begun)
{
    f->rebuilding = begun;
    give_up(f);
}

void legacy_fill(struct legacy_function *f, uint8_t byte)
{
    memset(&f->state, byte, sizeof(f->state));
}

const struct legacy_state *legacy_save(struct legacy_function *f)
{
    memcpy(f->state.arrived, f->irq.arrived, sizeof(f->state.arrived));
    return &f->state;
}

enum status legacy_load(struct legacy_function *f, const struct legacy_state *from)
{
    f->irq.arrived[0] |= from->arrived[0] | (vf_speaks ? 4 : 0);
    f->state = *from;
    give_up(f);
    return vf_is_refused ? STATUS_INVALID : STATUS_OK;
}

bool model_level_allows(const struct model_level *level, const struct cpu_state *state)
{
    return true;
}

void fpu_set_reset(struct fpu_registers *fpu) {}

void fpu_load(const struct fpu_registers *fpu, bool wide) {}

static const struct cpu_state *scrambled;

static void set_state(struct vcpu *vcpu, const struct cpu_state *state)
{
    scrambled = state;
}

static const struct backend functions = {.set_state = set_state};
const struct backend *backend = &functions;

unsigned vm_count(void)
{
    return 1;
}

struct vm *vm_by_index(unsigned index)
{
    return &vm;
}

uint64_t vm_now(const struct vm *of)
{
    assert_true(of->touched == 1 || of->state == VM_STARTING);
    return now_ns;
}

bool vm_touch(struct vm *of)
{
    of->touched += of->state == VM_RUNNING && !of->frozen;
    return of->touched != 0;
}

void vm_touched(struct vm *of)
{
    of->touched--;
}

bool vm_is_stopping(const struct vm *of)
{
    return false;
}

enum status vm_request(struct vm *of, uint32_t request)
{
    of->request |= request;
    return STATUS_OK;
}

void vcpu_kick_self(struct vcpu *vcpu)
{
    assert_ptr_equal(vcpu, &vcpus[0]);
    kicks++;
}

/* ---- The tests ---- */

static int set_up(uint32_t flash_size)
{
    fake_pages_reset(100);
    fake_log_clear();
    memset(&vm, 0, sizeof(vm));
    memset(&function, 0, sizeof(function));
    vf_speaks = vf_dies = turn_is_lost = vf_is_refused = rate_is_refused = seen_filled = false;
    now_ns = 0;
    config.checkpoints = kicks = 0;
    vm.config = &config;
    vm.vcpu_count = VCPUS;
    vm.state = VM_RUNNING;
    vm.frozen = true;
    vm.clock.ns = NOW_NS;
    vm.clock.tsc_hz = TSC_HZ;
    vm.pc.board.lowest_turn = 1;
    for (unsigned i = 0; i < VCPUS; i++) {
        vcpus[i] = (struct vcpu){
            .vm = &vm, .index = i, .saved = {.rip = RIP + i, .cr3 = 1}
        };
        vm.vcpu[i] = &vcpus[i];
    }
    vm.nvram = hpa((uint64_t)flash - DIRECT_BASE);
    vm.nvram_size = flash_size;
    vm.vfs.count = 1;
    assert_int_equal(checkpoint_create(&vm), STATUS_OK);
    vm.vfs.legacy.count = 1;
    vm.vfs.legacy.function[0] = &function;
    function.state.isr = 1;
    assert_int_equal(checkpoint_request(&vm, 2), STATUS_OK);
    assert_int_equal(checkpoint_request(&vm, 1), STATUS_OK); /* more */
    return 0;
}

static int setup(void **state)
{
    return set_up(0);
}

static int setup_with_flash(void **state)
{
    return set_up(FLASH_SIZE);
}

static int teardown(void **state)
{
    checkpoint_destroy(&vm);
    assert_int_equal(fake_pages_used(), 0);
    return 0;
}

static void test_all_comes_back(void **state)
{
    for (unsigned i = 0; i < 4; i++) { /* one more than were asked for */
        seen_filled = false;
        assert_false(fake_log_contains("checkpoints taken") && i < 3);
        assert_int_equal(checkpoint_take(&vm), STATUS_OK);
        assert_true(seen_filled == (i < 3));
        assert_int_equal(vcpus[0].saved.rip, RIP);
        assert_int_equal(vcpus[1].saved.rip, RIP + 1);
        assert_int_equal(vm.pc.board.lowest_turn, 1);
        assert_int_equal(function.state.isr, 1);
        assert_int_equal(vm.clock.ns, NOW_NS);
    }
    assert_true(fake_log_contains("VM 'fake': 3 checkpoints taken, of"));
}

static void test_flash_comes_back(void **state)
{
    uint8_t before[FLASH_SIZE];

    for (unsigned i = 0; i < FLASH_SIZE; i++) {
        flash[i] = before[i] = (uint8_t)(i * 5 + i / FLASH_BLOCK);
    }
    vm.pc.flash.state = (struct flash_state){
        .mode = FLASH_STATUS, .step = FLASH_DATA, .left = 7, .buffer_at = 0x100, .buffer = {1, 2}
    };
    assert_int_equal(checkpoint_take(&vm), STATUS_OK);
    assert_true(seen_filled);
    assert_memory_equal(flash, before, FLASH_SIZE);
    assert_int_equal(vm.pc.flash.state.step, FLASH_DATA);
    assert_int_equal(vm.pc.flash.state.left, 7);
    assert_int_equal(vm.pc.flash.state.buffer[1], 2);
}

/* What one VM has and the other has not is refused, and said. */
static void test_flash_of_another(void **state)
{
    static uint8_t stream[2 * FLASH_SIZE];
    struct state_writer writer;
    struct state_reader reader;
    static const struct {
        uint32_t saved, loaded;
        const char *words;
    } cases[] = {
        {FLASH_SIZE,               0,                        "section legacy, instance 0, is missing; in its place is flash"},
        {0,                        FLASH_SIZE,               "section flash, instance 0, is missing; in its place is legacy"},
        {FLASH_SIZE,               FLASH_SIZE - FLASH_BLOCK,
         "section legacy, instance 0, is missing; in its place is flash-block"                                              },
        {FLASH_SIZE - FLASH_BLOCK, FLASH_SIZE,
         "section flash-block, instance 2, is missing; in its place is legacy"                                              },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        state_writer_init(&writer, stream, sizeof(stream));
        vm.nvram_size = cases[i].saved;
        vm_save(&vm, &writer);
        assert_false(state_overflowed(&writer));
        vm.nvram_size = cases[i].loaded;
        state_reader_init(&reader, stream, writer.used);
        assert_int_equal(vm_load(&vm, &reader), STATUS_INVALID);
        assert_non_null(strstr(reader.problem, cases[i].words));
    }
    vm.nvram_size = FLASH_SIZE;
}

/* A vCPU that has parked is asked for something by one that has not yet. */
static void test_requests_come_back(void **state)
{
    vcpus[1].requests = VCPU_REQUEST_STARTUP | VCPU_REQUEST_NMI;
    vcpus[1].startup_vector = 0x9a;
    assert_int_equal(checkpoint_take(&vm), STATUS_OK);
    assert_int_equal(vcpus[1].requests, VCPU_REQUEST_STARTUP | VCPU_REQUEST_NMI);
    assert_int_equal(vcpus[1].startup_vector, 0x9a);
    assert_int_equal(vcpus[0].requests | vcpus[0].startup_vector, 0);
}

/* VFs go on: their messages are in the stream or not, but that is no difference, and none is lost.
 */
static void test_messages_meanwhile(void **state)
{
    function.irq.arrived[0] = 1;
    vf_speaks = true;
    assert_int_equal(checkpoint_take(&vm), STATUS_OK);
    assert_int_equal(function.state.arrived[0], 1);
    assert_int_equal(function.irq.arrived[0], 5);
}

/* A VF that is given up as soon as it is loaded is not as it was saved. */
static void test_loss_meanwhile(void **state)
{
    function.state.isr = 1;
    vf_dies = true;
    assert_int_equal(checkpoint_take(&vm), STATUS_OK);
    assert_int_equal(function.state.isr, 0);
    assert_false(function.rebuilding);
}

static void test_differences(void **state)
{
    turn_is_lost = true;
    assert_int_equal(checkpoint_take(&vm), STATUS_DEVICE);
    assert_true(fake_log_contains("what was loaded is not what was saved"));
}

static void test_refusals(void **state)
{
    vm.pc.board.lowest_turn = 10;
    assert_int_equal(checkpoint_take(&vm), STATUS_DEVICE);
    assert_true(
        fake_log_contains("section board, instance 0, field lowest_turn: element 0 is 0xa"));
    vm.pc.board.lowest_turn = 1;
    vm.clock.ns = CLOCK_LAST; /* its devices could not count on from there */
    assert_int_equal(checkpoint_take(&vm), STATUS_DEVICE);
    assert_true(fake_log_contains("section clock, instance 0, field ns"));
    vm.clock.ns = NOW_NS;
    vm.clock.tsc_hz = TSC_HZ;
    vf_is_refused = true;
    assert_int_equal(checkpoint_take(&vm), STATUS_DEVICE);
    vf_is_refused = false;
    rate_is_refused = true;
    assert_int_equal(checkpoint_take(&vm), STATUS_DEVICE);
}

static bool is_asked(void)
{
    vm.request = 0;
    checkpoint_poll();
    assert_int_equal(vm.touched, 0);
    return vm.request == VM_REQUEST_CHECKPOINT;
}

/*
 * They are asked for at random, each within the time that is said, and only while some are wanted.
 * While the VM's time stands still nobody asks, but in one that is paused.
 */
static void test_moments(void **state)
{
    uint64_t last = 0, gaps = 0, asked = 0;

    assert_false(is_asked());
    vm.state = VM_PAUSED;
    assert_true(is_asked());
    assert_true(is_asked());
    vm.state = VM_RUNNING;
    vm.frozen = false;
    for (unsigned i = 0; i < 100000; i++, now_ns += 10000) {
        if (is_asked()) {
            assert_in_range(now_ns - last, 0, (1U << 24) + 10000);
            gaps |= 1ULL << (now_ns - last) * 16 / (1U << 24);
            last = now_ns;
            asked++;
        }
    }
    assert_true(asked > 50 && __builtin_popcountll(gaps) > 10);
    now_ns += 1U << 30;
    vm.checkpoints.wanted = 0;
    assert_false(is_asked());
}

/* Live for NS, looking each microsecond; every fifth that is asked for meets a reset, and is not
 * taken. */
static uint32_t live(uint32_t checkpoints, uint64_t ns)
{
    uint64_t end = NOW_NS + ns;
    unsigned asked = 0;

    vm.checkpoints.wanted = 0;
    config.checkpoints = checkpoints;
    now_ns = NOW_NS;
    vm.state = VM_STARTING;
    checkpoint_begin(&vm);
    vm.state = VM_RUNNING;
    for (uint64_t now = NOW_NS; now < end; now += 1000) {
        now_ns = now;
        vm.request = kicks = 0;
        checkpoint_run(&vm, now);
        assert_int_equal(kicks, vm.request != 0);
        if (vm.request != 0 && ++asked % 5 != 0) {
            uint32_t done = vm.checkpoints.done;

            assert_int_equal(vm.request, VM_REQUEST_CHECKPOINT);
            assert_int_equal(checkpoint_take(&vm), STATUS_OK);
            assert_int_equal(vm.checkpoints.done, done + 1);
            assert_int_equal(checkpoint_take(&vm), STATUS_OK); /* none is due */
            assert_int_equal(vm.checkpoints.done, done + 1);
        }
    }
    assert_int_equal(vm.checkpoints.taken, 0);
    return vm.checkpoints.done;
}

static bool is_canonical(uint64_t address)
{
    return address + (1ULL << 47) < 1ULL << 48;
}

/* A vCPU is filled with what a CPU takes: on Intel's some of it goes to the registers at once. */
static void test_scramble(void **state)
{
    checkpoint_scramble_vcpu(&vcpus[0]);
    assert_int_equal(vcpus[0].rip, 0xa5a5a5a5a5a5a5a5);
    assert_non_null(scrambled);
    assert_true(scrambled->dr6 != 0 && scrambled->dr6 <= UINT32_MAX);
    assert_true(scrambled->sfmask != 0 && scrambled->sfmask <= UINT32_MAX);
    assert_true(is_canonical(scrambled->lstar) && is_canonical(scrambled->cstar));
    assert_true(is_canonical(scrambled->kernel_gs_base) && scrambled->kernel_gs_base != 0);
    assert_int_equal(scrambled->cr3, 0xa5a5a5a5a5a5a5a5);
}

/* Those of the configuration: some in the shortest life, some late in a long one, never too many.
 */
static void test_configured(void **state)
{
    assert_int_equal(live(0, 10000000), 0);
    assert_int_equal(live(1, 10000000), 1);
    assert_int_equal(live(60, 10000000000), 60);
    assert_in_range(live(9999, 10000000), 20, 50);
    uint32_t second = live(9999, 1000000000);

    assert_in_range(live(9999, 3000000000), second + 8, second + 40);
    assert_in_range(vm.checkpoints.at_ns, now_ns, now_ns + 200000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flash_comes_back, setup_with_flash, teardown),
        cmocka_unit_test_setup_teardown(test_flash_of_another, setup_with_flash, teardown),
        cmocka_unit_test_setup_teardown(test_requests_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loss_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(test_differences, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scramble, setup, teardown),
        cmocka_unit_test_setup_teardown(test_configured, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
