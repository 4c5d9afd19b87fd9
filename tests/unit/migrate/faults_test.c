/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A move, and the simulated PF at the other end of its commands: at each command of the move each
 * thing that can go wrong with it, by both protocols. The VM goes on with the one VF or the other,
 * or waits for an answer that the PF owes, never with both; when the fault is over the next move
 * succeeds. The table of what happened is printed.
 */
#include "tests/unit/fakes/log.h"
#include "tests/unit/migrate/set_sim.h"
#include "tests/unit/virtio/sim_state.h"
#include "tests/unit/virtio/vf_state_to.h"
#include "vmm/host/time.h"
#include "vmm/host/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SOURCE       0U
#define TARGET       MEMBERS
#define STATE_SIZE   600U
#define COMMANDS_MAX 24U
#define PATIENT_US   100000U     /* an answer that is awaited */
#define FOR_EVER_US  1000000000U /* one that is not */
#define AFTER_ALL_US 2000000000ULL
#define OFF_BY       40U

/* How a move may end. */
enum { MOVED = 1, STAYED = 2, WAITS = 4, LOST = 8 };

static struct virtio_pf pf;
static bool (*run_command)(struct sim_command *command);

/* ---- Faults ---- */

static void refuse(void)
{
    bool old = sim_state.kind == VF_STATE_2021;

    sim.fail_count = 1;
    sim.fail_status = old ? VIRTIO_2021_ERR : VIRTIO_ADMIN_EINVAL;
    sim.fail_qualifier = old ? VIRTIO_2021_DNR : VIRTIO_ADMIN_Q_INVALID_COMMAND;
}

static void try_again(void)
{
    bool old = sim_state.kind == VF_STATE_2021;

    sim.fail_count = 1;
    sim.fail_status = old ? VIRTIO_2021_ERR : VIRTIO_ADMIN_EAGAIN;
    sim.fail_qualifier = old ? 0 : VIRTIO_ADMIN_Q_TRY_AGAIN;
}

static void answer_late(void)
{
    sim.answer_us = PATIENT_US;
}

static void never_answer(void)
{
    sim.answer_us = FOR_EVER_US;
}

static void cut_off(void)
{
    sim.result_cut = 1;
}

static void answer_nothing(void)
{
    if (sim_state.kind == VF_STATE_2021) {
        sim.result_cut = sim.writable;
    } else {
        sim.answer = SIM_TOO_SHORT;
    }
}

static void answer_too_much(void)
{
    if (sim_state.kind == VF_STATE_2021) {
        sim.result_cut = UINT32_MAX;
    } else {
        sim.answer = SIM_TOO_LONG;
    }
}

static void say_more(void)
{
    sim_state.claimed = sim_state.size + OFF_BY;
}

static void say_less(void)
{
    sim_state.claimed = sim_state.size - OFF_BY;
}

static void jump(void)
{
    sim.answer = SIM_JUMP;
}

static void go_backwards(void)
{
    sim.answer = SIM_BACK;
}

static void need_reset(void)
{
    sim.answer = SIM_NEEDS_RESET;
}

static void vanish(void)
{
    sim.answer = SIM_VANISH;
}

static void start(void)
{
    struct virtio_dma memory = sim_memory();
    uint64_t used;

    assert_int_equal(virtio_pf_start(&pf, sim_function(), sim_bars(), &memory), STATUS_OK);
    (void)virtio_admin_use(&pf.admin, VIRTIO_GROUP_SRIOV,
                           VIRTIO_LEGACY_COMMANDS | VF_STATE_COMMANDS, &used);
    vf_state_probe(&set_control, &pf, used);
    assert_int_equal(set_control.kind, sim_state.kind);
}

/* Its VFs are gone with it, and as new. */
static void restart(void)
{
    sim.more = run_command;
    sim.all_ones = false;
    sim.answer = SIM_GOOD;
    sim.answer_us = sim.result_cut = 0;
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
    memset(sim_state.object, 0, sizeof(sim_state.object));
    memset(sim_state.vf, 0, sizeof(sim_state.vf));
    start();
}

/* By another CPU, while the command is under way. */
static void reset_pf(void)
{
    sim.answer_us = PATIENT_US;
    sim.meanwhile = restart;
}

enum { ANY, SIZES };

