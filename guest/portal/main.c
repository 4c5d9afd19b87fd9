/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service VM of tests/machine/portal.py: looks at the portal's function and at what may be
 * asked, then carries VM 'here', without VFs, to VM 'there' of the same machine.
 */
#include "guest/portal/portal_guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTION  0x8000f800U
#define COMMAND   0x04U
#define PIC_SLAVE 0xa0U
#define READ_IRR  0x0aU
#define IRQ_11    8U
#define PAGE      4096UL
#define MB        (1UL << 20)

#define COPY       (64 * MB)       /* here its RAM is meanwhile, */
#define STREAM     (COPY + memory) /* behind it its state, */
#define STREAM_MAX (8 * MB)
#define RECORD     (STREAM + STREAM_MAX) /* and those of its VFs */
#define RECORD_MAX MB
#define VFS_MAX    4U

#define REPORT_SIZE (DATA_MAX * 8UL * PAGE) /* RAM of one report */

#define EBUSY 16U

static uint64_t memory; /* bytes of RAM of the VM that moves */

static uint32_t config(uint32_t reg)
{
    outl(0xcf8, FUNCTION | reg);
    return inl(0xcfc);
}

static void config_write(uint32_t reg, uint32_t value)
{
    outl(0xcf8, FUNCTION | reg);
    outl(0xcfc, value);
}

static uint32_t reg(uint32_t offset)
{
    return mmio_read(portal_registers + offset);
}

static void test_function(void)
{
    test_group("the function");
    CHECK_EQUAL(config(0), 0x50541234);
    CHECK_EQUAL(config(8), 0xff000001);
    CHECK_EQUAL(config(0x3c) & 0xff00, 0x0100);
    portal_registers = config(0x10) & ~15U;
    portal_rings = config(0x14) & ~15U;
    portal_window = (config(0x18) & ~15U) | (uint64_t)config(0x1c) << 32;
    CHECK_EQUAL(config(0x18) & 15U, 0xc);
    config_write(0x10, 0xffffffff);
    CHECK_EQUAL(config(0x10), 0xfffff000);
    config_write(0x14, 0xffffffff);
    CHECK_EQUAL(config(0x14), 0xfffe0000);
    config_write(0x18, 0xffffffff);
    CHECK_EQUAL(config(0x18), 0xfc00000c);
    config_write(0x10, (uint32_t)portal_registers);
    config_write(0x14, (uint32_t)portal_rings);
    config_write(0x18, (uint32_t)portal_window);
    config_write(COMMAND, 2);
    CHECK_EQUAL(reg(0), 0x54524f50);
    CHECK_EQUAL(reg(4), 1);
    CHECK_EQUAL(reg(8), 65536);
    CHECK_EQUAL(reg(12), WINDOW_SIZE);
    CHECK_EQUAL(reg(0x2c), 0xffffffff);
    CHECK_EQUAL(*(volatile uint16_t *)portal_registers, 0xffff);
    config_write(COMMAND, 0);
    CHECK_EQUAL(reg(0), 0xffffffff);
    config_write(COMMAND, 2);
}

static bool line_is_up(void)
{
    outb(PIC_SLAVE, READ_IRR);
    return (inb(PIC_SLAVE) & IRQ_11) != 0;
}

/* An order to a VM is answered when it is begun. */
static void wait_for(unsigned vm, const char *state)
{
    while (strstr(request("vm %u", vm), state) == NULL) {
        cpu_relax();
    }
}

static void test_session(void)
{
    uint32_t session = reg(SESSION);

    test_group("sessions and the interrupt");
    session_begin();
    CHECK_EQUAL(reg(SESSION), session + 1);
    CHECK_REQUEST("ok portolan=", "hello");
    CHECK_EQUAL(reg(STATUS), 1);
    CHECK(!line_is_up());
    mmio_write(portal_registers + ENABLE, 1);
    CHECK(line_is_up());
    CHECK_EQUAL(config(COMMAND) >> 16 & 8, 8);
    config_write(COMMAND, 0x402);
    CHECK(!line_is_up());
    CHECK_EQUAL(config(COMMAND), 0x00080402);
    config_write(COMMAND, 2);
    CHECK(line_is_up());
    mmio_write(portal_registers + STATUS, 1);
    CHECK(!line_is_up());
    CHECK_EQUAL(config(COMMAND), 2);
    CHECK_REQUEST("error not-supported", "what?");
    CHECK_REQUEST("error invalid", "show 1 2");
    CHECK_REQUEST("error not-found", "vm 15");
    CHECK_REQUEST("error not-found", "pause nobody");
    CHECK_REQUEST("error not-supported", "open 1 vm svc");
    CHECK_REQUEST("error wrong-state", "open 1 vm there"); /* it is off */
    CHECK_REQUEST("ok", "pause here");
    wait_for(0, "state=paused");
    CHECK_REQUEST("error wrong-state", "handover here");
    CHECK_REQUEST("ok", "resume here");
    wait_for(0, "state=running");
    mmio_write(portal_registers + SENT, 0x12345678);
    while (reg(STATUS) != 3) { /* more than the ring holds */
        cpu_relax();
    }
    session_begin();
    CHECK_EQUAL(reg(STATUS), 0);
    CHECK_REQUEST("ok portolan=", "hello");
}

