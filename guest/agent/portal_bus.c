/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/agent/portal_bus.h"

#include "guest/agent/agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <immintrin.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PCI_COMMAND         4
#define PCI_COMMAND_MEMORY  0x0002U
#define PCI_COMMAND_NO_INTX 0x0400U

#define FOLDER "/sys/bus/pci/devices/%s/"

/* Map the BAR of the function that FILE stands for; *SIZE gets its size. */
static void *map_bar(const char *where, const char *file, uint64_t *size)
{
    char path[128];
    struct stat stat;
    void *memory = MAP_FAILED;

    (void)snprintf(path, sizeof(path), FOLDER "%s", where, file);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_SYNC);

    if (fd >= 0 && fstat(fd, &stat) == 0) {
        *size = (uint64_t)stat.st_size;
        memory = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (memory == MAP_FAILED) {
        agent_say("%s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return memory == MAP_FAILED ? NULL : memory;
}

/* The /dev/uioN of the function: its interrupts. */
static int open_uio(const char *where)
{
    char path[320];
    int fd = -1;

    (void)snprintf(path, sizeof(path), FOLDER "uio", where);
    DIR *folder = opendir(path);

    for (struct dirent *entry = NULL; folder != NULL && fd < 0;) {
        entry = readdir(folder); /* NOLINT(concurrency-mt-unsafe) there is one thread */
        if (entry == NULL) {
            break;
        }
        if (strncmp(entry->d_name, "uio", 3) == 0) {
            (void)snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
            fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        }
    }
    if (fd < 0) {
        agent_say("%s: uio_pci_generic has to be bound to it: %s", path, strerror(errno));
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return fd;
}

/* The bits of SET on, those of CLEAR off, in the command register. */
static bool change_command(const struct portal_bus *bus, uint16_t set, uint16_t clear)
{
    uint16_t command;

    if (pread(bus->config, &command, sizeof(command), PCI_COMMAND) != sizeof(command)) {
        return false;
    }
    command = (uint16_t)((command | set) & ~clear);
    return pwrite(bus->config, &command, sizeof(command), PCI_COMMAND) == sizeof(command);
}

static bool pci_open(struct portal_bus *bus, const char *where)
{
    uint64_t size = 0, ring_size = 0;
    char path[128];
    const char *window;
    void *registers;

    (void)snprintf(path, sizeof(path), FOLDER "config", where);
    bus->config = open(path, O_RDWR | O_CLOEXEC);
    if (bus->config < 0 || !change_command(bus, PCI_COMMAND_MEMORY, 0)) {
        agent_say("%s: %s", path, strerror(errno));
        return false;
    }
    bus->fd = open_uio(where);
    registers = bus->fd < 0 ? NULL : map_bar(where, "resource0", &size);
    if (registers == NULL || size < PAGE_SIZE) {
        return false;
    }
    bus->registers = registers;
    bus->ring = map_bar(where, "resource1", &ring_size);
    (void)snprintf(path, sizeof(path), FOLDER "resource2_wc", where);
    window = access(path, F_OK) == 0 ? "resource2_wc" : "resource2";
    bus->window = map_bar(where, window, &bus->window_size);
    return bus->ring != NULL && ring_size >= 2UL * PORTAL_RING && bus->window != NULL;
}

bool portal_bus_open(struct portal_bus *bus, const char *where)
{
    bool simulated = strncmp(where, "unix:", 5) == 0;

    *bus = (struct portal_bus){
        .fd = -1, .config = -1, .memory = -1, .ones = -1, .simulated = simulated};
    if (!(simulated ? portal_socket_open(bus, where + 5) : pci_open(bus, where))) {
        return false;
    }
    if (portal_bus_read(bus, PORTAL_REG_MAGIC) != PORTAL_MAGIC ||
        portal_bus_read(bus, PORTAL_REG_RING) != PORTAL_RING) {
        agent_say("%s: it is no portal of Portolan's", where);
        return false;
    }
    if (portal_bus_read(bus, PORTAL_REG_VERSION) != PORTAL_VERSION) {
        agent_say("%s: the portal's version is %u, and not %u", where,
                  portal_bus_read(bus, PORTAL_REG_VERSION), PORTAL_VERSION);
        return false;
    }
    return true;
}

void portal_bus_close(struct portal_bus *bus)
{
    if (bus->simulated) {
        portal_socket_close(bus);
    }
    if (bus->config >= 0) {
        (void)close(bus->config);
    }
    if (bus->fd >= 0) {
        (void)close(bus->fd);
    }
}

uint32_t portal_bus_read(struct portal_bus *bus, enum portal_register reg)
{
    uint32_t value;

    if (bus->simulated) {
        value = portal_socket_read(bus, reg);
    } else {
        value = bus->registers[reg / 4];
    }
    atomic_thread_fence(memory_order_seq_cst); /* rings are read after what says that they may be */
    return value;
}

void portal_bus_write(struct portal_bus *bus, enum portal_register reg, uint32_t value)
{
    atomic_thread_fence(memory_order_seq_cst); /* and written before */
    if (bus->simulated) {
        portal_socket_write(bus, reg, value);
    } else {
        bus->registers[reg / 4] = value;
    }
}

__attribute__((target("sse4.1"))) static void load_page_fast(uint8_t *page, const uint8_t *window)
{
    _mm_mfence(); /* what was fetched before is not of now */
    for (size_t at = 0; at < PAGE_SIZE; at += sizeof(__m128i)) {
        __m128i word = _mm_stream_load_si128((__m128i *)(uintptr_t)(window + at));

        _mm_storeu_si128((__m128i *)(void *)(page + at), word);
    }
}

void portal_bus_load_page(uint8_t *page, const uint8_t *window)
{
    if (__builtin_cpu_supports("sse4.1")) {
        load_page_fast(page, window);
    } else {
        memcpy(page, window, PAGE_SIZE);
    }
}

void portal_bus_take_interrupt(struct portal_bus *bus)
{
    uint32_t count;

    if (bus->simulated) {
        portal_socket_take(bus);
    } else if (read(bus->fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR) {
        bus->gone = true;
    }
}

void portal_bus_enable_interrupt(struct portal_bus *bus)
{
    /* uio_pci_generic masks the function's INTx with each interrupt. */
    if (!bus->simulated && !change_command(bus, 0, PCI_COMMAND_NO_INTX)) {
        bus->gone = true;
    }
}