static const struct fault {
    const char *name;
    void (*set)(void);
    unsigned right; /* how it may end */
    unsigned of;    /* which commands */
    bool broken;    /* the PF takes no more commands before it is reset */
} faults[] = {
    {"refused",              refuse,          STAYED,                 ANY,   false},
    {"try again",            try_again,       MOVED,                  ANY,   false},
    {"late",                 answer_late,     MOVED,                  ANY,   false},
    {"never answered",       never_answer,    STAYED | WAITS,         ANY,   false},
    {"cut off",              cut_off,         MOVED | STAYED,         ANY,   false},
    {"no answer in it",      answer_nothing,  MOVED | STAYED | WAITS, ANY,   true },
    {"longer than its room", answer_too_much, MOVED | STAYED | WAITS, ANY,   true },
    {"says it is longer",    say_more,        MOVED | STAYED,         SIZES, false},
    {"says it is shorter",   say_less,        STAYED,                 SIZES, false},
    {"another's answer",     jump,            STAYED | WAITS,         ANY,   true },
    {"runs backwards",       go_backwards,    STAYED | WAITS,         ANY,   true },
    {"PF breaks",            need_reset,      STAYED | WAITS,         ANY,   true },
    {"PF is gone",           vanish,          STAYED | WAITS,         ANY,   true },
    {"PF is reset",          reset_pf,        LOST | WAITS,           ANY,   false},
};

/* ---- The commands of a move ---- */

static struct {
    uint16_t opcode;
    uint64_t member;
} list[COMMANDS_MAX];
static unsigned commands, hit_at;
static bool listing; /* of a move without faults */
static const struct fault *fault;

static uint64_t member_of(const struct sim_command *command)
{
    return command->opcode >= VIRTIO_2021_OPCODES
               ? command->data[0] | (uint64_t)command->data[1] << 8
               : command->member;
}

/* Before the device works at it. */
static void begin_command(const struct sim_command *command)
{
    sim.answer = SIM_GOOD;
    sim.answer_us = sim.result_cut = sim.fail_count = 0;
    if (listing && commands < COMMANDS_MAX) {
        list[commands].opcode = command->opcode;
        list[commands].member = member_of(command);
    }
    if (fault && commands == hit_at) {
        assert_int_equal(list[commands].opcode, command->opcode);
        fault->set();
    }
    commands++;
}

static void begin_counting(const struct fault *which, unsigned at)
{
    fault = which;
    hit_at = at;
    commands = 0;
}

static bool is_destroy(unsigned command)
{
    return list[command].opcode == VIRTIO_ADMIN_OBJECT_DESTROY;
}

static bool has_size(unsigned command)
{
    return list[command].opcode == VIRTIO_ADMIN_PARTS_METADATA ||
           list[command].opcode == VIRTIO_2021_PENDING_BYTES;
}

/* ---- A VM whose VF is moved ---- */

static void open(unsigned i)
{
    vf_state_open(&set_sim.vfs[i].control, &set_control, (uint16_t)(i + 1));
    set_sim.vfs[i].device_state = DEVICE_RUNNING;
    sim_state.vf[i + 1].level = SIM_INIT;
}

static void set_up(enum vf_state_kind kind)
{
    sim_state_reset(kind, STATE_SIZE);
    run_command = sim.more;
    set_begin(1);
    set_sim.vfs[0].pf->control.kind = kind;
    start();
    open(SOURCE);
    open(TARGET);
    sim.begin = begin_command;
}

static void tear_down(void)
{
    begin_counting(NULL, 0);
    sim.begin = NULL;
    restart();
    assert_int_equal(virtio_pf_stop(&pf), STATUS_OK);
}

static void move(void)
{
    set_sim.retired[TARGET] = set_sim.asleep[SOURCE] = false;
    set_sim.pokes[SOURCE] = 0;
    sim_state.restored_size = 0;
    fake_log_clear();
    migrate_move(set_sim.sources, 1);
}

static bool runs(unsigned i)
{
    return sim_state.vf[i + 1].level == SIM_RUNNING || sim_state.vf[i + 1].level == SIM_INIT;
}

/* How did it end? */
static unsigned outcome(void)
{
    return set_sim.set.vf[0] == &set_sim.vfs[TARGET] ? MOVED
           : set_sim.given_up[SOURCE]                ? LOST
           : set_sim.asleep[SOURCE]                  ? WAITS
                                                     : STAYED;
}

