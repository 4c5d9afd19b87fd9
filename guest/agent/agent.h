/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * portolan-agent: what the service VM runs. It carries VMs between hosts, and has a QMP for
 * operators' tools. docs/migration.md has the order and the stream, docs/portal.md what the VMM
 * shows the service VM.
 */
#ifndef PORTOLAN_GUEST_AGENT_AGENT_H
#define PORTOLAN_GUEST_AGENT_AGENT_H

#include "vmm/base/types.h"

#include <stddef.h>

#define AGENT_TEXT_MAX 256U /* of a message that says why something failed */
#define VM_NAME_MAX    64U  /* with the NUL */
#define VM_VFS_MAX     16U
#define VM_RUNS_MAX    8U /* of RAM */

#define MOVE_ROUNDS_MAX 1000000U /* of pages, in which a VM is moved while it runs */

enum compress { COMPRESS_AUTO, COMPRESS_ALWAYS, COMPRESS_NEVER };

struct agent_options {
    const char *portal;     /* unix:PATH, or the PCI function */
    const char *listen;     /* [HOST]:PORT, or NULL */
    const char *qmp;        /* PATH of a Unix socket, or NULL */
    const char *qmp_listen; /* [HOST]:PORT, or NULL */
    const char *tls_cert, *tls_key, *tls_ca, *tls_psk;
    const char *tls_peer; /* the name that the peer's certificate must have, or NULL */
    bool insecure;
    enum compress compress;
    uint64_t max_bandwidth;  /* bytes a second; 0: no limit */
    uint32_t downtime_limit; /* ms */
    uint32_t max_rounds;     /* after so many the VM is stopped, whatever is left */
};

extern struct agent_options agent_options;

/* Read the command line. False: the process is to end with *CODE; all has been said. */
bool agent_options_read(int argc, char **argv, struct agent_options *options, int *code);

/* A line for the operator, on the standard error. */
void agent_say(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* What others said, in a text for the operator: whatever is no printable ASCII becomes '?'. */
void agent_clean_text(char *text);

/* CLOCK_MONOTONIC, in nanoseconds. */
uint64_t agent_now(void);

#define AGENT_MS 1000000ULL /* ns */

/*
 * Split [HOST]:PORT at its last colon; brackets around an IPv6 address go. HOST is of SIZE bytes.
 * PORT points into TEXT; NULL: there is none. False: it does not fit.
 */
bool agent_split_host(const char *text, char *host, size_t size, const char **port);

/* The value of KEY in a line of 'key=value' words. False: not there, or too long for SIZE. */
bool agent_find_value(const char *line, const char *key, char *value, size_t size);

/* The same for a number; 0 without one. */
uint64_t agent_find_number(const char *line, const char *key);

#endif