static volatile uint64_t *window(uint64_t offset)
{
    return (volatile uint64_t *)(portal_window + offset);
}

/* What it shows is what the region says, and nobody but the target's program may write there. */
static void test_window(void)
{
    uint64_t word;

    test_group("the window");
    CHECK_EQUAL(*window(0), UINT64_MAX);
    *window(0) = 5;
    CHECK_EQUAL(*window(0), UINT64_MAX);
    CHECK_REQUEST("ok", "open 1 vm here");
    CHECK_REQUEST("error wrong-state", "open 2 vm here");
    CHECK_EQUAL(device_version(1), 0);
    CHECK_EQUAL(device_region_size(1, 0), memory);
    CHECK_REQUEST("error out-of-range", "show 1 %lu 4096 0", memory);
    CHECK_REQUEST("error out-of-range", "show 1 0 8192 %lu", WINDOW_SIZE - PAGE);
    CHECK_REQUEST("error invalid", "show 1 0 4095 0");
    CHECK_REQUEST("ok", "show 1 %lu 8192 4096", 16 * MB);
    for (uint64_t at = 0; at < 2 * PAGE; at += 1024) {
        CHECK_EQUAL(device_read(1, 0, 16 * MB + at, &word, sizeof(word)), 0);
        CHECK_EQUAL(*window(PAGE + at), word);
    }
    word = *window(PAGE);
    *window(PAGE) = ~word;
    CHECK_EQUAL(*window(PAGE), word);
    CHECK_EQUAL(*window(0), UINT64_MAX);
    CHECK_REQUEST("ok", "hide 8192 4096");
    CHECK_EQUAL(*window(2 * PAGE), UINT64_MAX);
    CHECK_EQUAL(*window(PAGE), word);
    CHECK_EQUAL(device_set_state(1, RESUMING), EBUSY);
    CHECK_REQUEST("ok", "close 1");
    CHECK_EQUAL(*window(PAGE), UINT64_MAX);
}

