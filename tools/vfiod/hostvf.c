/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/vfiod/hostvf.h"

#include "tools/vfiod/device.h"
#include "tools/vfiod/vfio.h"

#include "drivers/pci/function.h"
#include "drivers/pci/pci_config.h"
#include "drivers/virtio/device.h"
#include "vmm/base/format.h"
#include "vmm/base/little_endian.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NAME_SIZE 16U

/* An entry of the MSI-X table. What comes while it is masked stays in 'event': one of each. */
struct entry {
    int event; /* or -1 */
    bool masked;
};

static struct {
    struct vfio vfio;
    uint8_t bar; /* and where in it: the legacy registers */
    bool io;     /* it is an I/O BAR */
    uint64_t offset, length;
    uint32_t vectors; /* that are used */
    bool msix;        /* MSI-X is on */
    struct entry entry[LEGACY_VECTORS_MAX];
    uint8_t polled[LEGACY_VECTORS_MAX]; /* the entries that hostvf_poll_fds() gave */
} host;

/* ---- Configuration space, for drivers/ ---- */

uint32_t pci_config_read(bdf_t bdf, uint32_t offset, unsigned width)
{
    return vfio_read(&host.vfio, VFIO_PCI_CONFIG_REGION_INDEX, offset, width);
}

uint32_t pci_config_size(uint16_t segment, uint8_t bus)
{
    return (uint32_t)host.vfio.size[VFIO_PCI_CONFIG_REGION_INDEX];
}

/* ---- Opening ---- */

static bool refuse(const char *name, const char *why)
{
    vfiod_say("--vf=%s: %s", name, why);
    return false;
}

/* Where the registers are: see the top of hostvf.h. */
static bool find_registers(bdf_t vf, const char *name)
{
    struct virtio_mmr mmr;
    enum status status = virtio_mmr_find(vf, host.vfio.size, &mmr);

    if (status == STATUS_OK && host.vfio.size[mmr.region.bar] != 0) {
        host.bar = mmr.region.bar;
        host.io = false;
        host.offset = mmr.region.offset;
        host.length = mmr.region.length;
        return true;
    }
    if (status == STATUS_NOT_FOUND && host.vfio.size[0] != 0 &&
        (pci_config_read(vf, PCI_BAR0, 4) & PCI_BAR_FLAG_IO) != 0) {
        host.bar = 0;
        host.io = true;
        host.offset = 0;
        host.length = host.vfio.size[0];
        hostvf_bus_master(false);
        return true;
    }
    return refuse(name,
                  "it has no legacy registers in its memory, and no I/O BAR. Those of its PF's "
                  "administration queue Linux gives to no process but by the I/O BAR that "
                  "virtio-vfio-pci makes of them, for a net VF");
}

static bool examine(bdf_t vf, const char *name, struct legacy_setup *setup)
{
    uint32_t device = pci_config_read(vf, PCI_DEVICE_ID, 2);

    if (pci_config_read(vf, PCI_VENDOR_ID, 2) != VIRTIO_VENDOR) {
        return refuse(name, "it is no virtio device");
    }
    if (!find_registers(vf, name)) {
        return false;
    }
    host.vectors = host.vfio.vectors < LEGACY_VECTORS_MAX ? host.vfio.vectors : LEGACY_VECTORS_MAX;
    setup->vf = vf;
    setup->type =
        virtio_type_resolve((uint16_t)device, (uint16_t)pci_config_read(vf, PCI_SUBSYSTEM_ID, 2));
    setup->vectors = (uint16_t)host.vectors;
    setup->transport = LEGACY_TRANSPORT_MMR;
    setup->block_bar = host.bar;
    setup->block_offset = host.offset;
    setup->block_length = (uint32_t)host.length;
    return true; /* vmm/legacy looks at all of that */
}

/* Linux's way to write it, and no other. */
static bool read_name(const char *name, bdf_t *vf)
{
    static const char ends[] = {':', ':', '.', '\0'};
    unsigned long part[sizeof(ends)] = {0};
    char exact[NAME_SIZE], *end;
    const char *at = name;

    for (unsigned i = 0; i < sizeof(ends); i++) {
        part[i] = strtoul(at, &end, 16);
        if (*end != ends[i]) {
            return false;
        }
        at = end + 1;
    }
    *vf = (bdf_t){(uint16_t)part[0], (uint8_t)part[1], (uint8_t)(part[2] << 3 | (part[3] & 7))};
    (void)format(exact, sizeof(exact), BDF_FORMAT, BDF_ARGS(*vf));
    return strcmp(name, exact) == 0;
}

