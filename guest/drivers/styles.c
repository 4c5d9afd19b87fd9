/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ways of the drivers, as their sources have them: Linux 3.8 (with several pairs of queues),
 * Linux 2.6.32 (with the vectors that it would like, with fewer, and without), Linux 2.6.25,
 * SeaBIOS, iPXE, EDK2, FreeBSD 9, and the Windows drivers of before 2014.
 */
#include "guest/drivers/drivers.h"

#define IO     1U
#define MEMORY 2U
#define MASTER 4U

#define NET_MAC     (1U << 5)
#define NET_MTU     (1U << 3)
#define NET_MERGE   (1U << 15)
#define NET_STATUS  (1U << 16)
#define NET_CONTROL (3U << 17) /* CTRL_VQ, CTRL_RX */
#define NET_PAIRS   FEATURE_NET_PAIRS

#define BLOCK_SIZES    (3U << 1) /* SIZE_MAX, SEG_MAX */
#define BLOCK_GEOMETRY (1U << 4)
#define BLOCK_READONLY (1U << 5)
#define BLOCK_BLK_SIZE (1U << 6)
#define BLOCK_SCSI     (1U << 7)
#define BLOCK_FLUSH    (1U << 9)
#define BLOCK_TOPOLOGY (1U << 10)
#define BLOCK_COMMON   (BLOCK_SIZES | BLOCK_GEOMETRY | BLOCK_READONLY | BLOCK_BLK_SIZE)

#define NOTIFY_ON_EMPTY (1U << 24)

/* What a driver of Linux 2.6.26 to 2.6.32 goes through; its probe reads the disk. */
static const enum step linux_start[] = {
    STEP_MSIX_OFF,  STEP_RESET,   STEP_ACKNOWLEDGE, STEP_DRIVER,  STEP_FEATURES,
    STEP_CONFIG,    STEP_QUEUES,  STEP_CONFIG,      STEP_BUFFERS, STEP_EARLY,
    STEP_DRIVER_OK, STEP_CONTROL, STEP_END,
};
static const enum step linux_stop[] = {STEP_RESET, STEP_QUEUES_OFF, STEP_MSIX_OFF, STEP_END};

/* Features after everything else. */
static const enum step early_linux_start[] = {
    STEP_RESET,   STEP_ACKNOWLEDGE, STEP_DRIVER,    STEP_CONFIG,   STEP_QUEUES,
    STEP_BUFFERS, STEP_EARLY,       STEP_DRIVER_OK, STEP_FEATURES, STEP_END,
};

/* No features at all. */
static const enum step seabios_start[] = {
    STEP_RESET, STEP_READ_ISR, STEP_PRESENT, STEP_CONFIG, STEP_QUEUES, STEP_DRIVER_OK, STEP_END,
};

/* Buffers before features, and no ACKNOWLEDGE. */
static const enum step ipxe_start[] = {
    STEP_RESET,   STEP_READ_ISR, STEP_CONFIG,      STEP_QUEUES,
    STEP_BUFFERS, STEP_FEATURES, STEP_ALL_AT_ONCE, STEP_END,
};
static const enum step ipxe_stop[] = {STEP_RESET, STEP_READ_ISR, STEP_END};

/* Features after the queues, buffers after DRIVER_OK. */
static const enum step edk2_start[] = {
    STEP_RESET,    STEP_ACKNOWLEDGE, STEP_DRIVER,  STEP_CONFIG, STEP_QUEUES,
    STEP_FEATURES, STEP_DRIVER_OK,   STEP_BUFFERS, STEP_END,
};
static const enum step reset_stop[] = {STEP_RESET, STEP_END};

