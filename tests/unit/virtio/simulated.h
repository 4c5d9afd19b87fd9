/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio PF in C, at the edges of drivers/virtio: registers, DMA memory, time. It behaves by
 * docs/mmr-device.md unless told otherwise, and aborts when the driver breaks a rule.
 *
 * Its structures are in BAR 4: common at 0, device at 2000h, notify at 3000h.
 */
#ifndef PORTOLAN_TESTS_UNIT_VIRTIO_SIMULATED_H
#define PORTOLAN_TESTS_UNIT_VIRTIO_SIMULATED_H

#include "drivers/virtio/admin.h"
#include "drivers/virtio/device.h"
#include "drivers/virtio/queue.h"
#include "drivers/virtio/transport.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_PF_BAR       0xfe000000ULL
#define SIM_BAR_SIZE     0x8000U
#define SIM_IOVA         0x500000000ULL
#define SIM_FEATURES     0x2300000020ULL /* VERSION_1, ACCESS_PLATFORM, SR_IOV, net's MAC */
#define SIM_ADMIN        (1ULL << 41)
#define SIM_FOR_EVER     UINT32_MAX
#define SIM_VFS          2U
#define SIM_DEVICE_SIZE  64U
#define SIM_OPCODES      0x7fU
#define SIM_NOTIFY_COUNT 4U

enum sim_answer {
    SIM_GOOD,
    SIM_SILENT,
    SIM_BAD_ID,      /* of a buffer that it was not given */
    SIM_TOO_LONG,    /* more bytes than there is room for */
    SIM_TOO_SHORT,   /* no status */
    SIM_UNWRITTEN,   /* used, but nothing is written */
    SIM_NO_RESULT,   /* used, but only the status is written */
    SIM_JUMP,        /* two buffers used instead of one */
    SIM_BACK,        /* the used index runs backwards */
    SIM_NEEDS_RESET, /* no answer, and the status says so */
    SIM_VANISH       /* no answer, and all registers are all ones */
};

/* A command that it carries out. Of 2021: 'opcode' is class * 256 + command. */
struct sim_command {
    uint16_t opcode, group;
    uint64_t member;
    const uint8_t *data;
    uint32_t data_size;
    uint8_t result[VIRTIO_ADMIN_RESULT_MAX];
    uint32_t room;
    uint32_t length;
    uint16_t status;
    uint16_t qualifier;
};

struct sim_notify {
    uint8_t flags;
    uint8_t bar;
    uint64_t offset;
};

struct sim {
    /* What it is. */
    uint64_t offered;
    uint16_t num_queues;
    uint16_t admin_index;
    uint16_t admin_num;
    uint16_t queue_max;
    uint16_t notify_off;
    uint64_t opcodes;                           /* that it has for the SR-IOV group */
    uint64_t self_opcodes;                      /* and for the self group; 0: that has no list */
    bool (*more)(struct sim_command *c);        /* has other commands; false: not this one */
    void (*begin)(const struct sim_command *c); /* told of each, before it is worked at */
    bool vf_enable;
    uint8_t device[SIM_DEVICE_SIZE];
    uint8_t vf_common[SIM_VFS][24];
    uint8_t vf_device[SIM_VFS][SIM_DEVICE_SIZE];
    struct sim_notify notify[SIM_NOTIFY_COUNT];

    /* How it misbehaves. */
    bool all_ones;
    uint32_t reset_reads; /* reads of the status until a reset is done */
    bool refuse_features;
    bool refuse_start;
    bool refuse_size;
    bool refuse_enable;
    uint32_t config_changes; /* reads of the device configuration that change it first */
    enum sim_answer answer;
    bool late_first;    /* before the next command, one that was kept is answered */
    uint32_t answer_us; /* how long a command takes */
    uint32_t list_size; /* bytes of LIST_QUERY's result, which counts up behind the list; 0: 8 */
    void (*meanwhile)(void); /* what another CPU does while the driver waits; once */
    uint16_t slow_only;      /* of that opcode takes answer_us; 0: each */
    uint32_t fail_count;     /* commands that fail with the two below */
    uint16_t fail_only;      /* of that opcode; 0: any */
    uint32_t fail_after;     /* so many of them are carried out before */
    uint16_t fail_status;
    uint16_t fail_qualifier;
    uint32_t result_cut; /* bytes that are missing at the end of results */

    /* What happened. */
    uint64_t accepted;
    bool reset_mastering; /* bus mastering was on when it was last reset */
    uint64_t commands;
    uint64_t use[2];   /* by LIST_USE, for each group */
    uint32_t readable; /* lengths of the parts of the last command */
    uint32_t writable;
    uint64_t microseconds;

    /* Its own state. */
    uint8_t status;
    uint32_t reset_left;
    uint8_t generation;
    uint32_t device_select, driver_select;
    uint16_t queue_select, queue_size, queue_enable;
    uint64_t addresses[3];
    uint16_t taken;
    uint16_t head;   /* descriptor of the command that was taken last */
    uint32_t kept;   /* slots of commands that were not answered */
    uint64_t flying; /* heads of commands that it works at */
    uint64_t due[VIRTQUEUE_SIZE_MAX];
    unsigned parts;    /* of the last command */
    unsigned together; /* the most commands that it ever worked at */
};

extern struct sim sim;

/* A good device as after power-up, its BAR in physical memory and a configuration space. */
void sim_reset(void);

/* Its BARs, for the driver. */
const struct virtio_bar *sim_bars(void);

/* The DMA memory of the driver under test: what virtio_pf_allocate() gives, at SIM_IOVA. */
struct virtio_dma sim_memory(void);

/* The function as discovery lists it. */
const struct virtio_function *sim_function(void);

/* Answer the command in SLOT, which was not answered before, in the way of sim.answer. */
void sim_answer_late(unsigned slot);

/* Write the used index, as a device that has used what it was not given. */
void sim_set_used_index(uint16_t index);

#endif
