/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/pci/master.h"

#include "drivers/pci/bridge.h"
#include "drivers/pci/pci_config.h"
#include "drivers/pci/scan.h"

/* For each listed function, if it is a bridge. */
static struct {
    uint16_t users;
    bool was_set;
} bridges[PCI_FUNCTIONS_MAX];

static bool is_set(bdf_t bdf)
{
    return (pci_config_read(bdf, PCI_COMMAND, 2) & PCI_COMMAND_BUS_MASTER) != 0;
}

static void clear(bdf_t bdf)
{
    (void)pci_config_change(bdf, PCI_COMMAND, PCI_COMMAND_BUS_MASTER, 0);
}

/* Who wants it says so when it fails: a guest may try as often as it likes. */
static enum status set(bdf_t bdf)
{
    uint32_t command = pci_config_change(bdf, PCI_COMMAND, 0, PCI_COMMAND_BUS_MASTER);

    return command != 0xffffU && (command & PCI_COMMAND_BUS_MASTER) != 0 ? STATUS_OK
                                                                         : STATUS_DEVICE;
}

/* One user more or less of every bridge from the one above BDF up to, exclusively, STOP. */
static void bridges_leave(bdf_t bdf, const struct pci_function *stop)
{
    const struct pci_function *bridge;

    while ((bridge = pci_upstream(bdf.segment, bdf.bus)) != stop && bridge != NULL) {
        uint32_t index = (uint32_t)(bridge - pci_function_at(0));

        if (--bridges[index].users == 0 && !bridges[index].was_set) {
            clear(bridge->bdf);
        }
        bdf = bridge->bdf;
    }
}

static enum status bridges_join(bdf_t bdf)
{
    bdf_t at = bdf;
    const struct pci_function *bridge;

    while ((bridge = pci_upstream(at.segment, at.bus)) != NULL) {
        uint32_t index = (uint32_t)(bridge - pci_function_at(0));

        if (bridges[index].users == 0) {
            bridges[index].was_set = is_set(bridge->bdf);
            if (set(bridge->bdf) != STATUS_OK) {
                bridges_leave(bdf, bridge);
                return STATUS_DEVICE;
            }
        }
        bridges[index].users++;
        at = bridge->bdf;
    }
    return STATUS_OK;
}

enum status pci_master_acquire(struct pci_master *master, bdf_t bdf)
{
    enum status status = master->held ? STATUS_OK : bridges_join(bdf);

    if (status == STATUS_OK) {
        status = set(bdf);
        if (status != STATUS_OK && !master->held) {
            bridges_leave(bdf, NULL);
        }
    }
    master->held |= status == STATUS_OK;
    return status;
}

void pci_master_release(struct pci_master *master, bdf_t bdf)
{
    if (!master->held) {
        return;
    }
    clear(bdf);
    bridges_leave(bdf, NULL);
    master->held = false;
}