/* 'ifconfig up' starts the device once more, on the rings that it had. */
static const enum step freebsd_start[] = {
    STEP_RESET,  STEP_ACKNOWLEDGE, STEP_DRIVER,  STEP_FEATURES, STEP_CONFIG, STEP_QUEUES,
    STEP_CONFIG, STEP_DRIVER_OK,   STEP_BUFFERS, STEP_CONTROL,  STEP_END,
};
static const enum step freebsd_again[] = {
    STEP_RESET,   STEP_ACKNOWLEDGE, STEP_DRIVER,  STEP_FEATURES, STEP_RENEW,
    STEP_BUFFERS, STEP_DRIVER_OK,   STEP_CONTROL, STEP_CONFIG,   STEP_END,
};

/* Looks at the registers now and then; has an address of its own; sleeps and wakes up. */
static const enum step windows_start[] = {
    STEP_DUMP,     STEP_RESET,  STEP_ACKNOWLEDGE, STEP_DRIVER,       STEP_DUMP,
    STEP_FEATURES, STEP_CONFIG, STEP_QUEUES,      STEP_CONFIG,       STEP_WRITE_ADDRESS,
    STEP_BUFFERS,  STEP_DUMP,   STEP_DRIVER_OK,   STEP_PENDING_DUMP, STEP_END,
};
static const enum step windows_stop[] = {STEP_NOT_OK, STEP_QUEUES_OFF, STEP_END};
static const enum step windows_again[] = {
    STEP_RESET,         STEP_ACKNOWLEDGE, STEP_DRIVER,    STEP_FEATURES, STEP_RENEW,
    STEP_WRITE_ADDRESS, STEP_BUFFERS,     STEP_DRIVER_OK, STEP_END,
};

#define LINUX_TYPES   (ON(NET) | ON(BLOCK) | ON(CONSOLE) | ON(RNG))
#define WINDOWS_TYPES (ON(NET) | ON(BLOCK) | ON(SCSI) | ON(RNG))
#define WINDOWS_NET   (NET_MAC | NET_MERGE | NET_STATUS)
#define WINDOWS_BLOCK (BLOCK_COMMON | BLOCK_FLUSH)
#define EVERY_RING    (FEATURE_INDIRECT | FEATURE_EVENT_INDEX)

static const struct style linux_2_6_32 = {
    .name = "Linux 2.6.32",
    .types = LINUX_TYPES,
    .command = IO | MEMORY, /* never MASTER: that came with 2.6.34 */
    .interrupts = BY_MSIX,
    .depth = 8,
    .rules = RULE_STATUS_READ | RULE_NO_VECTOR,
    .net = NET_MAC | NET_MERGE | NET_STATUS | NET_CONTROL,
    .block = BLOCK_COMMON | BLOCK_SCSI | BLOCK_FLUSH,
    .ring = FEATURE_INDIRECT,
    .start = linux_start,
    .stop = linux_stop,
};

static const struct style linux_3_8 = {
    .name = "Linux 3.8",
    .types = ON(NET),
    .command = IO | MEMORY | MASTER,
    .interrupts = BY_MSIX,
    .depth = 8,
    .rules = RULE_STATUS_READ | RULE_NO_VECTOR,
    .net = NET_MAC | NET_MERGE | NET_STATUS | NET_CONTROL | NET_PAIRS,
    .ring = EVERY_RING,
    .start = linux_start,
    .stop = linux_stop,
};

static const struct style linux_short = {
    .name = "Linux 2.6.32, short of vectors",
    .types = LINUX_TYPES,
    .command = IO | MEMORY,
    .interrupts = BY_MSIX,
    .refused = 1,
    .depth = 8,
    .rules = RULE_STATUS_READ,
    .start = linux_start,
    .stop = linux_stop,
};

static const struct style linux_without = {
    .name = "Linux 2.6.32, out of vectors",
    .types = LINUX_TYPES,
    .command = IO | MEMORY,
    .interrupts = BY_MSIX,
    .refused = 2,
    .depth = 8,
    .rules = RULE_STATUS_READ,
    .start = linux_start,
    .stop = linux_stop,
};

