/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio devices driven by their legacy registers in the ways of the drivers that are out there.
 * A way is a row of styles[]: which steps in which order, and what it does differently. What a
 * device does then is the same for all: net.c, block.c, scsi.c, small.c.
 */
#ifndef PORTOLAN_GUEST_DRIVERS_DRIVERS_H
#define PORTOLAN_GUEST_DRIVERS_DRIVERS_H

#include "guest/lib/guest.h"
#include "guest/lib/virtio.h"

#define QUEUES_MAX 5 /* net: two pairs, and one for control */

enum device_type { NET, BLOCK, CONSOLE, RNG, SCSI, DEVICE_TYPES };
#define ON(type) (1U << (type))

/* What a driver does from finding its device to letting go of it. */
enum step {
    STEP_END,
    STEP_RESET,         /* status 0 */
    STEP_READ_ISR,      /* whatever it says */
    STEP_MSIX_OFF,      /* in configuration space */
    STEP_ACKNOWLEDGE,   /* status */
    STEP_DRIVER,        /* status */
    STEP_PRESENT,       /* status, ACKNOWLEDGE and DRIVER in one */
    STEP_DRIVER_OK,     /* status */
    STEP_ALL_AT_ONCE,   /* status, DRIVER and DRIVER_OK in one */
    STEP_NOT_OK,        /* takes DRIVER_OK back, and reads the status to do so */
    STEP_FEATURES,      /* reads the device's, writes the driver's */
    STEP_CONFIG,        /* reads device configuration, in the style's way */
    STEP_DUMP,          /* reads 32 bits at each register, aligned or not */
    STEP_QUEUES,        /* finds the queues, gives them rings, and vectors */
    STEP_RENEW,         /* the rings of before once more, without a look */
    STEP_BUFFERS,       /* what the device is to fill; notifies */
    STEP_CONTROL,       /* net: commands on the control queue */
    STEP_WRITE_ADDRESS, /* net: another MAC address, byte by byte */
    STEP_EARLY,         /* block: a request before DRIVER_OK */
    STEP_PENDING_DUMP,  /* block: as STEP_DUMP, with an interrupt pending that must stay so */
    STEP_QUEUES_OFF,    /* PFN 0 for each, and no vector */
};

enum interrupts { POLLED, BY_INTX, BY_MSIX };
enum config_access { BY_BYTES, BY_FIELDS, BY_CHUNKS };

enum rule {
    RULE_STATUS_READ = 1 << 0,        /* the status is read, changed and written */
    RULE_PFN_FIRST = 1 << 1,          /* the PFN is looked at before the size, not after it */
    RULE_PFN_UNSEEN = 1 << 2,         /* the PFN is not looked at */
    RULE_ISR_EACH_POLL = 1 << 3,      /* while polling */
    RULE_ISR_EACH_REQUEST = 1 << 4,   /* after each that was polled for */
    RULE_ONLY_REQUEST_QUEUE = 1 << 5, /* scsi: the control and event queues stay without rings */
    RULE_NO_VECTOR = 1 << 6,          /* a queue without interrupts is given vector FFFFh */
};

struct style {
    const char *name;
    uint8_t types;    /* ON() of those that the driver is for */
    uint16_t command; /* PCI command register */
    enum interrupts interrupts;
    enum config_access config;
    /* The first tries with MSI-X of which the last vector is one that the device does not have. */
    unsigned refused;
    unsigned depth; /* requests under way */
    uint32_t rules;
    uint32_t net, block, ring; /* features that it takes if offered: of its type, and of rings */
    const enum step *start, *stop;
    const enum step *again; /* after STOP; or NULL */
};

extern const struct style *const styles[];
/* Devices are exchanged for others meanwhile: an interrupt for nothing is no wonder. */
extern bool devices_move;
extern const unsigned style_count;

#define FEATURE_INDIRECT    (1U << 28)
#define FEATURE_EVENT_INDEX (1U << 29)
#define FEATURE_NET_CONTROL (1U << 17) /* CTRL_VQ */
#define FEATURE_NET_PAIRS   (1U << 22) /* MQ */
#define CONFIG_MAX          36

