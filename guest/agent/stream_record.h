/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stream between hosts, and in files: docs/migration.md, "The stream between hosts". Bytes
 * only; nothing here waits, allocates or trusts what came.
 *
 *   preamble  "PORTMOVE", version u16, needs u16, CRC-32C of these 12 bytes
 *   record    type u16, flags u16, length u32, CRC-32C of the payload, CRC-32C of these 12 bytes;
 *             LENGTH bytes of payload
 *
 * Little-endian. NEEDS is the least version that a reader must know. A record of a type that the
 * reader does not know is skipped if it is optional; else the stream is refused.
 */
#ifndef PORTOLAN_GUEST_AGENT_STREAM_RECORD_H
#define PORTOLAN_GUEST_AGENT_STREAM_RECORD_H

#include "guest/agent/agent.h"

#define STREAM_VERSION     1U
#define STREAM_PREAMBLE    16U
#define STREAM_HEADER      16U
#define STREAM_OPTIONAL    1U
#define STREAM_PAYLOAD_MAX (512U << 10)
#define STREAM_TEXT_MAX    4096U /* of a text of compatibility */
#define STREAM_ID          16U
#define STREAM_VOIDS_MAX   16U
#define STREAM_DEVICES_MAX (VM_VFS_MAX + 1) /* the VM is device 0, its VFs follow */

enum stream_type {
    /* From the source. */
    STREAM_VM = 1,
    STREAM_TEXT = 2,
    STREAM_ROUND = 3, /* optional */
    STREAM_PAGES = 4,
    STREAM_DEVICE = 5,
    STREAM_END = 6,
    STREAM_COMMIT = 7,
    STREAM_CANCEL = 8,
    /* From the target, besides VM and TEXT. */
    STREAM_ACCEPT = 16,
    STREAM_REFUSE = 17,
    STREAM_READY = 18,
    STREAM_RUNNING = 19
};

struct stream_run {
    uint64_t address, size;
};

/* What moves. */
struct stream_vm {
    char name[VM_NAME_MAX];
    uint8_t id[STREAM_ID]; /* of this attempt */
    uint32_t vfs, runs, voids;
    struct stream_run run[VM_RUNS_MAX];           /* RAM, ascending */
    uint8_t void_id[STREAM_VOIDS_MAX][STREAM_ID]; /* attempts that were not handed over */
};

/* Records as they come. */
struct stream_record {
    uint16_t type;
    bool optional;
    uint32_t length;
    uint32_t checksum;
    const uint8_t *payload;
};

/* CRC-32C, by the CPU's own instruction if it has one. */
uint32_t stream_checksum(const uint8_t *bytes, size_t size);

void stream_put_preamble(uint8_t *bytes);

/* False: WHY, of AGENT_TEXT_MAX, says what is wrong with it. */
bool stream_check_preamble(const uint8_t *bytes, char *why);

/* The header before LENGTH bytes of PAYLOAD. */
void stream_put_header(uint8_t *bytes, enum stream_type type, const uint8_t *payload,
                       uint32_t length);

/* The header of a record, whose payload is still to come. */
bool stream_get_header(const uint8_t *bytes, struct stream_record *record, char *why);

/* The payload has come: is it what was sent, and as long as its type may be? */
bool stream_check_payload(const struct stream_record *record, char *why);

/* Is it of a type that is known here? */
bool stream_type_is_known(uint16_t type);
const char *stream_type_name(uint16_t type);

/* ---- Payloads; PUT returns how many bytes there are ---- */

/* RAM in whole pages, ascending, and nothing that wraps. */
bool stream_runs_are_valid(const struct stream_vm *vm);

uint32_t stream_put_vm(uint8_t *payload, const struct stream_vm *vm);
bool stream_get_vm(const struct stream_record *record, struct stream_vm *vm, char *why);

/* DEVICE and 0; then the text. */
uint32_t stream_put_text(uint8_t *payload, uint32_t device, const char *text);
bool stream_get_text(const struct stream_record *record, uint32_t *device, char *text, char *why);

#define STREAM_DEVICE_FIXED 8U /* device u32, last u32; then bytes of its state */

/* For REFUSE and CANCEL: what it says, as one line of printable characters. */
void stream_get_reason(const struct stream_record *record, char *reason);

#endif
