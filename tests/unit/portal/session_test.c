/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings, frames, sessions, lines and events. */
#include "tests/unit/portal/fake_service.h"

#include "vmm/base/little_endian.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
    fake_start();
    service_start();
    return 0;
}

static uint32_t reg(uint32_t at)
{
    return portal_function_read(&fake.function, at, 4);
}

static void assert_ended(bool ended)
{
    (void)portal_run(&fake_portal);
    assert_int_equal(reg(PORTAL_STATUS) & PORTAL_STATUS_ENDED, ended ? PORTAL_STATUS_ENDED : 0);
}

/* ---- The function by itself ---- */

static void test_registers(void **state)
{
    struct portal_function *f = &fake.function;

    assert_int_equal(reg(PORTAL_MAGIC), 0x54524f50);
    assert_int_equal(reg(PORTAL_RING_SIZE), PORTAL_RING);
    assert_int_equal(reg(PORTAL_WINDOW_SIZE), PORTAL_WINDOW);
    assert_int_equal(reg(0x2c), UINT32_MAX);
    assert_int_equal(portal_function_read(f, 2, 4), UINT32_MAX);
    assert_int_equal(portal_function_read(f, 0, 2), 0xffff);
    assert_false(portal_function_write(f, PORTAL_SENT, 2, 7));
    assert_false(portal_function_write(f, PORTAL_COME, 4, 7));
    assert_false(portal_function_write(f, PORTAL_SESSION, 4, 2));
    assert_true(portal_function_write(f, PORTAL_READ, 4, reg(PORTAL_READ)));
    (void)portal_function_write(f, PORTAL_ENABLE, 4, UINT32_MAX);
    assert_int_equal(reg(PORTAL_ENABLE), 1);
    assert_true(portal_function_settle(f));
    f->state.config[5] = 4; /* INTx disable */
    assert_false(portal_function_settle(f));
    assert_int_equal(f->state.config[6], 8);
    (void)portal_function_write(f, PORTAL_STATUS, 4, 1);
    f->state.config[5] = 0;
    assert_false(portal_function_settle(f));
    portal_function_tell(f, reg(PORTAL_SESSION) + 1, 1, 1, true);
    assert_int_equal(reg(PORTAL_STATUS), 0);
    f->state.session = UINT32_MAX;
    portal_function_reset(f);
    assert_int_equal(reg(PORTAL_SESSION), 1);
    assert_int_equal(reg(PORTAL_STATUS), PORTAL_STATUS_ENDED);
}

/* A program that has not seen the service VM's reset: what lies in the ring is not done again. */
static void test_reset(void **state)
{
    assert_string_equal(service_ask("pause p"), "ok");
    fake.vm[VM_P].state = "running";
    portal_function_reset(&fake.function);
    service_put_frame(0, "", 0); /* the doorbell, with all that has ever been sent */
    assert_ended(true);
    assert_int_equal(reg(PORTAL_TAKEN), 0);
    assert_string_equal(fake.vm[VM_P].state, "running");
    assert_ended(true);
    service_start();
    assert_ended(false);
    assert_string_equal(service_ask("pause p"), "ok");
}

static void test_bars(void **state)
{
    struct portal_function_state *s = &fake.function.state;

    assert_int_equal(portal_function_base(s, PORTAL_BAR_REGISTERS, 0), 0xfebee000);
    assert_int_equal(portal_function_base(s, PORTAL_BAR_RINGS, 0), 0xfebc0000);
    assert_int_equal(portal_function_base(s, PORTAL_BAR_WINDOW, 0), 0xf8000000);
    bytes_put(s->config + 0x14, 4, 0xdffe0000); /* RAM may be there */
    assert_int_equal(portal_function_base(s, PORTAL_BAR_RINGS, 0), 0);
    bytes_put(s->config + 0x18, 8, 0x10400000c);
    assert_int_equal(portal_function_base(s, PORTAL_BAR_WINDOW, 0), 0x104000000);
    assert_int_equal(portal_function_base(s, PORTAL_BAR_WINDOW, 0x104000000), 0x104000000);
    assert_int_equal(portal_function_base(s, PORTAL_BAR_WINDOW, 0x104200000), 0);
    bytes_put(s->config + 0x18, 8, 0xfffffffffc00000cULL);
    assert_int_equal(portal_function_base(s, PORTAL_BAR_WINDOW, 0), 0);
    s->config[4] = 0;
    assert_int_equal(portal_function_base(s, PORTAL_BAR_REGISTERS, 0), 0);
}

/* ---- Frames ---- */

