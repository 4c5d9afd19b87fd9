/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/agent/stream_record.h"

#include "vmm/base/little_endian.h"
#include "vmm/state/state.h"

#include <stdio.h>
#include <string.h>

static const uint8_t magic[8] = {'P', 'O', 'R', 'T', 'M', 'O', 'V', 'E'};

#define VM_FIXED  32U /* vfs u32, runs u32, voids u32, length of the name u32; id */
#define RUN_SIZE  16U
#define TEXT_SIZE 8U

/* What each record may be long. */
static const struct {
    uint16_t type;
    const char *name;
    uint32_t least, most;
} types[] = {
    {STREAM_VM,      "VM",      VM_FIXED,            STREAM_PAYLOAD_MAX         },
    {STREAM_TEXT,    "TEXT",    TEXT_SIZE,           TEXT_SIZE + STREAM_TEXT_MAX},
    {STREAM_ROUND,   "ROUND",   16,                  16                         },
    {STREAM_PAGES,   "PAGES",   8,                   STREAM_PAYLOAD_MAX         },
    {STREAM_DEVICE,  "DEVICE",  STREAM_DEVICE_FIXED, STREAM_PAYLOAD_MAX         },
    {STREAM_END,     "END",     8,                   8                          },
    {STREAM_COMMIT,  "COMMIT",  STREAM_ID,           STREAM_ID                  },
    {STREAM_CANCEL,  "CANCEL",  0,                   AGENT_TEXT_MAX             },
    {STREAM_ACCEPT,  "ACCEPT",  0,                   0                          },
    {STREAM_REFUSE,  "REFUSE",  0,                   AGENT_TEXT_MAX             },
    {STREAM_READY,   "READY",   0,                   0                          },
    {STREAM_RUNNING, "RUNNING", 0,                   0                          },
};

__attribute__((target("sse4.2"))) static uint32_t checksum_fast(const uint8_t *bytes, size_t size)
{
    uint64_t crc = 0xffffffffU, word;

    for (; size >= sizeof(word); bytes += sizeof(word), size -= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        crc = __builtin_ia32_crc32di(crc, word);
    }
    for (; size != 0; bytes++, size--) {
        crc = __builtin_ia32_crc32qi((uint32_t)crc, *bytes);
    }
    return ~(uint32_t)crc;
}

uint32_t stream_checksum(const uint8_t *bytes, size_t size)
{
    return __builtin_cpu_supports("sse4.2") ? checksum_fast(bytes, size)
                                            : state_checksum(bytes, size);
}

/* ---- The preamble ---- */

void stream_put_preamble(uint8_t *bytes)
{
    memcpy(bytes, magic, sizeof(magic));
    bytes_put(bytes + 8, 2, STREAM_VERSION);
    bytes_put(bytes + 10, 2, STREAM_VERSION);
    bytes_put(bytes + 12, 4, stream_checksum(bytes, 12));
}

bool stream_check_preamble(const uint8_t *bytes, char *why)
{
    if (memcmp(bytes, magic, sizeof(magic)) != 0) {
        (void)snprintf(why, AGENT_TEXT_MAX, "it is no stream of Portolan's");
        return false;
    }
    if (bytes_get32(bytes + 12) != stream_checksum(bytes, 12)) {
        (void)snprintf(why, AGENT_TEXT_MAX, "the stream's first bytes are damaged");
        return false;
    }
    uint32_t needs = (uint32_t)bytes_get(bytes + 10, 2);

    if (needs > STREAM_VERSION) {
        (void)snprintf(why, AGENT_TEXT_MAX, "the stream needs version %u, and this is %u", needs,
                       STREAM_VERSION);
        return false;
    }
    return true;
}

/* ---- Records ---- */

static unsigned find_type(uint16_t type)
{
    unsigned i = 0;

    while (i < ARRAY_SIZE(types) && types[i].type != type) {
        i++;
    }
    return i;
}

bool stream_type_is_known(uint16_t type)
{
    return find_type(type) < ARRAY_SIZE(types);
}

const char *stream_type_name(uint16_t type)
{
    unsigned i = find_type(type);

    return i < ARRAY_SIZE(types) ? types[i].name : "unknown";
}

void stream_put_header(uint8_t *bytes, enum stream_type type, const uint8_t *payload,
                       uint32_t length)
{
    bytes_put(bytes, 2, type);
    bytes_put(bytes + 2, 2, type == STREAM_ROUND ? STREAM_OPTIONAL : 0);
    bytes_put(bytes + 4, 4, length);
    bytes_put(bytes + 8, 4, stream_checksum(payload, length));
    bytes_put(bytes + 12, 4, stream_checksum(bytes, 12));
}

bool stream_get_header(const uint8_t *bytes, struct stream_record *record, char *why)
{
    *record = (struct stream_record){.type = (uint16_t)bytes_get(bytes, 2),
                                     .optional = (bytes[2] & STREAM_OPTIONAL) != 0,
                                     .length = bytes_get32(bytes + 4),
                                     .checksum = bytes_get32(bytes + 8)};
    if (bytes_get32(bytes + 12) != stream_checksum(bytes, 12)) {
        (void)snprintf(why, AGENT_TEXT_MAX, "the stream is damaged: a record's header");
        return false;
    }
    if (record->length > STREAM_PAYLOAD_MAX) {
        (void)snprintf(why, AGENT_TEXT_MAX, "a record of %u bytes is too long", record->length);
        return false;
    }
    if (!stream_type_is_known(record->type) && !record->optional) {
        (void)snprintf(why, AGENT_TEXT_MAX,
                       "a record of type %u, which is mandatory, is not known here", record->type);
        return false;
    }
    return true;
}

