/* SPDX-License-Identifier: BSD-2-Clause */
/* Each key of a VF's text, and each of its rules. */
#include "vmm/migrate/compare.h"
#include "vmm/migrate/compatibility.h"

#include "drivers/virtio/device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct legacy_description here, there;
static char why[COMPARE_WHY_MAX];

static int set_up(void **unused)
{
    memset(&here, 0, sizeof(here));
    here.type = VIRTIO_TYPE_BLOCK;
    here.vectors = 4;
    here.config_length = 60;
    here.features = 0x30006e54;
    here.driver_features = 0x10000044;
    here.queue_size[0] = here.queue_size[1] = 256;
    here.config[0] = 77;
    there = here;
    there.driver_features = 0;
    there.queue_size[2] = 64;
    return 0;
}

static enum status compare(const char *abi, const char *other)
{
    char source[COMPATIBILITY_MAX], target[COMPATIBILITY_MAX];

    assert_int_equal(compatibility_text(&here, abi, source), STATUS_OK);
    assert_int_equal(compatibility_text(&there, other, target), STATUS_OK);
    return compare_texts(source, target, why);
}

static void refused(const char *text)
{
    assert_int_equal(compare("1.4", "1.4"), STATUS_CONFLICT);
    assert_string_equal(why, text);
    (void)set_up(NULL);
}

static void test_text(void **unused)
{
    char text[COMPATIBILITY_MAX];

    assert_int_equal(compatibility_text(&there, "2021", text), STATUS_OK);
    assert_non_null(strstr(text, "virtio-vf/1;abi=2021;cfg="));
    assert_non_null(
        strstr(text, ";cfglen=60;driver=0;features=30006e54;msix=4;qsz=2x256,1x64;type=2"));
}

static void test_same(void **unused)
{
    assert_int_equal(compare("1.4", "1.4"), STATUS_OK);
    assert_int_equal(compare("2021", "2021"), STATUS_OK);
}

static void test_keys(void **unused)
{
    assert_int_equal(compare("1.4", "2021"), STATUS_CONFLICT);
    assert_string_equal(why, "abi is '1.4' here and '2021' there");
    there.type = VIRTIO_TYPE_CONSOLE;
    there.config_length = 12;
    assert_int_equal(compare("1.4", "1.4"), STATUS_CONFLICT);
    (void)set_up(NULL);
    there.config_length = 56;
    memset(there.config, 0, sizeof(there.config));
    memset(here.config, 0, sizeof(here.config));
    assert_int_equal(compare("1.4", "1.4"), STATUS_CONFLICT);
    (void)set_up(NULL);
    there.vectors = 3;
    refused("msix is '4' here and '3' there");
    there.vectors = 5;
    assert_int_equal(compare("1.4", "1.4"), STATUS_OK);
    there.queue_size[1] = 128;
    refused("qsz is '2x256' here and '1x256,1x128,1x64' there");
    there.queue_size[1] = there.queue_size[2] = 0;
    refused("qsz is '2x256' here and '1x256' there");
    here.queue_size[0] = 0; /* the driver has not looked at it */
    there.queue_size[0] = 32;
    assert_int_equal(compare("1.4", "1.4"), STATUS_OK);
}

static void test_features(void **unused)
{
    there.features |= 1;
    refused("features is '30006e54' here and '30006e55' there");
    there.features |= 1;
    assert_int_equal(compare("2021", "2021"), STATUS_OK);
    there.features &= ~0x40U;
    assert_int_equal(compare("2021", "2021"), STATUS_CONFLICT);
    assert_string_equal(
        why, "features, of which the driver uses is '10000044' here and '30006e15' there");
}

/* What a guest is told of after a move, and what not. */
static void test_news(void **unused)
{
    static const struct {
        uint16_t type;
        uint8_t at;
        bool news;
    } bytes[] = {
        {VIRTIO_TYPE_NET,     5,  false}, /* its address comes with the state */
        {VIRTIO_TYPE_NET,     6,  true }, /* the link */
        {VIRTIO_TYPE_NET,     8,  false},
        {VIRTIO_TYPE_BLOCK,   32, false},
        {VIRTIO_TYPE_CONSOLE, 2,  true },
        {VIRTIO_TYPE_CONSOLE, 8,  false},
        {VIRTIO_TYPE_SCSI,    20, false},
        {VIRTIO_TYPE_BALLOON, 0,  true }, /* pages wanted */
        {VIRTIO_TYPE_BALLOON, 4,  false}, /* pages given */
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bytes); i++) {
        (void)set_up(NULL);
        here.type = there.type = bytes[i].type;
        assert_false(compatibility_has_news(&here, &there));
        there.config[bytes[i].at] ^= 1;
        assert_int_equal(compatibility_has_news(&here, &there), bytes[i].news);
    }
}

static void test_config(void **unused)
{
    there.config[0] = 78; /* the capacity */
    assert_int_equal(compare("2021", "2021"), STATUS_CONFLICT);
    assert_int_equal(strncmp(why, "cfg is '", 8), 0);
    (void)set_up(NULL);
    there.config[32] = 1; /* writeback: the driver's to write */
    assert_int_equal(compare("2021", "2021"), STATUS_OK);
    here.type = there.type = VIRTIO_TYPE_NET;
    there.config[5] = 0x99; /* the address comes with the state */
    there.config[32] = 0;
    there.config[0] = here.config[0];
    assert_int_equal(compare("2021", "2021"), STATUS_OK);
    there.config[8] = 2; /* the most pairs of queues */
    assert_int_equal(compare("2021", "2021"), STATUS_CONFLICT);
}

static void test_damaged(void **unused)
{
    char good[COMPATIBILITY_MAX], bad[COMPATIBILITY_MAX];

    assert_int_equal(compatibility_text(&here, "1.4", good), STATUS_OK);
    strcpy(bad, good);
    strstr(bad, "msix=4")[5] = '`'; /* no digit */
    assert_int_equal(compare_texts(good, bad, why), STATUS_CONFLICT);
    for (size_t cut = 0; cut + 7 < strlen(good); cut++) { /* "type=2" is the last */
        memcpy(bad, good, cut);
        bad[cut] = '\0';
        assert_int_not_equal(compare_texts(good, bad, why), STATUS_OK);
        assert_int_not_equal(compare_texts(bad, good, why), STATUS_OK);
        assert_true(why[0] != '\0');
    }
    assert_int_equal(compare_texts("virtio-vf/2;", good, why), STATUS_INVALID);
}

/* Sizes that go up and down for ever have no text that is short enough: said, not cut. */
static void test_too_long(void **unused)
{
    char text[COMPATIBILITY_MAX];

    for (unsigned i = 0; i < LEGACY_QUEUES_MAX; i++) {
        here.queue_size[i] = i % 2 ? 1024 : 256;
    }
    assert_int_equal(compatibility_text(&here, "1.4", text), STATUS_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_text, set_up),    cmocka_unit_test_setup(test_same, set_up),
        cmocka_unit_test_setup(test_keys, set_up),    cmocka_unit_test_setup(test_features, set_up),
        cmocka_unit_test_setup(test_config, set_up),  cmocka_unit_test_setup(test_news, set_up),
        cmocka_unit_test_setup(test_damaged, set_up), cmocka_unit_test_setup(test_too_long, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
