/* SPDX-License-Identifier: BSD-2-Clause */
/* What the portal has told of this machine's VMs. */
#ifndef PORTOLAN_GUEST_AGENT_VM_TABLE_H
#define PORTOLAN_GUEST_AGENT_VM_TABLE_H

#include "guest/agent/agent.h"

#define VM_TABLE_MAX 64U

enum vm_state {
    VM_OFF,
    VM_STARTING,
    VM_RUNNING,
    VM_PAUSED,
    VM_MOVING,
    VM_HANDED_OVER,
    VM_INCOMING,
    VM_READY,
    VM_STOPPING,
    VM_STATES /* one that is not known here */
};

struct vm_entry {
    char name[VM_NAME_MAX];
    enum vm_state state;
    uint32_t index; /* as the portal counts */
    uint32_t cpus, vfs;
    uint64_t memory; /* bytes */
    bool migrate, incoming, service;
    bool stopping, resetting; /* our operator wants it: that is not its guest's doing */
    bool runs;                /* as the events said: RESUME, and no STOP since */
};

struct vm_table {
    struct vm_entry vm[VM_TABLE_MAX];
    uint32_t count;
    bool known;        /* all of them */
    char portolan[32]; /* the VMM's version */
};

extern struct vm_table vm_table;

const char *vm_state_name(enum vm_state state);

/* NULL: there is none. */
struct vm_entry *vm_table_find(const char *name);

/* The VM, if there is just one that is not the service VM; else NULL. */
struct vm_entry *vm_table_only(void);

/* A session begins: ask for them all. */
void vm_table_ask(void);
void vm_table_answered(const char *answer);

/* 'state vm=NAME state=...': the entry, or NULL. *BEFORE gets its old state. */
struct vm_entry *vm_table_event(const char *line, enum vm_state *before);

#endif
