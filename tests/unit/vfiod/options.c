/* SPDX-License-Identifier: BSD-2-Clause */
/* What follows --simulated. */
#include "tests/unit/vfiod/client.h"
#include "tools/vfiod/sim_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "drivers/virtio/device.h"

static void takes_all(void **state)
{
    struct sim_options o;

    assert_true(sim_options_parse(
        "block,file=/a,,b=c,read-only=on,serial=x,queue-size=64,transport=admin,abi=1.4", &o));
    assert_int_equal(o.type, VIRTIO_TYPE_BLOCK);
    assert_string_equal(o.back_end.file, "/a,b=c");
    assert_true(o.back_end.read_only);
    assert_string_equal(o.back_end.serial, "x");
    assert_int_equal(o.queue_size, 64);
    assert_int_equal(o.transport, LEGACY_TRANSPORT_ADMIN);
    assert_int_equal(o.abi, VF_STATE_PARTS);
    assert_true(sim_options_parse("net,fd=7,mac=2:0:00:1f:E:ff", &o));
    assert_int_equal(o.back_end.fd, 7);
    assert_memory_equal(o.back_end.mac, "\x02\0\0\x1f\x0e\xff", 6);
    assert_int_equal(o.queue_size, 256);
    assert_int_equal(o.transport, LEGACY_TRANSPORT_MMR);
    assert_int_equal(o.abi, VF_STATE_2021);
}

static const char *const wrong[] = {
    "",
    "blocks",
    "block",
    "block,",
    "block,file",
    "block,file=",
    "block,file=a,file",
    "block,file=a,nothing=1",
    "block,file=a,mac=2:0:0:0:0:0",
    "block,file=a,read-only=yes",
    "block,file=a,serial=123456789012345678901",
    "block,file=a,queue-size=0",
    "block,file=a,queue-size=2",
    "block,file=a,queue-size=100",
    "block,file=a,queue-size=512",
    "block,file=a,queue-size=-4",
    "block,file=a,queue-size=64k",
    "block,file=a,transport=pci",
    "block,file=a,abi=2022",
    "net",
    "net,fd=",
    "net,fd=x",
    "net,fd=1,tap=t",
    "net,socket=a,fd=1",
    "net,tap=1234567890123456",
    "net,file=a",
    "net,fd=1,mac=",
    "net,fd=1,mac=1:0:0:0:0:0",
    "net,fd=1,mac=2:0:0:0:0",
    "net,fd=1,mac=2:0:0:0:0:0:0",
    "net,fd=1,mac=2:0:0:0:0:100",
    "net,fd=1,mac=2:0:0::0:0",
    "net,fd=1,mac=2-0-0-0-0-0",
    "net,fd=1,mac=2:0:0:0:0:0 ",
    "net,fd=1,mac=2: 0:0:0:0:0",
    "net,fd=1,mac=2:0:0:0:0:-1",
    "net,fd=99999999999999999999",
};

static void refuses_and_says_why(void **state)
{
    struct sim_options o;

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        client.said = 0;
        if (sim_options_parse(wrong[i], &o) || client.said == 0) {
            fail_msg("'%s' was taken, or nothing was said", wrong[i]);
        }
    }
}

static void too_long(void **state)
{
    static char text[10000];
    struct sim_options o;

    strcpy(text, "block,file=");
    memset(text + strlen(text), 'a', sizeof(text) - strlen(text) - 1);
    assert_false(sim_options_parse(text, &o));
    text[11 + 4096] = '\0';
    assert_false(sim_options_parse(text, &o));
    text[11 + 4095] = '\0';
    assert_true(sim_options_parse(text, &o));
    assert_int_equal(strlen(o.back_end.file), 4095);
}

static void what_cannot_be_opened(void **state)
{
    client_start();
    client.said = 0;
    assert_false(vdev_open("block,file=/nowhere/at/all", false));
    assert_false(vdev_open("net,socket=/nowhere/at/all", false));
    assert_false(vdev_open("0000:01:00.1", true));
    assert_int_equal(client.said, 3);
    client_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_all),
        cmocka_unit_test(refuses_and_says_why),
        cmocka_unit_test(too_long),
        cmocka_unit_test(what_cannot_be_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