bool stream_check_payload(const struct stream_record *record, char *why)
{
    unsigned i = find_type(record->type);

    if (stream_checksum(record->payload, record->length) != record->checksum) {
        (void)snprintf(why, AGENT_TEXT_MAX, "the stream is damaged: a record of type %u",
                       record->type);
        return false;
    }
    if (i < ARRAY_SIZE(types) &&
        (record->length < types[i].least || record->length > types[i].most)) {
        (void)snprintf(why, AGENT_TEXT_MAX, "a record %s of %u bytes", types[i].name,
                       record->length);
        return false;
    }
    return true;
}

/* ---- Payloads ---- */

uint32_t stream_put_vm(uint8_t *payload, const struct stream_vm *vm)
{
    uint8_t *at = payload + VM_FIXED;
    uint32_t length = (uint32_t)strlen(vm->name);

    bytes_put(payload, 4, vm->vfs);
    bytes_put(payload + 4, 4, vm->runs);
    bytes_put(payload + 8, 4, vm->voids);
    bytes_put(payload + 12, 4, length);
    memcpy(payload + 16, vm->id, STREAM_ID);
    for (uint32_t i = 0; i < vm->runs; i++, at += RUN_SIZE) {
        bytes_put(at, 8, vm->run[i].address);
        bytes_put(at + 8, 8, vm->run[i].size);
    }
    memcpy(at, vm->void_id, (size_t)vm->voids * STREAM_ID);
    at += (size_t)vm->voids * STREAM_ID;
    memcpy(at, vm->name, length);
    return (uint32_t)(at + length - payload);
}

bool stream_runs_are_valid(const struct stream_vm *vm)
{
    uint64_t end = 0;

    for (uint32_t i = 0; i < vm->runs; i++) {
        const struct stream_run *run = &vm->run[i];

        if (run->address % PAGE_SIZE != 0 || run->size % PAGE_SIZE != 0 || run->size == 0 ||
            run->address < end || run->size > UINT64_MAX - run->address) {
            return false;
        }
        end = run->address + run->size;
    }
    return vm->runs != 0;
}

/* It becomes a word in a line to the VMM, and is shown to operators. */
static bool name_is_valid(const uint8_t *name, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        if (name[i] <= ' ' || name[i] > '~') {
            return false;
        }
    }
    return length != 0;
}

bool stream_get_vm(const struct stream_record *record, struct stream_vm *vm, char *why)
{
    const uint8_t *p = record->payload, *at = p + VM_FIXED;
    uint32_t length = bytes_get32(p + 12);

    memset(vm, 0, sizeof(*vm));
    vm->vfs = bytes_get32(p);
    vm->runs = bytes_get32(p + 4);
    vm->voids = bytes_get32(p + 8);
    (void)snprintf(why, AGENT_TEXT_MAX, "what the stream says of the VM makes no sense");
    if (vm->vfs > VM_VFS_MAX || vm->runs > VM_RUNS_MAX || vm->voids > STREAM_VOIDS_MAX ||
        length >= VM_NAME_MAX ||
        record->length != VM_FIXED + vm->runs * RUN_SIZE + vm->voids * STREAM_ID + length) {
        return false;
    }
    memcpy(vm->id, p + 16, STREAM_ID);
    for (uint32_t i = 0; i < vm->runs; i++, at += RUN_SIZE) {
        vm->run[i] = (struct stream_run){bytes_get(at, 8), bytes_get(at + 8, 8)};
    }
    memcpy(vm->void_id, at, (size_t)vm->voids * STREAM_ID);
    at += (size_t)vm->voids * STREAM_ID;
    if (!name_is_valid(at, length)) {
        return false;
    }
    memcpy(vm->name, at, length);
    return stream_runs_are_valid(vm);
}

uint32_t stream_put_text(uint8_t *payload, uint32_t device, const char *text)
{
    uint32_t length = (uint32_t)strnlen(text, STREAM_TEXT_MAX);

    bytes_put(payload, 8, device);
    memcpy(payload + TEXT_SIZE, text, length);
    return TEXT_SIZE + length;
}

bool stream_get_text(const struct stream_record *record, uint32_t *device, char *text, char *why)
{
    uint32_t length = record->length - TEXT_SIZE;

    *device = bytes_get32(record->payload);
    if (*device >= STREAM_DEVICES_MAX || length >= STREAM_TEXT_MAX ||
        memchr(record->payload + TEXT_SIZE, '\0', length) != NULL) {
        (void)snprintf(why, AGENT_TEXT_MAX, "a text of the stream makes no sense");
        return false;
    }
    memcpy(text, record->payload + TEXT_SIZE, length);
    text[length] = '\0';
    return true;
}

void stream_get_reason(const struct stream_record *record, char *reason)
{
    uint32_t length = record->length < AGENT_TEXT_MAX ? record->length : AGENT_TEXT_MAX - 1;

    for (uint32_t i = 0; i < length; i++) {
        reason[i] = (char)(record->payload[i] != 0 ? record->payload[i] : '?');
    }
    reason[length] = '\0';
    agent_clean_text(reason);
}