static void test_pieces(void **state)
{
    static const uint8_t frame[] = "\x04\0\0\0\0\0\0\0vm 2";

    for (unsigned i = 0; i < sizeof(frame) - 1; i++) {
        assert_null(service_line());
        service_put(frame + i, 1);
        (void)portal_run(&fake_portal);
        assert_int_equal(reg(PORTAL_TAKEN) >= i / 8 * 8, true);
    }
    assert_string_equal(service_line(), "ok vm=s state=running cpus=1 memory=1048576 vfs=0 "
                                        "migrate=no incoming=no service=yes");
}

/* The ring is gone round some times, in both directions. */
static void test_wrap(void **state)
{
    for (unsigned i = 0; i < 20000; i++) {
        assert_string_equal(service_ask("vm %u", 9 + i % 7), "error not-found not found");
    }
    assert_true(reg(PORTAL_COME) > 4 * PORTAL_RING);
    assert_ended(false);
}

static void test_bad_frames(void **state)
{
    static const struct {
        uint32_t length, channel;
    } bad[] = {
        {0,     0      },
        {1001,  0      },
        {1,     1      },
        {1,     18     },
        {1,     65535  },
        {1,     0x10000},
        {32769, 2      },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        uint8_t header[9] = {0};

        service_start();
        assert_int_equal(service_open(2, "vm a"), 0);
        bytes_put(header, 4, bad[i].length);
        bytes_put(header + 4, 4, bad[i].channel);
        service_put(header, sizeof(header));
        assert_ended(true);
        assert_false(fake_portal.move.open);
        service_put_frame(0, "hello", 5);
        (void)portal_run(&fake_portal);
        assert_null(service_line());
    }
    service_start();
    assert_ended(false);
}

static void test_bad_indexes(void **state)
{
    (void)portal_function_write(&fake.function, PORTAL_SENT, 4, reg(PORTAL_SENT) + PORTAL_RING + 1);
    assert_ended(true);
    service_start();
    assert_ended(false);
    (void)portal_function_write(&fake.function, PORTAL_READ, 4, reg(PORTAL_READ) + 1);
    assert_ended(true);
}

/* Who does not read is not answered, and nothing is lost. */
static void test_no_room(void **state)
{
    unsigned asked = 0, answered = 0;

    (void)service_line();
    while (reg(PORTAL_TAKEN) == reg(PORTAL_SENT)) {
        service_put_frame(0, "vm 2", 4);
        (void)portal_run(&fake_portal);
        asked++;
        assert_true(asked < 2000);
    }
    assert_true(reg(PORTAL_COME) - reg(PORTAL_READ) > PORTAL_RING - 20000);
    do {
        while (service_line() != NULL) {
            answered++;
        }
        (void)portal_run(&fake_portal);
    } while (answered < asked && reg(PORTAL_COME) != reg(PORTAL_READ));
    assert_int_equal(answered, asked);
}

static void test_turns(void **state)
{
    fake.pause_after = 1;
    service_put_frame(0, "vm 2", 4);
    assert_true(portal_run(&fake_portal));
    while (portal_run(&fake_portal)) {
    }
    assert_non_null(service_line());
}

/* ---- Lines ---- */

static void test_refusals(void **state)
{
    static const struct {
        const char *line, *answer;
    } cases[] = {
        {"hell",                    "error not-supported there is no such request"                            },
        {"hello there",             "ok portolan=test portal=1 vms=4"                                         },
        {" hello",                  "error not-supported there is no such request"                            },
        {"hel\tlo",                 "error invalid invalid"                                                   },
        {"vm",                      "error invalid words are missing"                                         },
        {"vm x",                    "error invalid a number is wanted"                                        },
        {"vm 0x",                   "error invalid a number is wanted"                                        },
        {"vm 0XF",                  "error not-found not found"                                               },
        {"vm 0xG",                  "error invalid a number is wanted"                                        },
        {"vm 18446744073709551616", "error invalid a number is wanted"                                        },
        {"vm 4",                    "error not-found not found"                                               },
        {"vf a 2",                  "error not-found not found"                                               },
        {"vf x 0",                  "error not-found no VM has this name"                                     },
        {"vf a 1",                  "ok vf=01:01.0/1 slot=18 type=2"                                          },
        {"pause x",                 "error not-found no VM has this name"                                     },
        {"progress a",              "error invalid words are missing"                                         },
        {"incoming a",              "error wrong-state wrong state"                                           },
        {"handover a",              "error wrong-state wrong state"                                           },
        {"confirm a",               "error wrong-state wrong state"                                           },
        {"open 0 vm a",             "error out-of-range out of range"                                         },
        {"open 18 vm a",            "error out-of-range out of range"                                         },
        {"open 1 xx a",             "error invalid 'vm' or 'vf' is wanted"                                    },
        {"open 1 vm b",             "error wrong-state wrong state"                                           },
        {"open 1 vm s",             "error not-supported it is the service VM"                                },
        {"open 1 vm p",             "error not-supported neither its configuration nor the operator allows it"},
        {"open 1 vf a 0",           "error wrong-state its VM is to be opened first"                          },
        {"close 1",                 "error not-found not found"                                               },
        {"show 1 0 4096 0",         "error not-found not found"                                               },
        {"hide 0 4095",             "error invalid invalid"                                                   },
        {"hide 4096 67108864",      "error out-of-range out of range"                                         },
        {"hide 0 0",                "ok"                                                                      },
        {"hide 0 0x4000000",        "ok"                                                                      },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_string_equal(service_ask("%s", cases[i].line), cases[i].answer);
    }
}

