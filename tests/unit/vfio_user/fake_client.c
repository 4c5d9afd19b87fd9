/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vfio_user/fake_client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_client fake;

#define must(truth)                                                           \
    do {                                                                      \
        if (!(truth)) {                                                       \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth); \
            abort();                                                          \
        }                                                                     \
    } while (0)

/* ---- The client ---- */

static void describe(struct vfio_user_function *f)
{
    static struct vfio_user_notify notify[20];

    for (unsigned i = 0; i < VFIO_USER_PCI_REGIONS; i++) {
        f->region[i] = (struct vfio_user_region){.handle = NO_HANDLE};
    }
    f->region[0].size = 64;
    f->region[1].size = 4096;
    f->region[2] = (struct vfio_user_region){
        .size = 8192,
        .handle = FAKE_REGION,
        .offset = 4096,
        .areas = 2,
        .area = {{0, 4096}, {4096, 4096}}
    };
    f->region[3] = (struct vfio_user_region){.size = 4096, .handle = FAKE_REGION};
    f->region[VFIO_USER_CONFIG].size = 256;
    f->intx = 1;
    f->vectors = FAKE_VECTORS;
    f->migrates = f->logs = f->split = true;
    f->notifies = ARRAY_SIZE(notify);
    f->notify = notify;
    for (unsigned i = 0; i < f->notifies; i++) {
        notify[i] = (struct vfio_user_notify){
            .size = 2, .offset = 16, .match = i, .io = true, .handle = FAKE_NOTIFY + (int)(i / 2)};
    }
}

/* Exactly as large as they must be, so that ASan sees a byte too much. */
void fake_start(enum vfio_user_form form, uint32_t data)
{
    static uint8_t sent[FAKE_SENT];

    for (int i = FAKE_FIRST; i < fake.next_handle; i++) {
        fake.handle[i] = HANDLE_UNKNOWN;
        fake.signals[i] = 0;
    }
    memset(&fake, 0, offsetof(struct fake_client, handle));
    fake.sent = sent;
    fake.input = malloc(data + VFIO_USER_ENVELOPE);
    fake.output = malloc(data + VFIO_USER_ENVELOPE);
    fake.stage = malloc(data);
    must(fake.input != NULL && fake.output != NULL && fake.stage != NULL);
    fake.next_handle = FAKE_FIRST;
    fake.state = 1;
    fake.piece = 300;
    describe(&fake.function);
    const struct vfio_user_setup setup = {
        .function = &fake.function, .data = data, .input = fake.input, .output = fake.output};

    must(vfio_user_device_init(&fake.device, &setup, form, fake.stage) == STATUS_OK);
}

void fake_stop(void)
{
    vfio_user_disconnected(&fake.device.server);
    for (int i = FAKE_FIRST; i < fake.next_handle; i++) {
        must(fake.handle[i] == HANDLE_CLOSED);
    }
    for (unsigned i = 0; i < FAKE_VECTORS; i++) {
        must(!fake.wanted[i]);
    }
    must(fake.maps == 0 && !fake.logging);
    free(fake.input);
    free(fake.output);
    free(fake.stage);
}

int fake_handle(void)
{
    must(fake.next_handle < (int)FAKE_HANDLES);
    fake.handle[fake.next_handle] = HANDLE_OPEN;
    return fake.next_handle++;
}

uint32_t fake_feed(const uint8_t *bytes, uint32_t size, const int *handle, uint32_t count,
                   uint32_t piece)
{
    uint32_t done = 0, room;

    while (done < size) {
        uint8_t *at = vfio_user_space(&fake.device.server, &room);

        if (at == NULL) {
            break;
        }
        if (room == 0) { /* it reads on when it has answered */
            must(fake.device.server.waits);
            (void)vfio_user_again(&fake.device.server);
            continue;
        }
        room = room < piece ? room : piece;
        room = room < size - done ? room : size - done;
        memcpy(at, bytes + done, room);
        done += room;
        vfio_user_received(&fake.device.server, room, handle, count);
        count = 0;
    }
    for (uint32_t i = 0; i < count; i++) { /* they did not go out */
        fake.handle[handle[i]] = HANDLE_CLOSED;
    }
    return done;
}