static const struct style linux_2_6_25 = {
    .name = "Linux 2.6.25",
    .types = LINUX_TYPES,
    .command = IO | MEMORY,
    .interrupts = BY_INTX,
    .depth = 4,
    .rules = RULE_STATUS_READ,
    .net = NET_MAC | NOTIFY_ON_EMPTY,
    .block = BLOCK_SIZES | BLOCK_GEOMETRY,
    .start = early_linux_start,
    .stop = linux_stop,
};

static const struct style seabios = {
    .name = "SeaBIOS",
    .types = ON(BLOCK) | ON(SCSI),
    .command = IO | MEMORY | MASTER,
    .interrupts = POLLED,
    .config = BY_FIELDS,
    .depth = 1,
    .rules = RULE_ISR_EACH_REQUEST | RULE_ONLY_REQUEST_QUEUE,
    .start = seabios_start,
    .stop = reset_stop,
};

static const struct style ipxe = {
    .name = "iPXE",
    .types = ON(NET),
    .command = IO | MEMORY | MASTER,
    .interrupts = POLLED,
    .depth = 4,
    .rules = RULE_ISR_EACH_POLL,
    .net = NET_MAC | NET_MTU,
    .start = ipxe_start,
    .stop = ipxe_stop,
};

static const struct style edk2 = {
    .name = "EDK2",
    .types = ON(NET) | ON(BLOCK) | ON(SCSI) | ON(RNG),
    .command = IO,
    .interrupts = POLLED,
    .config = BY_FIELDS,
    .depth = 1,
    .rules = RULE_PFN_UNSEEN | RULE_ONLY_REQUEST_QUEUE,
    .net = NET_MAC | NET_STATUS,
    .block = BLOCK_READONLY | BLOCK_BLK_SIZE | BLOCK_FLUSH | BLOCK_TOPOLOGY,
    .start = edk2_start,
    .stop = reset_stop,
};

static const struct style freebsd = {
    .name = "FreeBSD 9",
    .types = ON(NET) | ON(BLOCK) | ON(SCSI),
    .command = IO | MEMORY | MASTER,
    .interrupts = BY_MSIX,
    .config = BY_CHUNKS,
    .depth = 8,
    .rules = RULE_STATUS_READ | RULE_PFN_UNSEEN | RULE_NO_VECTOR,
    .net = NET_MAC | NET_STATUS | NET_MERGE | NET_CONTROL,
    .block = BLOCK_COMMON | BLOCK_FLUSH | BLOCK_TOPOLOGY,
    .ring = EVERY_RING,
    .start = freebsd_start,
    .stop = reset_stop,
    .again = freebsd_again,
};

static const struct style windows_xp = {
    .name = "Windows XP",
    .types = WINDOWS_TYPES,
    .command = IO | MEMORY | MASTER,
    .interrupts = BY_INTX,
    .depth = 4,
    .rules = RULE_STATUS_READ | RULE_PFN_FIRST,
    .net = WINDOWS_NET,
    .block = WINDOWS_BLOCK,
    .ring = EVERY_RING,
    .start = windows_start,
    .stop = windows_stop,
    .again = windows_again,
};

static const struct style windows_7 = {
    .name = "Windows 7",
    .types = WINDOWS_TYPES,
    .command = IO | MEMORY | MASTER,
    .interrupts = BY_MSIX,
    .depth = 4,
    .rules = RULE_STATUS_READ | RULE_PFN_FIRST,
    .net = WINDOWS_NET,
    .block = WINDOWS_BLOCK,
    .ring = EVERY_RING,
    .start = windows_start,
    .stop = windows_stop,
    .again = windows_again,
};

const struct style *const styles[] = {
    &linux_2_6_32, &linux_short, &linux_without, &linux_2_6_25, &seabios,   &ipxe,
    &edk2,         &freebsd,     &windows_xp,    &windows_7,    &linux_3_8,
};

const unsigned style_count = sizeof(styles) / sizeof(styles[0]);
