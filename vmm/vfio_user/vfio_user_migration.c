/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Migration and the log of DMA, by DEVICE_FEATURE and MIG_DATA: the states of VFIO's version 2.
 * What is asked for below are those of version 1: the four bits of vmm/migrate/device_state.h.
 */
#include "vmm/vfio_user/vfio_user_internal.h"

#include <string.h>

#define RUNNING  1U
#define SAVING   2U
#define RESUMING 4U
#define ERROR    (SAVING | RESUMING)
#define NDMA     8U

#define FEATURE_INDEX 0xffffU
#define FEATURE_GET   0x10000U
#define FEATURE_SET   0x20000U
#define FEATURE_PROBE 0x40000U
#define FEATURE       8U /* bytes before the data: argsz u32, flags */

enum feature { MIGRATION = 1, DEVICE_STATE = 2, LOG_START = 6, LOG_STOP = 7, LOG_REPORT = 8 };

#define MIGRATION_STOP_COPY 1U
#define MIGRATION_PRE_COPY  4U

#define LOG_RANGES_MAX 64U
#define LOG_START_DATA 16U /* page_size u64, num_ranges u32, 0; ranges of two u64 */
#define REPORT_DATA    24U /* iova u64, length, page_size; in an answer the bitmap */

/* The states of version 2 from 0 on as those bits. */
enum { STOP_COPY = 3, STATE_PRE_COPY = 6, STATES = 7, NOT_USED = 0xff };
static const uint8_t bits_of[STATES] = {ERROR,    0,        RUNNING,         SAVING,
                                        RESUMING, NOT_USED, SAVING | RUNNING};

uint32_t vfio_user_bits(struct vfio_user *server)
{
    uint32_t bits = vfio_user_edge_state(server);

    return (bits & RUNNING) == 0 ? bits & ~NDMA : bits;
}

enum status vfio_user_set_bits(struct vfio_user *server, uint32_t bits)
{
    return vfio_user_bits(server) == ERROR ? STATUS_STATE : vfio_user_edge_set_state(server, bits);
}

/* ---- DEVICE_FEATURE ---- */

static enum status device_state(struct vfio_user *server, struct message *m)
{
    uint32_t wanted, now = vfio_user_bits(server) & ~NDMA, state = 0;

    if ((bytes_get32(m->in + 4) & FEATURE_SET) == 0) {
        while (state < STATES - 1 && bits_of[state] != now) {
            state++;
        }
        bytes_put32(m->out + FEATURE, state);
        bytes_put32(m->out + FEATURE + 4, UINT32_MAX); /* no descriptor */
        return STATUS_OK;
    }
    wanted = bytes_get32(m->in + FEATURE);
    if (wanted == 0 || wanted >= STATES || bits_of[wanted] == NOT_USED ||
        (now == SAVING && wanted == STATE_PRE_COPY)) {
        return STATUS_INVALID;
    }
    return vfio_user_set_bits(server, bits_of[wanted]);
}

static enum status log_start(struct vfio_user *server, struct message *m)
{
    const uint8_t *data = m->in + FEATURE;
    uint64_t page = bytes_get64(data);
    uint32_t count = bytes_get32(data + 8);
    /* The ranges lie in the message, not as this machine has structures. */
    struct vfio_user_area range[LOG_RANGES_MAX];

    if (count > LOG_RANGES_MAX) {
        return STATUS_RANGE;
    }
    if (m->size != FEATURE + LOG_START_DATA + count * 16 || page == 0 || (page & (page - 1)) != 0) {
        return STATUS_INVALID;
    }
    for (uint32_t i = 0; i < count; i++) {
        range[i].offset = bytes_get64(data + LOG_START_DATA + (size_t)i * 16);
        range[i].size = bytes_get64(data + LOG_START_DATA + (size_t)i * 16 + 8);
        if (range[i].size == 0 || range[i].size - 1 > UINT64_MAX - range[i].offset) {
            return STATUS_INVALID;
        }
    }
    enum status status = vfio_user_edge_log_start(server, &page, range, count);

    bytes_put64(m->out + FEATURE, page);
    return status;
}

static enum status log_report(struct vfio_user *server, struct message *m)
{
    const uint8_t *data = m->in + FEATURE;
    const struct vfio_user_area range = {bytes_get64(data), bytes_get64(data + 8)};
    uint64_t page = bytes_get64(data + 16), bytes;

    if (range.size == 0 || range.size - 1 > UINT64_MAX - range.offset ||
        !page_size_is_valid(page) || (range.offset & (page - 1)) != 0) {
        return STATUS_INVALID;
    }
    bytes = bitmap_bytes(range.size, page);
    if (bytes > server->client_data) {
        return STATUS_RANGE;
    }
    m->answer = FEATURE + REPORT_DATA + (uint32_t)bytes;
    if (m->answer > bytes_get32(m->in)) { /* so much is needed */
        bytes_put32(m->out, m->answer);
        m->answer = FEATURE;
        return STATUS_OK;
    }
    bytes_put32(m->out, m->answer);
    memset(m->out + FEATURE + REPORT_DATA, 0, bytes);
    return vfio_user_edge_log_report(server, &range, page, m->out + FEATURE + REPORT_DATA);
}