int fake_command(uint16_t command, const void *payload, uint32_t size, const int *handle,
                 uint32_t count)
{
    static uint16_t id = 77;
    uint8_t *bytes = calloc(1, HEADER + size);

    must(bytes != NULL);
    bytes_put(bytes, 2, ++id);
    bytes_put(bytes + 2, 2, command);
    bytes_put32(bytes + 4, HEADER + size);
    if (size != 0) {
        memcpy(bytes + HEADER, payload, size);
    }
    fake.sent_size = 0;
    fake.reply_size = 0;
    (void)fake_feed(bytes, HEADER + size, handle, count, 5000);
    free(bytes);
    if (fake.sent_size == 0) {
        return -1;
    }
    const uint8_t *m = fake.sent;
    uint32_t whole = bytes_get32(m + 4);

    /* Messages of the server's own come before it. */
    while ((bytes_get32(m + 8) & FLAG_TYPE) == 0) {
        m += whole;
        must(m < fake.sent + fake.sent_size);
        whole = bytes_get32(m + 4);
    }
    must(m + whole == fake.sent + fake.sent_size);
    must(bytes_get(m, 2) == id && bytes_get(m + 2, 2) == command);
    fake.reply = m + HEADER;
    fake.reply_size = whole - HEADER;
    fake.reply_flags = bytes_get32(m + 8);
    must((fake.reply_flags & FLAG_ERROR) == 0 || fake.reply_size == 0);
    must((fake.reply_flags & FLAG_ERROR) == 0 || bytes_get32(m + 12) != 0);
    return (fake.reply_flags & FLAG_ERROR) != 0 ? (int)bytes_get32(m + 12) : 0;
}

void fake_version(enum vfio_user_form form)
{
    static const char today[] = "\0\0\0\0{\"capabilities\":{\"max_msg_fds\":16,"
                                "\"max_data_xfer_size\":1048576}}";
    static const char in_2021[] = "\0\0\1\0{\"capabilities\":{\"max_fds\":16,"
                                  "\"max_msg_size\":1048576}}";

    must(fake_command(1, form == VFIO_USER_2021 ? in_2021 : today,
                      form == VFIO_USER_2021 ? sizeof(in_2021) : sizeof(today), NULL, 0) == 0);
    must(fake.device.server.form == form);
}

void fake_put32(uint8_t *at, unsigned count, ...)
{
    va_list args;

    va_start(args, count);
    for (unsigned i = 0; i < count; i++) {
        bytes_put32(at + (size_t)i * 4, va_arg(args, uint32_t));
    }
    va_end(args);
}

void fake_put64(uint8_t *at, unsigned count, ...)
{
    va_list args;

    va_start(args, count);
    for (unsigned i = 0; i < count; i++) {
        bytes_put64(at + (size_t)i * 8, va_arg(args, uint64_t));
    }
    va_end(args);
}

/* ---- The transport ---- */

static void must_be_open(int handle)
{
    must(handle >= FAKE_FIRST && handle < fake.next_handle && fake.handle[handle] == HANDLE_OPEN);
}

void vfio_user_edge_send(struct vfio_user *server, const uint8_t *bytes, uint32_t size,
                         const int *handle, uint32_t count)
{
    must(server == &fake.device.server && size >= HEADER && bytes_get32(bytes + 4) == size);
    must(size <= server->setup.data + VFIO_USER_ENVELOPE && count <= VFIO_USER_HANDLES_MAX);
    if (size > FAKE_SENT - fake.sent_size) {
        fake.sent_size = 0; /* nobody reads so much */
    }
    memcpy(fake.sent + fake.sent_size, bytes, size);
    fake.sent_size += size;
    fake.sent_handles = count;
    for (uint32_t i = 0; i < count; i++) {
        must(handle[i] >= FAKE_REGION && handle[i] < FAKE_NOTIFY + 64);
        fake.sent_handle[i] = handle[i];
    }
}