/* The VM has one VF that runs, and no other does with its rings. */
static void check(unsigned end)
{
    assert_true(set_sim.retired[end == MOVED ? SOURCE : TARGET]);
    if (end == MOVED) {
        assert_true(runs(TARGET) && !runs(SOURCE));
        assert_int_equal(sim_state.restored_size, sim_state.size);
        assert_memory_equal(sim_state.restored, sim_state.blob, sim_state.size);
        assert_int_equal(set_sim.pokes[TARGET], 1);
        assert_true(set_sim.rebound[TARGET]);
    } else if (end == STAYED) {
        assert_true(runs(SOURCE));
        assert_int_equal(set_sim.pokes[SOURCE], 1);
        assert_int_equal(set_sim.vfs[SOURCE].device_state, DEVICE_RUNNING);
    }
}

/* The fault is over: what was owed is answered, or the PF was reset, and the VM with it. The target
 * has had its FLR before. */
static void recover(unsigned end)
{
    begin_counting(NULL, 0);
    sim_state.claimed = 0;
    sim.answer = SIM_GOOD;
    sim.fail_count = sim.result_cut = sim.answer_us = 0;
    open(TARGET);
    if (!pf.admin.usable || set_sim.vfs[SOURCE].control.generation != set_control.generation) {
        restart();
        open(SOURCE);
        open(TARGET);
        set_sim.given_up[SOURCE] = false;
        return;
    }
    time_delay_us(AFTER_ALL_US);
    if (end == WAITS) { /* as CPU 0 does when it sees that */
        assert_true(virtio_admin_takes(&pf.admin, VIRTIO_GROUP_SRIOV, SOURCE + 1));
        assert_int_equal(vf_state_to(&set_sim.vfs[SOURCE].control, VF_STATE_RUNNING), STATUS_OK);
        set_sim.vfs[SOURCE].device_state = DEVICE_RUNNING;
        assert_true(runs(SOURCE));
    }
}

static const char *name_of(unsigned end)
{
    return end == MOVED ? "moved" : end == STAYED ? "stayed" : end == WAITS ? "waits" : "lost";
}

/* Which step failed, and why. */
static void print_reason(void)
{
    const char *at = strstr(fake_log_text(), "' failed ("), *end = at ? strchr(at, ')') : NULL;

    while (end && *--at != '\'') {
    }
    printf("%.*s\n", end ? (int)(end + 1 - at) : 0, end ? at : "");
}

static void try_cell(enum vf_state_kind kind, const struct fault *which, unsigned at)
{
    set_up(kind);
    begin_counting(which, at);
    move();
    assert_true(commands > at);
    unsigned end = outcome();
    bool source = list[at].member == SOURCE + 1;

    printf("%-4s %2u %-28s %-6s  %-20s  %-6s  ", vf_state_facts(kind)->name, at,
           virtio_admin_opcode_name(list[at].opcode), source ? "source" : "target", which->name,
           name_of(end));
    print_reason();
    assert_true((end & (which->right | (is_destroy(at) ? MOVED : 0U))) != 0);
    check(end);
    if (end != MOVED) {
        recover(end);
        move();
        assert_int_equal(outcome(), MOVED);
        check(MOVED);
    }
    tear_down();
}

static void test_faults(enum vf_state_kind kind)
{
    unsigned cells = 0, all;

    set_up(kind);
    begin_counting(NULL, 0);
    listing = true;
    move();
    listing = false;
    assert_int_equal(outcome(), MOVED);
    check(MOVED);
    all = commands;
    assert_in_range(all, 10, COMMANDS_MAX);
    tear_down();
    for (unsigned at = 0; at < all; at++) {
        for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
            if (faults[i].of == ANY || has_size(at)) {
                try_cell(kind, &faults[i], at);
                cells++;
            }
        }
    }
    printf("%u commands, %u cells\n", all, cells);
    assert_int_equal(cells, all * (ARRAY_SIZE(faults) - 2) + 2);
}

static void test_faults_parts(void **state)
{
    test_faults(VF_STATE_PARTS);
}

static void test_faults_2021(void **state)
{
    test_faults(VF_STATE_2021);
}

void timer_service(void) {}

uint64_t time_now_ns(void)
{
    return sim.microseconds * 1000;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults_parts),
        cmocka_unit_test(test_faults_2021),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
