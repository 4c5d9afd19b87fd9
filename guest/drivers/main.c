/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio devices, each driven in the ways of all the old drivers that there are for its type, one
 * after the other. Each way does real work: sectors are read and written, frames go to the gateway
 * and back, lines to the console's other end and back, entropy comes in.
 *
 * Wants a network card whose gateway answers to ARP and pings (QEMU's user network), a block device
 * and a SCSI disk of 2 MiB with the pattern of disk.c, the first of which grows by 4 KiB whenever
 * the guest says that it waits for that, a console whose other end sends back each line in reverse,
 * and an entropy device.
 *
 *   moved=1   the VFs are moved to others meanwhile: each way is gone again and again until the
 *             power button is pressed; frames may come twice, and interrupts for nothing
 *   every=N   at each Nth step of a way, from step 'first' on, the guest says so and waits for the
 *             button: its device is moved to another meanwhile; each way is gone once
 *   first=N   less than 'every'; 0 without it
 *   types=N   bits of the devices that there are (enum device_type); all without it
 */
#include "guest/drivers/drivers.h"
#include "guest/drivers/packets.h"

#include <stdio.h>
#include <string.h>

#define REVISION     0x08
#define BAR0         0x10
#define SUBSYSTEM    0x2c
#define CAPABILITIES 0x34
#define PIN          0x3c
#define CAP_VENDOR   0x09
#define COMMAND      0x04

#define PM_STATUS 0x600
#define PM_BUTTON (1U << 8)

bool devices_move;
static uint64_t every, first, steps;

struct device_kind {
    const char *name;
    uint16_t device, virtio;
};

static const struct device_kind kinds[DEVICE_TYPES] = {
    [NET] = {"net",     0x1000, 1},
      [BLOCK] = {"block",   0x1001, 2},
      [CONSOLE] = {"console", 0x1003, 3},
    [RNG] = {"rng",     0x1005, 4},
      [SCSI] = {"scsi",    0x1004, 8},
};

/* Nothing of virtio 1.x, and the MSI-X table where FreeBSD looks for it. */
static void check_capabilities(const struct virtio_device *pci)
{
    uint8_t at = (uint8_t)pci_read(pci->function, CAPABILITIES);

    CHECK(pci->msix != 0);
    CHECK_EQUAL(pci_read(pci->function, pci->msix + 4) & 7, 1);
    for (unsigned i = 0; i < 48 && at != 0; i++) {
        uint32_t word = pci_read(pci->function, at & 0xfc);

        CHECK((word & 0xff) != CAP_VENDOR);
        at = (uint8_t)(word >> 8);
    }
}

/* What a legacy driver takes for its device. */
static bool find(enum device_type type, struct virtio_device *pci)
{
    if (!CHECK(virtio_find(kinds[type].device, pci))) {
        return false;
    }
    CHECK_EQUAL(pci_read(pci->function, REVISION) & 0xff, 0);
    CHECK_EQUAL(pci_read(pci->function, BAR0) & 3, 1);
    CHECK_EQUAL(pci_read(pci->function, SUBSYSTEM) >> 16, kinds[type].virtio);
    CHECK_EQUAL(pci_read(pci->function, PIN) >> 8 & 0xff, 1);
    check_capabilities(pci);
    return pci->base != 0;
}

static void exercise(struct driver *driver)
{
    switch (driver->type) {
    case NET:
        net_exercise(driver);
        break;
    case BLOCK:
        block_exercise(driver);
        break;
    case CONSOLE:
        console_exercise(driver);
        break;
    case RNG:
        rng_exercise(driver);
        break;
    case SCSI:
        scsi_exercise(driver);
        break;
    case DEVICE_TYPES:
        break;
    }
}

static void drive_once(const struct style *style, unsigned index, enum device_type type)
{
    static struct driver driver;

    memset(&driver, 0, sizeof(driver));
    driver.style = style;
    driver.index = index;
    driver.type = type;
    if (!find(type, &driver.pci)) {
        return;
    }
    pci_write(driver.pci.function, COMMAND, style->command);
    wait_begin(&driver);
    driver_run(&driver, style->start);
    exercise(&driver);
    driver_run(&driver, style->stop);
    if (style->again != NULL) {
        driver_run(&driver, style->again);
        exercise(&driver);
        driver_run(&driver, style->stop);
    }
    wait_report(&driver);
    virtio_reset(&driver.pci);
    virtio_msix_enable(&driver.pci, false);
    wait_end();
}

/* Pressed, and forgotten. */
static bool button_was_pressed(void)
{
    bool pressed = (inw(PM_STATUS) & PM_BUTTON) != 0;

    if (pressed) {
        outw(PM_STATUS, PM_BUTTON);
    }
    return pressed;
}

void driver_step(void)
{
    if (every != 0 && steps++ % every == first) {
        printf("  step %lu.\n", (unsigned long)steps - 1);
        while (!button_was_pressed()) {
            cpu_relax();
        }
    }
}

static void drive(const struct style *style, unsigned index, enum device_type type)
{
    static char group[64];

    (void)snprintf(group, sizeof(group), "%s, %s", kinds[type].name, style->name);
    test_group(group);
    steps = 0;
    do {
        drive_once(style, index, type);
    } while (devices_move && every == 0 && !button_was_pressed() && test_failures() == 0);
}

int main(void)
{
    uint64_t types = guest_option("types", ON(DEVICE_TYPES) - 1);

    every = guest_option("every", 0);
    first = guest_option("first", 0);
    devices_move = every != 0 || guest_option("moved", 0) != 0;
    if (devices_move) {
        packet_allow_repeats();
    }
    wait_set_up();
    for (unsigned i = 0; i < style_count; i++) {
        for (unsigned type = 0; type < DEVICE_TYPES; type++) {
            if (types & styles[i]->types & ON(type)) {
                drive(styles[i], i, (enum device_type)type);
            }
        }
    }
    test_end();
}
