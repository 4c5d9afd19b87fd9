/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An old driver's function, served by vfio-user: what the programs share that drive one in a guest
 * of the test machine. For file systems where little else is: no libraries. One function in a
 * process, one thread; whatever goes wrong ends it.
 */
#ifndef PORTOLAN_TESTS_VFIOD_GUEST_CLIENT_H
#define PORTOLAN_TESTS_VFIOD_GUEST_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>

#define IOVA        0x40000000ULL /* of the memory, for the device */
#define MEMORY_SIZE 0x200000ULL
#define RINGS       0x10000U /* places in it: two rings, and what is behind them is the program's */
#define RING_SIZE   0x8000U
#define FREE        0x20000U
#define PIECES_MAX  4U

enum { CLIENT_CONFIG = 7 };          /* a region; BAR 0 is 0 */
enum { READABLE = 1, WRITABLE = 2 }; /* rights */
enum { FEATURES = 0, GUEST_FEATURES = 4, PFN = 8, SIZE = 12, SELECT = 14, NOTIFY = 16 };
enum { STATUS = 18, ISR = 19, QUEUE_VECTOR = 22, CONFIG_INTX = 20, CONFIG_MSIX = 24 };

struct ring {
    uint16_t index, size, offered, seen;
    uint8_t *at;
};

/* SIZE bytes at AT of the memory; the function reads them, or writes them. */
struct piece {
    uint32_t at, size;
    bool written;
};

extern uint8_t *memory;  /* the function's, all that there is */
extern bool client_msix; /* else INTA */

noreturn void fail(const char *text, ...);

/* Make the memory, and connect to the socket at PATH. */
void client_connect(const char *path);

/* Also map the memory, and listen to INTA, or to vectors 1 to VECTORS. With MSI-X notifications of
 * queue 0 are signals to the server's eventfd. */
void client_open(const char *path, bool msix, uint32_t vectors);

uint32_t client_get(uint32_t region, uint64_t offset, uint32_t width);
void client_put(uint32_t region, uint64_t offset, uint32_t width, uint32_t value);

/* WIDTH bytes of the device's own configuration, which begins where there is room. */
uint32_t client_config(uint32_t offset, uint32_t width);

/* SIZE bytes from AT of the memory are at IOVA; not SHARED: without a handle. The error number, if
 * it is refused. */
uint32_t client_map(uint64_t iova, uint64_t at, uint64_t size, uint32_t rights, bool shared);
void client_map_all(void);
void client_unmap(uint64_t iova, uint64_t size);
void client_reset(void);

/* Status 0, then DRIVER with these of the FEATURES of the device; rings come next, then
 * client_go(). */
void client_start(uint32_t features);
void client_go(void);

/* Ring 0 or 1, with vector 1 more than that. */
void ring_open(struct ring *ring, uint16_t index);

/* Offer a request of COUNT pieces, and notify the function. */
void ring_offer(struct ring *ring, const struct piece *piece, unsigned count);

/* Wait for the next that is done, by interrupts: how many bytes the function wrote. */
uint32_t ring_finish(struct ring *ring);

#endif
