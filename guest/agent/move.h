/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moving a VM: from here, or to here, to another host or a file. One move at a time.
 * docs/migration.md has the order; who runs after what is lost is the VMM's to decide, and the
 * agent never asks it for anything that could let both sides run.
 */
#ifndef PORTOLAN_GUEST_AGENT_MOVE_H
#define PORTOLAN_GUEST_AGENT_MOVE_H

#include "guest/agent/page_chunk.h"
#include "guest/agent/page_sum.h"
#include "guest/agent/portal_client.h"
#include "guest/agent/stream_record.h"
#include "guest/agent/wire.h"

#define MOVE_PORT    "49152" /* where nobody says another one */
#define MOVE_WHERE   300U    /* of a URI */
#define MOVE_CHANNEL 1U      /* the VM's; those of its VFs follow */

/* Tests have an agent of less patience. */
#ifndef MOVE_GREETING
#define MOVE_GREETING (30000 * AGENT_MS)  /* for a peer's first words */
#define MOVE_PATIENCE (300000 * AGENT_MS) /* for READY and RUNNING: meanwhile nobody runs */
#endif
#define MOVE_PACE      (4 * AGENT_MS) /* so long a source may take for a byte, on average */
#define MOVE_RAM_TIMES 1000U          /* so often all RAM of the VM may come, in all rounds */

/* As QEMU names them. */
enum move_status {
    MOVE_NONE,
    MOVE_SETUP,
    MOVE_ACTIVE,
    MOVE_DEVICE, /* the VM stands still */
    MOVE_COMPLETED,
    MOVE_FAILED,
    MOVE_CANCELLING,
    MOVE_CANCELLED
};

/* For query-migrate: bytes, pages, nanoseconds of agent_now(). */
struct move_figures {
    uint64_t begun, running, stopped, resumed, ended; /* 0: not yet */
    uint64_t total, remaining;
    uint64_t rounds, precopy_bytes, downtime_bytes, vf_bytes;
    uint64_t expected_ns; /* of downtime */
    uint64_t dirty_rate;  /* pages a second */
    uint64_t bits_rate;   /* a second */
    uint64_t pages_rate;
    uint64_t sampled, sampled_bytes, sampled_pages;
};

struct move {
    enum move_status status;
    bool source;      /* the VM leaves */
    bool stopped;     /* source: the VM stands still, */
    bool paused;      /* and was paused before */
    bool lost;        /* the portal's session has ended: its channels are gone */
    bool refused;     /* the peer has said that nothing comes of it: REFUSE or CANCEL */
    bool handed_over; /* source: the point of no return is behind it */
    bool unknown;     /* source: it may be, but nobody has said so, and COMMIT is not sent */
    bool ready;       /* target: the VM is loaded */
    bool offered;     /* target: the source may know that, and hand over */
    bool commanded;   /* target: it was told to run */
    const char *step;
    char where[MOVE_WHERE]; /* tcp:HOST:PORT or file:PATH */
    char why[AGENT_TEXT_MAX];
    struct wire wire;
    struct stream_vm vm;
    struct move_figures figures;

    /* Devices, the VM first: bytes of data in a message, and what they must be like. */
    uint32_t data[STREAM_DEVICES_MAX];
    char text[STREAM_DEVICES_MAX][STREAM_TEXT_MAX];
    char theirs[STREAM_DEVICES_MAX][STREAM_TEXT_MAX];

    /* The answer to a request. */
    uint32_t asked;
    bool answered;
    char answer[PORTAL_LINE_MAX + 1];

    /* RAM that the window shows. */
    uint64_t shown, shown_size;

    /* Source: pages that are to be sent, a bit each from address 0 on. */
    uint64_t *dirty;
    uint64_t pages; /* bits */
    struct page_sums sums;
    uint64_t looked, unchanged; /* pages that were marked; of them not sent, being as they were */
    uint64_t look_ns;           /* for how long they were looked at */
    struct chunk_writer chunk;
    struct compress_judge judge;