bool hostvf_open(const char *name, struct legacy_setup *setup)
{
    bdf_t vf;

    if (!read_name(name, &vf)) {
        return refuse(name, "a VF is called like 0000:01:00.1");
    }
    for (unsigned i = 0; i < LEGACY_VECTORS_MAX; i++) {
        host.entry[i] = (struct entry){.event = -1, .masked = true};
    }
    if (!vfio_open(&host.vfio, name)) {
        return false;
    }
    for (unsigned i = 0; i < host.vfio.vectors && i < LEGACY_VECTORS_MAX; i++) {
        host.entry[i].event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (host.entry[i].event < 0) {
            return refuse(name, strerror(errno));
        }
    }
    return examine(vf, name, setup);
}

void hostvf_close(void)
{
    vfio_close(&host.vfio);
    for (unsigned i = 0; i < LEGACY_VECTORS_MAX; i++) {
        if (host.entry[i].event >= 0) {
            (void)close(host.entry[i].event);
        }
    }
}

/* ---- Registers ---- */

uint32_t hostvf_read(uint32_t offset, unsigned width)
{
    return range_fits(offset, width, host.length)
               ? vfio_read(&host.vfio, host.bar, host.offset + offset, width)
               : all_ones(width);
}

void hostvf_write(uint32_t offset, unsigned width, uint32_t value)
{
    if (range_fits(offset, width, host.length)) {
        vfio_write(&host.vfio, host.bar, host.offset + offset, width, value);
    }
}

uint32_t hostvf_queues(uint32_t most)
{
    uint32_t count = 0, size = 1;

    while (count < most && size != 0) {
        hostvf_write(LEGACY_QUEUE_SELECT, 2, count);
        size = hostvf_read(LEGACY_QUEUE_SIZE, 2);
        size = size == all_ones(2) ? 0 : size;
        count += size != 0 ? 1 : 0;
    }
    hostvf_write(LEGACY_QUEUE_SELECT, 2, 0);
    return count;
}

/* ---- The function ---- */

/* vfio-pci leaves Command as it is over a reset; virtio-vfio-pci forgets that its BAR is on. */
enum status hostvf_flr(void)
{
    enum status status = hostvf_msix(false);

    if (status == STATUS_OK) {
        status = vfio_reset(&host.vfio);
    }
    hostvf_bus_master(false);
    return status;
}

/* An I/O BAR has to be on for its registers; BARs in memory of a VF always are. */
void hostvf_bus_master(bool on)
{
    uint32_t command = vfio_read(&host.vfio, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, 2);

    command &= ~PCI_COMMAND_BUS_MASTER;
    command |= (on ? PCI_COMMAND_BUS_MASTER : 0) | (host.io ? PCI_COMMAND_IO : 0);
    vfio_write(&host.vfio, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, 2, command);
}

enum status hostvf_msix(bool on)
{
    for (unsigned i = 0; i < host.vectors; i++) {
        uint64_t value;

        host.entry[i].masked = true;
        (void)!read(host.entry[i].event, &value, sizeof(value)); /* of before */
    }
    if (host.msix == on) {
        return STATUS_OK;
    }
    enum status status = vfio_msix(&host.vfio, on ? host.vectors : 0);

    host.msix = status == STATUS_OK ? on : host.msix;
    return status;
}

enum status hostvf_vector_open(unsigned entry)
{
    enum status status = vfio_vector(&host.vfio, entry, host.entry[entry].event);

    host.entry[entry].masked = status != STATUS_OK;
    return status;
}

void hostvf_vector_close(unsigned entry)
{
    uint64_t value;

    (void)vfio_vector(&host.vfio, entry, -1);
    host.entry[entry].masked = true;
    (void)!read(host.entry[entry].event, &value, sizeof(value));
}

/* VFIO has no mask for these. */
void hostvf_vector_mask(unsigned entry, bool masked)
{
    host.entry[entry].masked = masked;
}

/* ---- Memory and messages ---- */

enum status hostvf_map(uint64_t iova, uint64_t size, void *here, bool readable, bool writable)
{
    enum status status = vfio_map(&host.vfio, iova, size, here, readable, writable);

    if (status == STATUS_NO_MEMORY) {
        vfiod_say("memory of %llu bytes cannot stay in RAM for the VF: raise RLIMIT_MEMLOCK",
                  (unsigned long long)size);
    }
    return status;
}

void hostvf_unmap(uint64_t iova, uint64_t size)
{
    vfio_unmap(&host.vfio, iova, size);
}

unsigned hostvf_poll_fds(struct pollfd *fd, unsigned room)
{
    unsigned count = 0;

    for (unsigned i = 0; i < host.vectors && count < room; i++) {
        if (!host.entry[i].masked) {
            host.polled[count] = (uint8_t)i;
            fd[count++] = (struct pollfd){.fd = host.entry[i].event, .events = POLLIN};
        }
    }
    return count;
}

/* One that has been masked since keeps it. */
int hostvf_take_message(const struct pollfd *fd, unsigned i)
{
    const struct entry *entry = &host.entry[host.polled[i]];
    uint64_t value;

    if (fd->revents == 0 || entry->masked ||
        read(entry->event, &value, sizeof(value)) != (ssize_t)sizeof(value)) {
        return -1;
    }
    return host.polled[i];
}
