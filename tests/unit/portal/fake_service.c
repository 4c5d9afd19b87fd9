/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/portal/fake_service.h"

#include "vmm/base/little_endian.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINES 64U

uint8_t service_payload[PORTAL_DATA + 512];
uint32_t service_payload_size;

static uint32_t sent, taken;
static char lines[LINES][PORTAL_LINE_MAX + 1], events[LINES][PORTAL_LINE_MAX + 1];
static unsigned line_count, line_next, event_count, event_next;
static uint8_t data[PORTAL_CHANNELS][2 * PORTAL_RING];
static uint32_t have[PORTAL_CHANNELS];
static uint16_t number;

static void write_register(uint32_t at, uint32_t value)
{
    (void)portal_function_write(&fake.function, at, 4, value);
}

void service_put(const void *bytes, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        fake.ring[sent++ % PORTAL_RING] = ((const uint8_t *)bytes)[i];
    }
    write_register(PORTAL_SENT, sent);
}

void service_put_frame(uint32_t channel, const void *bytes, uint32_t size)
{
    uint8_t header[8];

    bytes_put(header, 4, size);
    bytes_put(header + 4, 4, channel);
    service_put(header, sizeof(header));
    service_put(bytes, size);
}

static void get(void *to, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++) {
        ((uint8_t *)to)[i] = fake.ring[PORTAL_RING + taken++ % PORTAL_RING];
    }
}

static void take_line(uint32_t size)
{
    char text[PORTAL_LINE_MAX + 1];
    bool event;

    get(text, size);
    text[size] = '\0';
    event = strncmp(text, "event ", 6) == 0;
    memcpy(event ? events[event_count++ % LINES] : lines[line_count++ % LINES], text, size + 1);
}

static void take_all(void)
{
    uint8_t header[8];

    while (portal_function_read(&fake.function, PORTAL_COME, 4) != taken) {
        get(header, sizeof(header));
        uint32_t size = (uint32_t)bytes_get(header, 4);
        uint32_t channel = (uint32_t)bytes_get(header + 4, 4);

        if (channel == 0) {
            take_line(size);
        } else {
            get(data[channel] + have[channel], size);
            have[channel] += size;
        }
    }
    write_register(PORTAL_READ, taken);
}

void service_start(void)
{
    write_register(PORTAL_SESSION, 1);
    sent = taken = 0;
    line_count = line_next = event_count = event_next = 0;
    memset(have, 0, sizeof(have));
    (void)service_ask("hello");
}

const char *service_line(void)
{
    take_all();
    return line_next != line_count ? lines[line_next++ % LINES] : NULL;
}

const char *service_event(void)
{
    take_all();
    return event_next != event_count ? events[event_next++ % LINES] : NULL;
}

const char *service_ask(const char *format, ...)
{
    char text[PORTAL_LINE_MAX + 1];
    const char *answer;
    va_list args;

    va_start(args, format);
    int length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    service_put_frame(0, text, (uint32_t)length);
    (void)portal_run(&fake_portal);
    answer = service_line();
    return answer != NULL ? answer : "";
}

int service_answer(unsigned channel)
{
    uint8_t *at = data[channel];
    uint32_t size;

    take_all();
    size = have[channel] >= 16 ? (uint32_t)bytes_get(at + 4, 4) : 0;
    if (size == 0 || have[channel] < size) {
        return -1;
    }
    service_payload_size = size - 16;
    memcpy(service_payload, at + 16, service_payload_size);
    int error = (int)bytes_get(at + 12, 4);

    memmove(at, at + size, have[channel] - size);
    have[channel] -= size;
    return error;
}

int service_command(unsigned channel, unsigned command, const void *payload, uint32_t size)
{
    uint8_t header[16] = {0};

    bytes_put(header, 2, ++number);
    bytes_put(header + 2, 2, command);
    bytes_put(header + 4, 4, size + sizeof(header));
    service_put_frame(channel, header, sizeof(header));
    if (size != 0) {
        service_put_frame(channel, payload, size);
    }
    (void)portal_run(&fake_portal);
    return service_answer(channel);
}

int service_open(unsigned channel, const char *what)
{
    static const char version[] = "\0\0\1\0{\"capabilities\":{\"max_data_xfer_size\":65536}}";

    have[channel] = 0;
    if (strcmp(service_ask("open %u %s", channel, what), "ok") != 0) {
        return -2;
    }
    return service_command(channel, 1, version, sizeof(version));
}

int service_set_state(unsigned channel, uint32_t state)
{
    uint8_t payload[16] = {16, 0, 0, 0, 2, 0, 2, 0};

    bytes_put(payload + 8, 4, state);
    return service_command(channel, 16, payload, sizeof(payload));
}