    /* Target. */
    struct chunk_reader reader;
    uint32_t open_device; /* whose state is being received; 0: none */
    uint32_t loaded;      /* of devices, bit i */
    uint32_t unyielded;   /* pages since others had their turn */

    uint8_t output[STREAM_HEADER + STREAM_PAYLOAD_MAX];
    uint8_t input[STREAM_PAYLOAD_MAX];
};

extern struct move move;

/* Pages that were sent, or have come. */
static inline uint64_t move_pages(const struct move *m)
{
    return m->chunk.zero + m->chunk.pattern + m->chunk.data;
}

/* ---- From the loop ---- */

/*
 * Begin to move the VM NAME to WHERE. NULL, or why it cannot be; the move may fail later, too.
 */
const char *move_begin_source(const char *name, const char *where);

/* A source has connected, and may be trusted: WIRE is taken, whatever comes of it. */
void move_begin_target(struct wire *wire);

/* Start the VM that is in the file. NULL, or why it cannot be. */
const char *move_begin_file(const char *path);

/* Give it up. False: there is none, or it is past the point of no return. */
bool move_cancel(void);

/* The portal's session has ended, and what was open with it. */
void move_session_ended(void);

/* May the process end? */
bool move_is_under_way(void);

void move_answered(uint32_t tag, const char *answer);

const char *move_status_name(enum move_status status);

/* ---- Shared by the parts; from the task ---- */

/* WHY as by printf(), if there is none yet; false. */
bool move_fail(struct move *m, const char *text, ...) __attribute__((format(printf, 2, 3)));

void move_set_status(struct move *m, enum move_status status);

/* Figures of the last moments. */
void move_sample(struct move *m);

/* A vfio-user ERROR of device D: false, and why; 0: true. */
bool move_check(struct move *m, uint32_t device, const char *what, int error);

/* Let others work. False: the move is cancelled. */
bool move_yield(struct move *m);

/* Ask the portal, and wait for 'ok', which is in m->answer then. */
bool move_ask(struct move *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Open the VM, and its RAM; then VF number VF, for a driver with features DRIVER (hex), or NULL. */
bool move_open_vm(struct move *m);
bool move_open_vf(struct move *m, uint32_t vf, const char *driver);

/* Close all; the VMM does what is to be done with the VM. */
void move_close(struct move *m);

/* Where RAM at ADDRESS is in the window, and *SIZE bytes behind it. NULL: failed. */
uint8_t *move_show(struct move *m, uint64_t address, uint64_t *size);
bool move_hide(struct move *m);

/* Both texts of all devices, m->text and m->theirs: can the target take the source's place? */
bool move_compare(struct move *m);

/* And is RAM at the same addresses? */
bool move_compare_ram(struct move *m, const struct stream_vm *theirs);

/* The payload is in m->output behind STREAM_HEADER. */
uint8_t *move_payload(struct move *m);
bool move_send(struct move *m, enum stream_type type, uint32_t length);
bool move_send_text(struct move *m, enum stream_type type, const char *text);
bool move_send_preamble(struct move *m);
bool move_receive_preamble(struct move *m);

/* The next record that is known; a REFUSE or CANCEL is a failure. */
bool move_receive(struct move *m, struct stream_record *record);

/* The same, which has to be of TYPE. */
bool move_expect(struct move *m, enum stream_type type, struct stream_record *record);

/* m->vm, and the texts of its devices, m->text; the peer's are *VM and m->theirs. */
bool move_send_description(struct move *m);
bool move_receive_description(struct move *m, struct stream_vm *vm);

/* ---- Source: pages ---- */

bool move_mark_all(struct move *m);

/* Ask what was written, and mark it. */
bool move_report(struct move *m);

/* Send what is marked. */
bool move_send_pages(struct move *m);

/* ---- Target: pages ---- */

/* Put those of a record PAGES into the VM's RAM; no more of them than the rounds so far have. */
bool move_take_pages(struct move *m, const struct stream_record *record);

/* ---- Bodies of the task ---- */

void move_source_run(void *argument);
void move_target_run(void *argument);

#endif