void vfio_user_edge_close(struct vfio_user *server, int handle)
{
    must_be_open(handle);
    fake.handle[handle] = HANDLE_CLOSED;
}

void vfio_user_edge_signal(struct vfio_user *server, int handle)
{
    must_be_open(handle);
    fake.signals[handle]++;
}

/* ---- The function ---- */

enum status vfio_user_edge_read(struct vfio_user *server, uint32_t region, uint64_t offset,
                                uint8_t *data, uint32_t count)
{
    must(region < VFIO_USER_PCI_REGIONS && count != 0);
    must(range_fits(offset, count, fake.function.region[region].size));
    memcpy(data, fake.region[region] + offset, count);
    fake.reads++;
    return fake.fails;
}

enum status vfio_user_edge_write(struct vfio_user *server, uint32_t region, uint64_t offset,
                                 const uint8_t *data, uint32_t count)
{
    must(region < VFIO_USER_PCI_REGIONS && count != 0);
    must(range_fits(offset, count, fake.function.region[region].size));
    memcpy(fake.region[region] + offset, data, count);
    fake.writes++;
    return fake.fails;
}

void vfio_user_edge_vector(struct vfio_user *server, uint32_t vector, bool wanted)
{
    must(vector < FAKE_VECTORS && fake.wanted[vector] != wanted);
    fake.wanted[vector] = wanted;
}

/* Before anything is done. */
static bool not_yet(void)
{
    fake.again -= fake.again != 0 ? 1 : 0;
    return fake.again != 0;
}

enum status vfio_user_edge_reset(struct vfio_user *server)
{
    must(server->setup.more != NULL);
    if (not_yet()) {
        return STATUS_AGAIN;
    }
    fake.resets++;
    fake.state = 1;
    return fake.fails;
}

/* ---- Memory ---- */

enum status vfio_user_edge_map(struct vfio_user *server, const struct vfio_user_map *map)
{
    enum status status = fake.fails;

    must(map->size != 0 && map->size % 4096 == 0 && map->address % 4096 == 0);
    must(map->address + (map->size - 1) >= map->address && (map->readable || map->writable));
    for (uint32_t i = 0; i < fake.maps && fake.maps < 100; i++) {
        if (map->address <= fake.map[i].address + (fake.map[i].size - 1) &&
            fake.map[i].address <= map->address + (map->size - 1)) {
            status = STATUS_CONFLICT;
        }
    }
    if (status == STATUS_OK) {
        must(fake.maps < VFIO_USER_MAPS_MAX);
        fake.map[fake.maps++] =
            (struct fake_map){.address = map->address, .size = map->size, .handle = map->handle};
    }
    if (map->handle != NO_HANDLE) {
        must_be_open(map->handle);
        fake.handle[map->handle] = HANDLE_CLOSED;
    }
    return status;
}

enum status vfio_user_edge_unmap(struct vfio_user *server, uint64_t address, uint64_t size,
                                 uint32_t *left)
{
    must(*left == 0 || (fake.function.split && fake.maps - 1 + *left <= VFIO_USER_MAPS_MAX));
    for (uint32_t i = 0; i < fake.maps; i++) {
        struct fake_map *map = &fake.map[i], behind = *map;
        uint64_t before = address - map->address;
        uint32_t rest;

        if (before >= map->size || size > map->size - before) {
            continue;
        }
        behind.address = address + size;
        behind.size = map->size - before - size;
        rest = (before != 0) + (behind.size != 0);
        if (rest > *left) {
            return *left == 0 ? STATUS_NOT_FOUND : STATUS_NO_ROOM;
        }
        *left = rest;
        map->size = before;
        if (before == 0) {
            *map = behind.size != 0 ? behind : fake.map[--fake.maps];
        } else if (behind.size != 0) {
            fake.map[fake.maps++] = behind;
        }
        return STATUS_OK;
    }
    return STATUS_NOT_FOUND;
}