/* A device, driven in one style. */
struct driver {
    const struct style *style;
    unsigned index; /* of the style */
    enum device_type type;
    struct virtio_device pci;
    uint32_t features;
    uint8_t status;
    uint8_t config[CONFIG_MAX]; /* device configuration, once it was read */
    bool config_known;
    enum interrupts way;    /* that it has come to be */
    bool shared;            /* with MSI-X: one vector for all queues */
    unsigned queues, pairs; /* net: of them */
    struct virtio_queue queue[QUEUES_MAX];
    uint16_t kicked[QUEUES_MAX]; /* index of the available ring when it was last looked at */
    unsigned woken;              /* interrupts of the main queue that were taken notice of */
    bool awake;
    unsigned changes; /* of device configuration that an interrupt told of */
};

/* ---- main.c ---- */

/* Between two things that a driver does to its device. At some of these the guest waits until the
 * device was exchanged. */
void driver_step(void);

/* ---- driver.c ---- */

uint16_t driver_port(const struct driver *driver, enum virtio_port offset);
void driver_run(struct driver *driver, const enum step *steps);
/* Reads device configuration in the style's way: all as before, unless something was announced. */
void driver_read_config(struct driver *driver, bool announced);
/* 32 bits from each register, and nothing has changed by it. */
void driver_dump(const struct driver *driver);

/* ---- queues.c ---- */

void queues_set_up(struct driver *driver);
void queues_renew(struct driver *driver);
void queues_let_go(struct driver *driver);
/* The one whose interrupts the driver waits for; the others are looked at now and then. */
unsigned queues_main(const struct driver *driver);
unsigned queues_msix_size(const struct driver *driver);

/* ---- wait.c ---- */

void wait_set_up(void);
/* From here on interrupts are DRIVER's, with nothing counted yet; and no longer. */
void wait_begin(struct driver *driver);
void wait_end(void);
/* Entry ENTRY of the MSI-X table leads to the handler that counts it. */
void wait_arm(const struct driver *driver, unsigned entry);
/* Notify of what was put into queue NUMBER, if the device wants to know. */
void wait_kick(struct driver *driver, unsigned number);
/*
 * The next chain that the device has used of queue NUMBER. Of the main queue it is waited for as
 * the style does: with interrupts nothing is looked at before one came. *LENGTH: what was written.
 */
uint16_t wait_for(struct driver *driver, unsigned number, uint32_t *length);
/* Sleep until an interrupt says that device configuration has changed. */
void wait_for_change(struct driver *driver);
/* An interrupt is pending, or will be soon: are registers that are read too wide no end to it? */
void wait_check_dump(struct driver *driver);
/* Print what came, and check that it is what the style wants. */
void wait_report(const struct driver *driver);

/* ---- devices ---- */

void net_post(struct driver *driver);
void net_control(struct driver *driver);
void net_write_address(struct driver *driver);
void net_exercise(struct driver *driver);

void block_early(struct driver *driver);
void block_pending_dump(struct driver *driver);
void block_exercise(struct driver *driver);

void scsi_exercise(struct driver *driver);

void console_post(struct driver *driver);
void console_exercise(struct driver *driver);
void rng_exercise(struct driver *driver);

/* ---- disk.c: what is on the disks, for block and SCSI ---- */

#define DISK_SECTOR  512UL
#define DISK_SECTORS 8U /* of one request */
#define DISK_BYTES   (DISK_SECTORS * DISK_SECTOR)

/* Request NUMBER of reading what was there, or of writing and reading what is this style's. */
uint64_t disk_place(const struct driver *driver, bool own, unsigned number);
void disk_fill(const struct driver *driver, uint64_t sector, uint8_t *data);
bool disk_check(const struct driver *driver, bool own, uint64_t sector, const uint8_t *data);
/* Say which sectors are changed now, and how. */
void disk_report(const struct driver *driver);

#endif
