/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one PCI function says of itself: header, BARs, and the capabilities the VMM uses.
 * PCI Express Base 6.0, chapter 7.
 */
#ifndef PORTOLAN_DRIVERS_PCI_FUNCTION_H
#define PORTOLAN_DRIVERS_PCI_FUNCTION_H

#include "vmm/base/status.h"
#include "vmm/base/types.h"

#define PCI_BARS_MAX 6U

/* Bits of a BAR. */
#define PCI_BAR_FLAG_IO           0x1U
#define PCI_BAR_FLAG_TYPE         0x6U
#define PCI_BAR_FLAG_64           0x4U
#define PCI_BAR_FLAG_PREFETCHABLE 0x8U

/* In the PCI Express capability. */
#define PCI_EXPRESS_DEVICE_CAPS     0x04U
#define PCI_EXPRESS_DEVICE_CONTROL  0x08U
#define PCI_EXPRESS_DEVICE_STATUS   0x0aU
#define PCI_EXPRESS_ROOT_CONTROL    0x1cU
#define PCI_EXPRESS_ROOT_CAPS       0x1eU
#define PCI_EXPRESS_DEVICE_CONTROL2 0x28U
#define PCI_EXPRESS_FLR             (1U << 28) /* in the device capabilities */
#define PCI_EXPRESS_START_FLR       (1U << 15) /* in the device control */
#define PCI_EXPRESS_PENDING         (1U << 5)  /* in the device status */
#define PCI_EXPRESS_ARI_FORWARDING  (1U << 5)  /* in device control 2 */
#define PCI_EXPRESS_RETRY_SEEN      (1U << 4)  /* in the root control: 'not yet' is passed on */
#define PCI_EXPRESS_RETRY_CAP       (1U << 0)  /* in the root capabilities: it can be */

/* Offsets in the header of configuration space. */
enum pci_register {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BAR0 = 0x10,
    PCI_BRIDGE_SECONDARY = 0x19,
    PCI_BRIDGE_SUBORDINATE = 0x1a,
    PCI_BRIDGE_MEMORY_BASE = 0x20,
    PCI_BRIDGE_MEMORY_LIMIT = 0x22,
    PCI_BRIDGE_PREFETCHABLE_BASE = 0x24,
    PCI_BRIDGE_PREFETCHABLE_LIMIT = 0x26,
    PCI_BRIDGE_PREFETCHABLE_BASE_UPPER = 0x28,
    PCI_BRIDGE_PREFETCHABLE_LIMIT_UPPER = 0x2c,
    PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_ROM = 0x30,
    PCI_CAPABILITIES = 0x34,
    PCI_BRIDGE_ROM = 0x38,
    PCI_INTERRUPT_LINE = 0x3c
};

#define PCI_COMMAND_IO         0x0001U
#define PCI_COMMAND_MEMORY     0x0002U
#define PCI_COMMAND_BUS_MASTER 0x0004U
#define PCI_COMMAND_INTX_OFF   0x0400U

#define PCI_VENDOR_NONE 0xffffU

enum pci_header { PCI_HEADER_DEVICE = 0, PCI_HEADER_BRIDGE = 1, PCI_HEADER_CARDBUS = 2 };

/* Device/port type in the PCI Express capability, section 7.5.3.2. */
enum pci_port {
    PCI_PORT_ENDPOINT = 0,
    PCI_PORT_ROOT = 4,
    PCI_PORT_UPSTREAM = 5,
    PCI_PORT_DOWNSTREAM = 6,
    PCI_PORT_TO_PCI = 7,
    PCI_PORT_FROM_PCI = 8,
    PCI_PORT_CONVENTIONAL = 0xff /* no PCI Express capability */
};

/* Offsets of capabilities are 0 where there is none. */
struct pci_function {
    bdf_t bdf;
    uint32_t class_code; /* base class << 16 | subclass << 8 | interface */
    uint16_t vendor;
    uint16_t device;
    uint16_t subsystem; /* 0 for bridges */
    uint16_t sriov;
    uint16_t ari;
    uint16_t acs;
    uint16_t express;
    uint16_t msix;
    uint16_t af;
    uint8_t revision;
    uint8_t header;      /* enum pci_header; no other gets into a list */
    uint8_t port;        /* enum pci_port */
    bool flr;            /* by the PCI Express capability, or by 'af' */
    bool multi_function; /* says function 0 */
    bool ari_supported;  /* bridges: ARI forwarding can be switched on */
    bool ari_forwarding; /* bridges: and is */
    uint8_t secondary;   /* bridges; else, and for unused or nonsensical ones, 0 */
    uint8_t subordinate;
};

/*
 * Read the function at BDF into *FUNCTION. NOT_FOUND when nothing answers there, DEVICE when it
 * answers with a header type that does not exist. The bus must be open.
 */
enum status pci_function_read(bdf_t bdf, struct pci_function *function);

/*
 * Read all of FUNCTION but vendor and kind of header, which are filled in: VFs do not say theirs.
 * The rest is zero, 'port' PCI_PORT_CONVENTIONAL.
 */
void pci_function_read_body(struct pci_function *function);

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEMORY_32, PCI_BAR_MEMORY_64 };

struct pci_bar {
    uint64_t base; /* port or host-physical; 0: firmware gave it no address */
    uint64_t size; /* bytes, a power of two; 0: not known, or refused (drivers/pci/bars.h) */
    uint8_t kind;  /* enum pci_bar_kind; the upper half of a 64-bit BAR is NONE */
    bool prefetchable;
};

/* What the lower half of a BAR says, of which LOW is neither 0 nor all ones; without size. */
struct pci_bar pci_bar_decode(uint32_t low);

/*
 * Decode the COUNT <= PCI_BARS_MAX BARs at OFFSET of BDF's space (a header's, or the VF BARs of an
 * SR-IOV capability) into BARS. Only reads: sizes are not known. A 64-bit BAR without an upper half
 * is NONE, with a warning.
 */
void pci_bars_read(bdf_t bdf, uint32_t offset, uint32_t count, struct pci_bar *bars);

struct pci_msix {
    uint32_t table_offset; /* in BAR 'table_bar' */
    uint32_t pba_offset;   /* in BAR 'pba_bar' */
    uint16_t vectors;      /* 1..2048 */
    uint8_t table_bar;     /* 0..5 */
    uint8_t pba_bar;
    bool enabled;
};

/* Read the MSI-X capability at offset CAPABILITY of BDF; DEVICE when its BAR numbers are wrong. */
enum status pci_msix_read(bdf_t bdf, uint16_t capability, struct pci_msix *msix);

#endif
