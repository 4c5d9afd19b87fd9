/* SPDX-License-Identifier: BSD-2-Clause */
/* THE table of the commands of the VMM's prompt; command.c does them. */
#ifndef PORTOLAN_VMM_CONSOLE_COMMAND_TABLE_H
#define PORTOLAN_VMM_CONSOLE_COMMAND_TABLE_H

#include "vmm/console/console_edge.h"

enum command_kind {
    COMMAND_HELP,
    COMMAND_LOG,
    COMMAND_STATS,
    COMMAND_VM_LIST,
    COMMAND_VM_CONSOLE,
    COMMAND_VM_LOG,
    COMMAND_VM_DIRTY,
    COMMAND_VM_DO,
    COMMAND_VM_CHECKPOINT,
    COMMAND_VM_STATE,
    COMMAND_VM_TRACE,
    COMMAND_VM_SCREEN,
    COMMAND_VM_KEY,
    COMMAND_VM_MOUSE,
    COMMAND_VM_MIGRATE,
    COMMAND_VF_LIST,
    COMMAND_VF_DO,
};

#define COMMAND_WORDS_MAX 10U /* in a command with all its arguments */

struct command {
    const char *word, *second;  /* second: NULL if one word is all */
    const char *argument;       /* for people; in brackets: may be left out; "": there is none */
    uint8_t least, most;        /* arguments */
    enum command_kind kind : 8; /* with so many bits a row has 40 bytes and not 48 */
    enum console_action action : 8; /* COMMAND_VM_DO, COMMAND_VF_DO */
    const char *help;
};

extern const struct command commands[];
extern const unsigned command_count;

#endif
