/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client of tools/vfiod/device.h, with memory of its own, and a legacy driver in it. The memory
 * is two maps, each of them allocated apart, so that AddressSanitizer sees who leaves it.
 */
#ifndef PORTOLAN_TESTS_UNIT_VFIOD_CLIENT_H
#define PORTOLAN_TESTS_UNIT_VFIOD_CLIENT_H

#include "tools/vfiod/device.h"
#include "tools/vfiod/ring.h"

#define CLIENT_LOW       0x100000U /* the first map is from 0 to here */
#define CLIENT_HIGH      0x200000U /* the second one from here on, ... */
#define CLIENT_HIGH_SIZE 0x10000U  /* ... of this size, read only from its middle on */
#define CLIENT_MESSAGE   600U      /* bytes in a message */
#define CLIENT_QUEUES    2U
#define CLIENT_SIZE      256U /* of a queue */

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };

struct client_desc {
    uint64_t at;
    uint32_t length;
    uint16_t flags, next;
};

struct client_queue {
    uint64_t at;
    uint16_t avail, used;
};

struct client {
    unsigned vector[8]; /* messages of each */
    unsigned rises;
    bool line;
    unsigned said;
    char words[512]; /* the last of it */
    bool away;       /* all its memory is unmapped */
    unsigned marks;  /* calls of memory_at() to write */

    /* Only messages reach it; they are answered in client_turn(), but for those who are silent. */
    bool far, silent;
    bool early;        /* it looks when it is asked, and not when it answers */
    bool refuses;      /* answers are errors */
    unsigned patience; /* how many it gives in a turn; 0: all */
    bool asked;        /* this has no answer yet */
    uint64_t asked_at;
    uint32_t asked_count;
    bool asked_write;
    unsigned messages;
    struct client_queue queue[CLIENT_QUEUES];
};

extern struct client client;

/* Memory with nothing in it, and no device. */
void client_start(void);
void client_end(void);

/* A place in the client's memory. */
void *client_memory(uint64_t at);

/* A new file of SIZE bytes, each 512 of which begin with their number; its path. */
const char *client_disk(uint64_t size);

uint32_t client_config_read(unsigned offset, unsigned width);
void client_config_write(unsigned offset, unsigned width, uint32_t value);
uint32_t client_in(unsigned offset, unsigned width);
void client_out(unsigned offset, unsigned width, uint32_t value);

/* Decoding and Bus Master, and with MSIX that too, all vectors listened to: each queue's is 1 + its
 * number. */
void client_enable(bool msix);

/* As Linux does it: reset, status, FEATURES, queues. */
void client_drive(bool msix, uint32_t features, unsigned queues);

void client_set_desc(unsigned queue, unsigned index, struct client_desc desc);
/* Offer the chain from HEAD on; client_notify() tells. */
void client_offer(unsigned queue, uint16_t head);
void client_notify(unsigned queue);
/* What the loop of the daemon does, until nothing is to be done at once. */
void client_turn(void);
/* Answer the message that is under way. */
void client_step(void);
/* The next used entry. False: there is none. */
bool client_used(unsigned queue, uint32_t *head, uint32_t *length);

/* Of a queue of CLIENT_SIZE. */
uint64_t client_avail_at(unsigned queue);
uint64_t client_used_at(unsigned queue);

#endif
