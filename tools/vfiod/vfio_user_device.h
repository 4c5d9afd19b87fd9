/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server of vmm/vfio_user for a device that a VMM drives: with interrupts, DMA, a reset, and also
 * in the form of 2021 (v8). As vmm/vfio_user it makes no OS call; what it needs besides
 * vfio_user_edge.h stands below.
 */
#ifndef PORTOLAN_TOOLS_VFIOD_VFIO_USER_DEVICE_H
#define PORTOLAN_TOOLS_VFIOD_VFIO_USER_DEVICE_H

#include "vmm/vfio_user/vfio_user_edge.h"

/* An interrupt: where a signal of it goes. */
struct vfio_user_line {
    int trigger;
    int unmask; /* INTA: a signal there unmasks it. The transport looks at it */
};

struct vfio_user_device {
    struct vfio_user server;    /* for vfio_user_received() and others */
    enum vfio_user_form wanted; /* AUTO: by what the client says of itself */
    uint32_t maps;              /* that the client has */

    struct vfio_user_line intx;
    bool intx_level, intx_masked;
    int vector[VFIO_USER_VECTORS_MAX];
    uint16_t next_id; /* of our own commands */

    /* The DMA_READ or DMA_WRITE that the client has not answered yet. */
    struct {
        bool waits;
        uint16_t id, command;
        uint64_t address;
        uint32_t count;
    } dma;

    /* The migration region. */
    uint8_t *stage;  /* a piece of a state */
    uint32_t staged; /* bytes there */
    bool fetched;    /* they are those of the last data_offset */
};

/*
 * As vfio_user_init(), 'more' of SETUP being filled in here, for clients of the form WANTED. STAGE,
 * for the migration region, has as many bytes as a message has data; TODAY does not use it.
 */
enum status vfio_user_device_init(struct vfio_user_device *device,
                                  const struct vfio_user_setup *setup, enum vfio_user_form wanted,
                                  uint8_t *stage);

/* The function drives INTA to LEVEL, or sends the message of a vector. */
void vfio_user_set_intx(struct vfio_user_device *device, bool level);
void vfio_user_send_vector(struct vfio_user_device *device, uint32_t vector);

/* The client's handle for it was signalled: INTA is unmasked. */
void vfio_user_unmask_intx(struct vfio_user_device *device);

/*
 * Ask the client for COUNT bytes, at least 1, at ADDRESS of its memory, or write FROM there.
 * Returns how many: what one message may have, or 0: there is no client. vfio_user_edge_dma_done()
 * has the answer, unless the client goes; until then this is not called again. Not from within
 * vfio_user_received(): a command may wait for its answer then.
 */
uint32_t vfio_user_dma(struct vfio_user_device *device, uint64_t address, uint32_t count,
                       const uint8_t *from);

/* As vfio_user_capabilities(), in the form of 2021. */
int vfio_user_2021_capabilities(const struct vfio_user_setup *setup, uint32_t asked, char *text,
                                size_t size);

/*
 * What it asks for besides, on the terms of vfio_user_edge.h. From within all of these and those
 * vfio_user_set_intx() and vfio_user_send_vector() may be called.
 */

/* Signal HANDLE; one that cannot be is as good as one that nobody looks at. Never waits. */
void vfio_user_edge_signal(struct vfio_user *server, int handle);

/* The client listens to this vector from now on, or no longer: nobody wants its messages. */
void vfio_user_edge_vector(struct vfio_user *server, uint32_t vector, bool wanted);

/* As by an FLR; a state of ERROR ends. It is RUNNING then. AGAIN. */
enum status vfio_user_edge_reset(struct vfio_user *server);

/* ---- The client's memory ---- */

struct vfio_user_map {
    uint64_t address, size; /* both multiples of 4096, and the end does not wrap */
    uint64_t offset;        /* in what the handle stands for */
    bool readable, writable;
    int handle; /* NO_HANDLE: it can be had by messages only */
};

/* The handle is taken, whatever comes of it. CONFLICT: something there is mapped. */
enum status vfio_user_edge_map(struct vfio_user *server, const struct vfio_user_map *map);

/*
 * After it nobody uses that memory any more. It is a map, or a part of one, of which as many maps
 * are left as it has ends, *LEFT at most, and *LEFT says how many. With 0 only whole maps go: so it
 * is always where the function does not 'split'. NOT_FOUND: no map is, or has, this; NO_ROOM: more
 * than *LEFT would be left, and it is not 0; any failure: nothing changed.
 */
enum status vfio_user_edge_unmap(struct vfio_user *server, uint64_t address, uint64_t size,
                                 uint32_t *left);
void vfio_user_edge_unmap_all(struct vfio_user *server);

/* The answer to vfio_user_dma(): DATA, as many bytes as that said, if it asked for some. With OK
 * false the client refused, or answered something else. */
void vfio_user_edge_dma_done(struct vfio_user *server, bool ok, const uint8_t *data);

#endif
