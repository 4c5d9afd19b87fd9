/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/agent/agent.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOWNTIME_DEFAULT 300U /* ms, as QEMU has it */
#define ROUNDS_DEFAULT   30U

static const char usage[] =
    "portolan-agent moves VMs between hosts, and serves QMP, in the service VM.\n"
    "\n"
    "  --portal=0000:00:1f.0     the portal's PCI function (the default)\n"
    "  --portal=unix:PATH        or one that a test program simulates\n"
    "  --listen=[HOST]:PORT      take VMs in that come there\n"
    "  --qmp=PATH                QMP on a Unix socket\n"
    "  --qmp-listen=[HOST]:PORT  QMP on TCP, for anyone who can reach it\n"
    "  --tls-cert=FILE --tls-key=FILE --tls-ca=FILE\n"
    "                            TLS 1.3 with certificates, on both sides (PEM)\n"
    "  --tls-peer=NAME           the name in the peer's certificate; else that of who is called\n"
    "  --tls-psk=FILE            TLS 1.3 with a key that both sides have: a line NAME:HEX\n"
    "  --insecure                no TLS: whoever can reach the network reads and changes RAM\n"
    "  --max-bandwidth=BYTES     a second, while the VM runs; also with K, M or G\n"
    "  --downtime-limit=MS       for how long a VM may stand still (300)\n"
    "  --max-rounds=N            then it is stopped, whatever is left (30)\n"
    "  --compress=WHEN           auto (default), always or never\n"
    "  --help, --version\n"
    "\n"
    "portolan-agent(8) and docs/migration.md have the rest.\n";

enum {
    PORTAL = 1,
    LISTEN,
    QMP,
    QMP_LISTEN,
    TLS_CERT,
    TLS_KEY,
    TLS_CA,
    TLS_PEER,
    TLS_PSK,
    INSECURE,
    BANDWIDTH,
    DOWNTIME,
    ROUNDS,
    COMPRESS,
    HELP,
    VERSION
};

static const struct option long_options[] = {
    {"portal",         required_argument, NULL, PORTAL    },
    {"listen",         required_argument, NULL, LISTEN    },
    {"qmp",            required_argument, NULL, QMP       },
    {"qmp-listen",     required_argument, NULL, QMP_LISTEN},
    {"tls-cert",       required_argument, NULL, TLS_CERT  },
    {"tls-key",        required_argument, NULL, TLS_KEY   },
    {"tls-ca",         required_argument, NULL, TLS_CA    },
    {"tls-peer",       required_argument, NULL, TLS_PEER  },
    {"tls-psk",        required_argument, NULL, TLS_PSK   },
    {"insecure",       no_argument,       NULL, INSECURE  },
    {"max-bandwidth",  required_argument, NULL, BANDWIDTH },
    {"downtime-limit", required_argument, NULL, DOWNTIME  },
    {"max-rounds",     required_argument, NULL, ROUNDS    },
    {"compress",       required_argument, NULL, COMPRESS  },
    {"help",           no_argument,       NULL, HELP      },
    {"version",        no_argument,       NULL, VERSION   },
    {NULL,             0,                 NULL, 0         },
};

/* A number up to MAX; with UNITS it may end in K, M or G. */
static bool read_number(const char *name, const char *text, uint64_t max, bool units,
                        uint64_t *number)
{
    static const char letters[] = "KMG";
    char *end;
    unsigned shift = 0;

    errno = 0;
    *number = strtoull(text, &end, 10);
    if (units && *end != '\0' && strchr(letters, *end) != NULL) {
        shift = 10 * (unsigned)(strchr(letters, *end) - letters + 1);
        end++;
    }
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || *number > max >> shift) {
        agent_say("--%s: '%s' is no number that it can be", name, text);
        return false;
    }
    *number <<= shift;
    return true;
}

static bool read_compress(const char *text, enum compress *compress)
{
    static const char *const names[] = {"auto", "always", "never"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *compress = (enum compress)i;
            return true;
        }
    }
    agent_say("--compress: auto, always or never, not '%s'", text);
    return false;
}

static bool read_limit(int option, const char *text, struct agent_options *o)
{
    uint64_t number = 0;
    bool read;

    switch (option) {
    case BANDWIDTH:
        return read_number("max-bandwidth", text, UINT64_MAX >> 1, true, &o->max_bandwidth);
    case DOWNTIME:
        read = read_number("downtime-limit", text, 2000000, false, &number);
        o->downtime_limit = (uint32_t)number;
        return read;
    default:
        read = read_number("max-rounds", text, MOVE_ROUNDS_MAX, false, &number);
        o->max_rounds = (uint32_t)number;
        return read;
    }
}

static bool read_one(int option, const char *text, struct agent_options *o, int *code)
{
    const char **const texts[] = {
        [PORTAL] = &o->portal,         [LISTEN] = &o->listen,     [QMP] = &o->qmp,
        [QMP_LISTEN] = &o->qmp_listen, [TLS_CERT] = &o->tls_cert, [TLS_KEY] = &o->tls_key,
        [TLS_CA] = &o->tls_ca,         [TLS_PEER] = &o->tls_peer, [TLS_PSK] = &o->tls_psk,
    };

    switch (option) {
    case INSECURE:
        o->insecure = true;
        return true;
    case BANDWIDTH:
    case DOWNTIME:
    case ROUNDS:
        return read_limit(option, text, o);
    case COMPRESS:
        return read_compress(text, &o->compress);
    case HELP:
        (void)fputs(usage, stdout);
        *code = EXIT_SUCCESS;
        return false;
    case VERSION:
        (void)puts("portolan-agent " PORTOLAN_VERSION);
        *code = EXIT_SUCCESS;
        return false;
    default:
        if (option < PORTAL || (unsigned)option >= ARRAY_SIZE(texts)) {
            (void)fputs("see --help\n", stderr);
            return false;
        }
        *texts[option] = text;
        return true;
    }
}

/* How the stream is kept from others: exactly one way, and all that it needs. */
static bool check_security(const struct agent_options *o)
{
    unsigned certificates =
        (o->tls_cert != NULL) + (o->tls_key != NULL) + (unsigned)(o->tls_ca != NULL);

    if (certificates != 0 && certificates != 3) {
        agent_say("--tls-cert, --tls-key and --tls-ca are needed together");
        return false;
    }
    if ((certificates != 0) + (o->tls_psk != NULL) + (unsigned)o->insecure > 1) {
        agent_say("certificates, --tls-psk or --insecure: one of them");
        return false;
    }
    if (o->tls_peer != NULL && certificates == 0) {
        agent_say("--tls-peer is a name in a certificate: it needs --tls-cert and the others");
        return false;
    }
    if (o->listen != NULL && certificates == 0 && o->tls_psk == NULL && !o->insecure) {
        agent_say("--listen needs certificates, --tls-psk or --insecure");
        return false;
    }
    return true;
}

bool agent_options_read(int argc, char **argv, struct agent_options *options, int *code)
{
    int option;

    *options = (struct agent_options){
        .portal = "0000:00:1f.0", .downtime_limit = DOWNTIME_DEFAULT, .max_rounds = ROUNDS_DEFAULT};
    *code = EXIT_FAILURE;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!read_one(option, optarg, options, code)) {
            return false;
        }
    }
    if (optind < argc) {
        agent_say("what is '%s'? See --help", argv[optind]);
        return false;
    }
    return check_security(options);
}
