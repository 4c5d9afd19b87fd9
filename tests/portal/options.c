/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/portal/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USAGE                                                                              \
    "portal-sim --socket=PATH [--control=PATH] --vm=NAME[,memory=64M][,cpus=1][,vfs=0]"    \
    "[,rate=PAGES/"                                                                        \
    "S][,stream=65536][,disk=PATH][,cpu=host][,incoming][,migrate][,service][,blind]...\n" \
    "VMs start at once, but those with 'incoming'.\n"

static bool copy(char *to, size_t size, const char *from)
{
    size_t length = strlen(from);

    if (length >= size) {
        return false;
    }
    memcpy(to, from, length + 1);
    return true;
}

static bool take_number(const char *text, uint64_t *value)
{
    char *end;

    *value = strtoull(text, &end, 0);
    if (*end == 'K' || *end == 'M' || *end == 'G') {
        *value <<= *end == 'K' ? 10 : *end == 'M' ? 20 : 30;
        end++;
    }
    return *text != '\0' && *end == '\0';
}

static bool take_word(struct vm *vm, char *word)
{
    char *value = strchr(word, '=');
    uint64_t number = 0;

    if (value == NULL) {
        bool *flag = strcmp(word, "incoming") == 0  ? &vm->incoming_allowed
                     : strcmp(word, "migrate") == 0 ? &vm->migrates
                     : strcmp(word, "service") == 0 ? &vm->service
                     : strcmp(word, "blind") == 0   ? &vm->blind
                                                    : NULL;
        return flag != NULL && (*flag = true);
    }
    *value++ = '\0';
    if (strcmp(word, "disk") == 0) {
        return copy(vm->disk, sizeof(vm->disk), value);
    }
    if (strcmp(word, "cpu") == 0) {
        return copy(vm->cpu, sizeof(vm->cpu), value);
    }
    if (!take_number(value, &number)) {
        return false;
    }
    if (strcmp(word, "memory") == 0) {
        vm->memory = number;
        return number != 0 && number % (2U << 20) == 0;
    }
    unsigned *field = strcmp(word, "cpus") == 0     ? &vm->cpus
                      : strcmp(word, "vfs") == 0    ? &vm->vfs
                      : strcmp(word, "rate") == 0   ? &vm->rate
                      : strcmp(word, "stream") == 0 ? &vm->stream
                                                    : NULL;
    if (field != NULL) {
        *field = (unsigned)number;
    }
    return field != NULL && vm->vfs <= VFS_MAX && vm->stream <= STREAM_MAX && vm->stream >= 128;
}

static bool take_vm(char *text)
{
    struct vm *vm = &sim.vm[sim.vms];
    bool good;

    if (sim.vms == PORTAL_VMS_MAX) {
        return false;
    }
    *vm =
        (struct vm){.memory = 64U << 20, .cpus = 1, .stream = 65536, .cpu = "host", .disk_fd = -1};
    char *word = strtok(text, ",");

    good = word != NULL && copy(vm->name, sizeof(vm->name), word);
    while (good && (word = strtok(NULL, ",")) != NULL) {
        good = take_word(vm, word);
    }
    sim.vms++;
    return good;
}

bool sim_options(int argc, char **argv)
{
    bool good = argc > 1;

    for (int i = 1; i < argc && good; i++) {
        if (strncmp(argv[i], "--socket=", 9) == 0) {
            sim.socket = argv[i] + 9;
        } else if (strncmp(argv[i], "--control=", 10) == 0) {
            sim.control = argv[i] + 10;
        } else {
            good = strncmp(argv[i], "--vm=", 5) == 0 && take_vm(argv[i] + 5);
        }
    }
    if (!good || sim.socket == NULL) {
        (void)fputs(USAGE, stderr);
        return false;
    }
    return true;
}
