/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/vfiod/vfiod.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "portolan-vfiod serves a legacy virtio PCI function to a VMM by vfio-user.\n"
    "\n"
    "  --socket-path=PATH        listen there; one client at a time\n"
    "  --fd=N                    or use this socket, which listens or is the client's\n"
    "  --simulated=TYPE,OPTIONS  a simulated device: block,file=disk.img or net,...\n"
    "  --vf=0000:01:00.1         or a VF of this machine, which vfio-pci has\n"
    "  --protocol=FORM           auto (default), today or 2021\n"
    "  --seccomp=ACTION          kill (default), log or none\n"
    "  --print-capabilities      print what it can, as JSON, and end\n"
    "  --help, --version\n"
    "\n"
    "portolan-vfiod(8) and docs/vfio-user.md have the rest.\n";

enum { SOCKET_PATH = 1, FD, SIMULATED, VF, PROTOCOL, SECCOMP, PRINT, HELP, VERSION };

static const struct option long_options[] = {
    {"socket-path",        required_argument, NULL, SOCKET_PATH},
    {"fd",                 required_argument, NULL, FD         },
    {"simulated",          required_argument, NULL, SIMULATED  },
    {"vf",                 required_argument, NULL, VF         },
    {"protocol",           required_argument, NULL, PROTOCOL   },
    {"seccomp",            required_argument, NULL, SECCOMP    },
    {"print-capabilities", no_argument,       NULL, PRINT      },
    {"help",               no_argument,       NULL, HELP       },
    {"version",            no_argument,       NULL, VERSION    },
    {NULL,                 0,                 NULL, 0          },
};

/* Which of NAMES TEXT is; -1: none. */
static int choose(const char *text, const char *const *names)
{
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(text, names[i]) == 0) {
            return i;
        }
    }
    vfiod_say("'%s' is none of what can be chosen: see --help", text);
    return -1;
}

static bool read_number(const char *text, int *number)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    *number = (int)value;
    return errno == 0 && end != text && *end == '\0' && value >= 0 && value <= INT_MAX;
}

static bool read_one(int option, const char *text, struct options *o, int *code)
{
    static const char *const forms[] = {"auto", "today", "2021", NULL};
    static const char *const actions[] = {"kill", "log", "none", NULL};
    int choice = 0;

    switch (option) {
    case SOCKET_PATH:
        o->socket_path = text;
        return true;
    case FD:
        if (!read_number(text, &o->fd)) {
            vfiod_say("--fd wants a number");
            return false;
        }
        return true;
    case SIMULATED:
    case VF:
        if (o->function != NULL) {
            vfiod_say("one function, please: --simulated or --vf, once");
            return false;
        }
        o->function = text;
        o->vf = option == VF;
        return true;
    case PROTOCOL:
        choice = choose(text, forms);
        o->form = (enum vfio_user_form)choice;
        return choice >= 0;
    case SECCOMP:
        choice = choose(text, actions);
        o->sandbox = (enum sandbox)choice;
        return choice >= 0;
    case PRINT:
        o->print_capabilities = true;
        return true;
    case HELP:
        (void)fputs(usage, stdout);
        *code = EXIT_SUCCESS;
        return false;
    case VERSION:
        (void)puts("portolan-vfiod " PORTOLAN_VERSION);
        *code = EXIT_SUCCESS;
        return false;
    default:
        (void)fputs("see --help\n", stderr);
        return false;
    }
}

bool options_read(int argc, char **argv, struct options *options, int *code)
{
    int option;

    *options = (struct options){.fd = -1, .form = VFIO_USER_AUTO, .sandbox = SANDBOX_KILL};
    *code = EXIT_FAILURE;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!read_one(option, optarg, options, code)) {
            return false;
        }
    }
    if (optind < argc) {
        vfiod_say("what is '%s'? See --help", argv[optind]);
        return false;
    }
    if (options->print_capabilities) {
        return true;
    }
    if ((options->socket_path == NULL) == (options->fd < 0)) {
        vfiod_say("--socket-path or --fd is needed, and not both");
        return false;
    }
    if (options->function == NULL) {
        vfiod_say("--simulated or --vf is needed");
        return false;
    }
    return true;
}