/* The guest is stopped, and goes on, as nothing has come of it: by its state, or by a close. */
static void test_give_up(void)
{
    test_group("a move that is given up");
    for (unsigned i = 0; i < 2; i++) {
        CHECK_REQUEST("ok", "open 1 vm here");
        CHECK_EQUAL(device_version(1), 0);
        CHECK_EQUAL(device_track(1), 0);
        CHECK_EQUAL(device_track(1), EBUSY);
        CHECK_EQUAL(device_set_state(1, PRE_COPY), 0);
        CHECK_EQUAL(device_set_state(1, STOP_COPY), 0);
        CHECK_REQUEST("ok vm=here state=moving", "vm 0");
        if (i == 0) {
            CHECK_EQUAL(device_set_state(1, RUNNING), 0);
        }
        CHECK_REQUEST("ok", "close 1");
        CHECK_REQUEST("ok vm=here state=running", "vm 0");
    }
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The window that ADDRESS is in, from or to the copy: pages whose bit is in BITMAP, NULL: all. How
 * many. */
static unsigned copy_window(uint64_t address, const uint8_t *bitmap, bool back)
{
    uint64_t pages = smaller(memory - address, WINDOW_SIZE) / PAGE;
    unsigned copied = 0;

    for (uint64_t page = 0; page < pages; page++) {
        void *here = (void *)(COPY + address + page * PAGE);
        void *there = (void *)(portal_window + page * PAGE);

        if (bitmap != NULL && bitmap[page / 8] == 0) {
            page |= 7;
            continue;
        }
        if (bitmap != NULL && (bitmap[page / 8] >> page % 8 & 1) == 0) {
            continue;
        }
        if (copied++ == 0) {
            CHECK_REQUEST("ok", "show 1 %lu %lu 0", address, pages * PAGE);
        }
        memcpy(back ? there : here, back ? here : there, PAGE);
    }
    return copied;
}

static void copy_all(bool back)
{
    for (uint64_t at = 0; at < memory; at += WINDOW_SIZE) {
        (void)copy_window(at, NULL, back);
    }
}

static unsigned copy_dirty(void)
{
    static uint8_t bitmap[DATA_MAX];
    unsigned copied = 0;

    for (uint64_t at = 0; at < memory; at += REPORT_SIZE) {
        uint64_t size = smaller(memory - at, REPORT_SIZE);

        CHECK_EQUAL(device_report(1, at, size, bitmap), 0);
        for (uint64_t done = 0; done < size; done += WINDOW_SIZE) {
            copied += copy_window(at + done, bitmap + done / PAGE / 8, false);
        }
    }
    return copied;
}

static struct {
    uint32_t size; /* of its record */
    char text[512];
    const char *driver; /* in it: the features that the guest's driver took */
} vfs[VFS_MAX];
static unsigned vf_count;

/* One after the other: the VMM has memory for one record. */
static void leave_vfs(void)
{
    for (unsigned i = 0; i < vf_count; i++) {
        uint32_t length;

        CHECK_REQUEST("ok", "open 2 vf here %u", i);
        CHECK_EQUAL(device_version(2), 0);
        length = (uint32_t)device_region_size(2, 1);
        CHECK(length < sizeof(vfs[i].text));
        CHECK_EQUAL(device_read(2, 1, 0, vfs[i].text, length), 0);
        vfs[i].driver = strstr(vfs[i].text, "driver=");
        vfs[i].size = RECORD_MAX;
        CHECK_EQUAL(device_set_state(2, STOP_COPY), 0);
        CHECK_EQUAL(device_save(2, (uint8_t *)RECORD + i * RECORD_MAX, &vfs[i].size), 0);
        CHECK_EQUAL(device_set_state(2, STOP), 0);
        CHECK_REQUEST("ok", "close 2");
        printf("bytes of VF %u: %u\n", i, vfs[i].size);
    }
}

static void arrive_vfs(void)
{
    for (unsigned i = 0; i < vf_count; i++) {
        CHECK(vfs[i].driver != NULL);
        CHECK_REQUEST("ok", "open 2 vf there %u %lx", i,
                      vfs[i].driver ? strtoul(vfs[i].driver + 7, NULL, 16) : 0);
        CHECK_EQUAL(device_version(2), 0);
        CHECK_EQUAL(device_set_state(2, RESUMING), 0);
        CHECK_EQUAL(device_load(2, (const uint8_t *)RECORD + i * RECORD_MAX, vfs[i].size), 0);
        CHECK_EQUAL(device_set_state(2, STOP), 0);
        CHECK_REQUEST("ok", "close 2");
    }
}

/* Returns how long the state is. */
static uint32_t leave(char *text)
{
    uint32_t size = STREAM_MAX;
    uint32_t length;

    test_group("the source");
    CHECK_REQUEST("ok", "open 1 vm here");
    CHECK_EQUAL(device_version(1), 0);
    length = (uint32_t)device_region_size(1, 1);
    CHECK_EQUAL(device_read(1, 1, 0, text, length), 0);
    text[length] = '\0';
    CHECK_EQUAL(device_track(1), 0);
    CHECK_EQUAL(device_set_state(1, PRE_COPY), 0);
    copy_all(false);
    printf("pages dirty again: %u\n", copy_dirty());
    CHECK_EQUAL(device_set_state(1, STOP_COPY), 0);
    printf("pages at the end: %u\n", copy_dirty());
    CHECK_REQUEST("error wrong-state", "handover here"); /* nobody has its state */
    CHECK_EQUAL(device_save(1, (uint8_t *)STREAM, &size), 0);
    printf("bytes of state: %u\n", size);
    leave_vfs();
    printf("pages of VFs: %u\n", copy_dirty());
    CHECK_REQUEST("ok", "handover here");
    CHECK_EQUAL(device_set_state(1, RUNNING), EBUSY);
    CHECK_REQUEST("ok", "close 1");
    CHECK_REQUEST("ok vm=here state=handed-over", "vm 0");
    return size;
}

static void arrive(const char *text, uint32_t size)
{
    char own[1024] = "";

    test_group("the target");
    CHECK_REQUEST("ok", "incoming there");
    wait_for(1, "state=incoming");
    CHECK_REQUEST("ok", "open 1 vm there");
    CHECK_EQUAL(device_version(1), 0);
    CHECK_EQUAL(device_read(1, 1, 0, own, (uint32_t)device_region_size(1, 1)), 0);
    CHECK_EQUAL(strcmp(text, own), 0);
    CHECK_EQUAL(device_set_state(1, RESUMING), 0);
    copy_all(true);
    arrive_vfs();
    CHECK_EQUAL(device_load(1, (const uint8_t *)STREAM, size), 0);
    CHECK_EQUAL(device_set_state(1, STOP), 0);
    CHECK_REQUEST("ok vm=there state=ready", "vm 1");
    CHECK_EQUAL(*window(0), UINT64_MAX);
    CHECK_REQUEST("error wrong-state", "show 1 0 4096 0");
    CHECK_EQUAL(device_set_state(1, RUNNING), 0);
    CHECK_REQUEST("ok", "confirm here");
    CHECK_REQUEST("ok", "close 1");
    CHECK_REQUEST("ok vm=there state=running", "vm 1");
}

int main(void)
{
    char text[1024];

    memory = guest_option("memory", 64) * MB;
    vf_count = (unsigned)guest_option("vfs", 0);
    vf_count = vf_count < VFS_MAX ? vf_count : VFS_MAX;
    test_function();
    test_session();
    test_window();
    test_give_up();
    arrive(text, leave(text));
    test_end();
}