static void test_commands(void **state)
{
    static const char *const names[] = {"pause", "resume", "reset", "powerdown", "start", "stop"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        assert_string_equal(service_ask("%s p", names[i]), "ok");
        assert_int_equal(fake.vm[VM_P].commands, (2U << i) - 1);
    }
    assert_string_equal(service_ask("progress p 10 %% of it"), "ok");
    assert_int_equal(fake.progress, 1);
}

/* ---- Events ---- */

static void test_events(void **state)
{
    fake.vm[VM_P].state = "off";
    fake.vm[VM_P].resets++;
    fake.vm[VM_A].powerdowns++;
    (void)portal_run(&fake_portal);
    assert_string_equal(service_event(), "event powerdown vm=a");
    assert_string_equal(service_event(), "event reset vm=p");
    assert_string_equal(service_event(), "event state vm=p state=off");
    assert_null(service_event());
    /* What was before a session is not told, nor to one that does not listen. */
    fake.vm[VM_P].state = "running";
    (void)portal_function_write(&fake.function, PORTAL_SESSION, 4, 1);
    fake.vm[VM_A].resets++;
    service_start();
    assert_null(service_event());
}

static void test_wishes(void **state)
{
    char host[300];

    memset(host, 'h', sizeof(host));
    host[256] = '\0';
    assert_int_equal(portal_post(&fake_portal, PORTAL_MIGRATE, VM_P, host), STATUS_RANGE);
    assert_int_equal(portal_post(&fake_portal, PORTAL_MIGRATE, VM_P, "a b"), STATUS_INVALID);
    assert_int_equal(portal_post(&fake_portal, PORTAL_MIGRATE, VM_P, host + 1), STATUS_OK);
    assert_int_equal(portal_post(&fake_portal, PORTAL_CANCEL, VM_P, ""), STATUS_STATE);
    (void)portal_run(&fake_portal);
    assert_int_equal(strlen(service_event()), 255 + strlen("event migrate vm=p to="));
    assert_int_equal(portal_post(&fake_portal, PORTAL_CANCEL, VM_P, ""), STATUS_OK);
    (void)portal_run(&fake_portal);
    assert_string_equal(service_event(), "event cancel vm=p");
    assert_string_equal(service_ask("open 1 vm p"),
                        "error not-supported neither its configuration nor the operator allows it");
    assert_int_equal(portal_post(&fake_portal, PORTAL_MIGRATE, VM_P, "host"), STATUS_OK);
    (void)portal_run(&fake_portal);
    assert_string_equal(service_event(), "event migrate vm=p to=host");
    assert_int_equal(portal_post(&fake_portal, PORTAL_INCOMING, VM_B, ""), STATUS_OK);
    (void)portal_run(&fake_portal);
    assert_string_equal(service_event(), "event incoming vm=b");
    /* The operator allows what the configuration does not. */
    assert_string_equal(service_ask("vm 3"), "ok vm=p state=running cpus=1 memory=1048576 vfs=0 "
                                             "migrate=no incoming=no service=no");
    assert_int_equal(service_open(1, "vm p"), 0);
    assert_string_equal(service_ask("close 1"), "ok");
    assert_int_equal(service_open(1, "vm p"), -2); /* once */
    assert_int_equal(portal_post(&fake_portal, PORTAL_MIGRATE, VM_P, "host"), STATUS_OK);
    (void)portal_run(&fake_portal);
    assert_int_equal(fake_portal.wanted, 1U << VM_P);
    (void)portal_function_write(&fake.function, PORTAL_SESSION, 4, 1);
    (void)portal_run(&fake_portal);
    assert_int_equal(fake_portal.wanted, 0);
    assert_int_equal(portal_post(&fake_portal, PORTAL_CANCEL, VM_P, ""), STATUS_STATE);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_registers), TEST(test_reset),      TEST(test_bars),        TEST(test_pieces),
        TEST(test_wrap),      TEST(test_bad_frames), TEST(test_bad_indexes), TEST(test_no_room),
        TEST(test_turns),     TEST(test_refusals),   TEST(test_commands),    TEST(test_events),
        TEST(test_wishes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
