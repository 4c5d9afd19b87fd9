/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream that somebody made up. Its checksums are made right first, or nothing would come behind
 * them; then all is read that the target reads of it.
 */
#include "guest/agent/page_chunk.h"
#include "guest/agent/stream_record.h"
#include "vmm/base/little_endian.h"
#include "vmm/base/status.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum status status_note(enum status status, const char *file, int line)
{
    return status;
}

static void read_pages(const struct stream_record *record)
{
    static struct chunk_reader reader;
    char why[AGENT_TEXT_MAX] = "";
    struct chunk_entry entry;

    if (!chunk_open(&reader, record->payload, record->length, why)) {
        return;
    }
    while (chunk_next(&reader, &entry, why)) {
        uint64_t sum = 0, bytes = entry.kind == CHUNK_DATA      ? entry.pages * PAGE_SIZE
                                  : entry.kind == CHUNK_PATTERN ? 8
                                                                : 0;

        for (uint64_t i = 0; i < bytes; i++) {
            sum += entry.data[i];
        }
        if (entry.pages == 0 || entry.pages > CHUNK_RUN_MAX || entry.address % PAGE_SIZE != 0 ||
            sum > bytes * 255) {
            abort();
        }
    }
}

static void read_payload(const struct stream_record *record)
{
    char why[AGENT_TEXT_MAX], text[STREAM_TEXT_MAX];
    static struct stream_vm vm;
    uint32_t device;

    switch (record->type) {
    case STREAM_VM:
        if (stream_get_vm(record, &vm, why) &&
            (vm.runs > VM_RUNS_MAX || vm.vfs > VM_VFS_MAX || strlen(vm.name) >= VM_NAME_MAX)) {
            abort();
        }
        break;
    case STREAM_TEXT:
        if (stream_get_text(record, &device, text, why) && strlen(text) >= STREAM_TEXT_MAX) {
            abort();
        }
        break;
    case STREAM_PAGES:
        read_pages(record);
        break;
    case STREAM_REFUSE:
    case STREAM_CANCEL:
        stream_get_reason(record, text);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[AGENT_TEXT_MAX];
    struct stream_record record;
    uint8_t header[STREAM_HEADER];

    if (size < STREAM_PREAMBLE) {
        return 0;
    }
    (void)stream_check_preamble(data, why);
    for (size_t at = STREAM_PREAMBLE; size - at >= STREAM_HEADER;) {
        memcpy(header, data + at, sizeof(header));
        at += STREAM_HEADER;
        bytes_put(header + 4, 4, bytes_get(header + 4, 4) % (size - at + 1));
        record.length = (uint32_t)bytes_get(header + 4, 4);
        bytes_put(header + 8, 4, stream_checksum(data + at, record.length));
        bytes_put(header + 12, 4, stream_checksum(header, 12));
        if (!stream_get_header(header, &record, why)) {
            return 0;
        }
        /* Its own memory, so that reading behind it is noticed. */
        uint8_t *payload = malloc(record.length + 1);

        memcpy(payload, data + at, record.length);
        record.payload = payload;
        if (stream_check_payload(&record, why)) {
            read_payload(&record);
        }
        free(payload);
        at += record.length;
    }
    return 0;
}