/* What may be done with a feature; bytes of data with a SET and with a GET. */
static const struct {
    uint16_t index;
    bool logs; /* needs the log, not migration */
    uint32_t can;
    uint8_t set, asked, got;
} features[] = {
    {MIGRATION,    false, FEATURE_GET,               0,              0,           8          },
    {DEVICE_STATE, false, FEATURE_GET | FEATURE_SET, 8,              0,           8          },
    {LOG_START,    true,  FEATURE_SET,               LOG_START_DATA, 0,           0          },
    {LOG_STOP,     true,  FEATURE_SET,               0,              0,           0          },
    {LOG_REPORT,   true,  FEATURE_GET,               0,              REPORT_DATA, REPORT_DATA},
};

static enum status carry_out(struct vfio_user *server, struct message *m, unsigned index)
{
    switch (index) {
    case MIGRATION:
        bytes_put64(m->out + FEATURE, MIGRATION_STOP_COPY | MIGRATION_PRE_COPY);
        return STATUS_OK;
    case DEVICE_STATE:
        return device_state(server, m);
    case LOG_START:
        return log_start(server, m);
    case LOG_STOP:
        return vfio_user_edge_log_stop(server);
    case LOG_REPORT:
    default:
        return log_report(server, m);
    }
}

enum status vfio_user_feature(struct vfio_user *server, struct message *m)
{
    const struct vfio_user_function *f = server->setup.function;
    uint32_t argsz = bytes_get32(m->in), flags = bytes_get32(m->in + 4), i = 0;
    uint32_t how = flags & (FEATURE_GET | FEATURE_SET);

    while (i < ARRAY_SIZE(features) && features[i].index != (flags & FEATURE_INDEX)) {
        i++;
    }
    if (i == ARRAY_SIZE(features) || argsz < FEATURE ||
        !(features[i].logs ? f->logs : f->migrates) ||
        (flags & ~(FEATURE_INDEX | FEATURE_GET | FEATURE_SET | FEATURE_PROBE)) != 0 ||
        (how & ~features[i].can) != 0) {
        return STATUS_INVALID;
    }
    memcpy(m->out, m->in, m->size);
    m->answer = m->size;
    if ((flags & FEATURE_PROBE) != 0) {
        return STATUS_OK;
    }
    if (bit_count(how) != 1 ||
        m->size < FEATURE + (how == FEATURE_SET ? features[i].set : features[i].asked)) {
        return STATUS_INVALID;
    }
    if (how == FEATURE_GET) {
        m->answer = FEATURE + features[i].got;
        bytes_put32(m->out, m->answer);
        if (argsz < m->answer) {
            m->answer = FEATURE;
            return STATUS_OK;
        }
    }
    return carry_out(server, m, features[i].index);
}

/* ---- The state, as a stream ---- */

enum status vfio_user_mig_read(struct vfio_user *server, struct message *m)
{
    uint32_t argsz = bytes_get32(m->in), size = bytes_get32(m->in + 4), done = 0, now;

    if (argsz < 8 || !server->setup.function->migrates) {
        return STATUS_INVALID;
    }
    if ((vfio_user_bits(server) & (SAVING | RESUMING)) != SAVING) {
        return STATUS_STATE;
    }
    if (size > server->client_data) {
        return STATUS_RANGE;
    }
    size = least(argsz - 8, size);
    /* Less than asked for is the end of it. */
    do {
        now = size - done;
        enum status status = vfio_user_edge_save(server, m->out + 8 + done, &now);

        if (status != STATUS_OK) {
            return status;
        }
        done += now;
    } while (now != 0 && done < size);
    bytes_put32(m->out, 8 + done);
    bytes_put32(m->out + 4, done);
    m->answer = 8 + done;
    return STATUS_OK;
}

enum status vfio_user_mig_write(struct vfio_user *server, struct message *m)
{
    uint32_t size = bytes_get32(m->in + 4);

    if (bytes_get32(m->in) < 8 || m->size != 8 + (uint64_t)size ||
        !server->setup.function->migrates) {
        return STATUS_INVALID;
    }
    if (vfio_user_bits(server) != RESUMING) {
        return STATUS_STATE;
    }
    return size == 0 ? STATUS_OK : vfio_user_edge_load(server, m->in + 8, size);
}

enum status vfio_user_precopy_info(struct vfio_user *server, struct message *m)
{
    if (bytes_get32(m->in) < 24 || bytes_get32(m->in + 4) != 0 ||
        !server->setup.function->migrates) {
        return STATUS_INVALID;
    }
    if ((vfio_user_bits(server) & ~NDMA) != (SAVING | RUNNING)) {
        return STATUS_STATE;
    }
    memset(m->out, 0, 24);
    bytes_put32(m->out, 24);
    bytes_put64(m->out + 16, vfio_user_edge_pending(server));
    m->answer = 24;
    return STATUS_OK;
}