void vfio_user_edge_unmap_all(struct vfio_user *server)
{
    fake.maps = 0;
}

void vfio_user_edge_dma_done(struct vfio_user *server, bool ok, const uint8_t *data)
{
    must((data != NULL) == (ok && fake.device.dma.command == COMMAND_DMA_READ));
    fake.dma_done++;
    fake.dma_ok = ok;
    fake.dma_sum = 0;
    for (uint32_t i = 0; data != NULL && i < fake.device.dma.count; i++) {
        fake.dma_sum += data[i];
    }
}

enum status vfio_user_edge_log_start(struct vfio_user *server, uint64_t *page_size,
                                     const struct vfio_user_area *range, uint32_t count)
{
    if (fake.logging) {
        return STATUS_STATE;
    }
    for (uint32_t i = 0; i < count; i++) {
        must(range[i].size != 0 && range[i].offset + (range[i].size - 1) >= range[i].offset);
    }
    fake.log_ranges = count;
    fake.logging = true;
    *page_size = fake.log_page != 0 ? fake.log_page : *page_size;
    return STATUS_OK;
}

enum status vfio_user_edge_log_stop(struct vfio_user *server)
{
    bool was = fake.logging;

    fake.logging = false;
    return was ? STATUS_OK : STATUS_STATE;
}

enum status vfio_user_edge_log_report(struct vfio_user *server, const struct vfio_user_area *range,
                                      uint64_t page_size, uint8_t *bitmap)
{
    uint64_t bytes = bitmap_bytes(range->size, page_size);

    must(range->size != 0 && page_size >= 4096 && (page_size & (page_size - 1)) == 0);
    must(range->offset + (range->size - 1) >= range->offset);
    for (uint64_t i = 0; i < bytes; i++) {
        must(bitmap[i] == 0);
    }
    if (!fake.logging) {
        return STATUS_STATE;
    }
    for (uint32_t i = 0; i < fake.maps; i++) {
        if (fake.map[i].written && fake.map[i].address >= range->offset &&
            fake.map[i].address - range->offset < range->size) {
            uint64_t page = (fake.map[i].address - range->offset) / page_size;

            bitmap[page / 8] |= (uint8_t)(1U << page % 8);
            fake.map[i].written = false;
        }
    }
    return STATUS_OK;
}

/* ---- Migration ---- */

enum status vfio_user_edge_set_state(struct vfio_user *server, uint32_t state)
{
    must(state <= 15 && ((state & 4) == 0 || (state & 3) == 0));
    must(fake.state != 6);
    if (not_yet()) {
        return STATUS_AGAIN;
    }
    if (fake.fails != STATUS_OK) {
        fake.state = 6;
        return fake.fails;
    }
    fake.read_at = 0;
    fake.loaded = 0;
    fake.state = state;
    return STATUS_OK;
}

uint32_t vfio_user_edge_state(struct vfio_user *server)
{
    return fake.state;
}

uint64_t vfio_user_edge_pending(struct vfio_user *server)
{
    return fake.state == 2 ? FAKE_STATE - fake.read_at : 0;
}

enum status vfio_user_edge_save(struct vfio_user *server, uint8_t *data, uint32_t *size)
{
    uint32_t most = (uint32_t)vfio_user_edge_pending(server);

    must((fake.state & 6) == 2);
    most = most < fake.piece ? most : fake.piece;
    *size = *size < most ? *size : most;
    memcpy(data, fake.saved + fake.read_at, *size);
    fake.read_at += *size;
    return fake.fails;
}

enum status vfio_user_edge_load(struct vfio_user *server, const uint8_t *data, uint32_t size)
{
    must(size != 0 && (fake.state & 7) == 4);
    if (size > FAKE_STATE - fake.loaded) {
        return STATUS_RANGE;
    }
    memcpy(fake.saved + fake.loaded, data, size);
    fake.loaded += size;
    return fake.fails;
}
