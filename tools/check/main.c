/* SPDX-License-Identifier: BSD-2-Clause */
/* portolan-check: what the VMM says about a configuration when it boots, on the host. See usage().
 */
#include "tools/check/files.h"
#include "vmm/config/config.h"
#include "vmm/config/config_check.h"
#include "vmm/config/value.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_BAD_CONFIG 1
#define EXIT_USAGE      2

static struct config config;
static struct config_report report;
static struct config_machine machine;
static bool machine_known;
static const char *files_folder;

static void usage(FILE *to)
{
    (void)fputs(
        "usage: portolan-check [OPTIONS] CFG\n"
        "\n"
        "Checks the configuration CFG, that the files it names are there, and that its VMs can be "
        "loaded\n"
        "from them. With any of the facts below also that it fits a machine; what is not said is "
        "taken\n"
        "to be plenty.\n"
        "  --cpus N              the machine has CPUs 0 to N-1\n"
        "  --threads LIST        these CPUs are the threads of one core, for example 0,32; may "
        "repeat\n"
        "  --memory SIZE         memory that VMs can have, for example 14G\n"
        "  --pf BDF=TOTALVFS     a virtio device with SR-IOV; may repeat\n"
        "  --no-iommu            it has no IOMMU\n"
        "  --files FOLDER        look here for files that are not in CFG's own folder\n"
        "  --list-files          only print the files that CFG names: name, tab, path,\n"
        "                        tab, 'gzip' (a kernel that has to be unpacked) or '-'\n"
        "  --quiet               say nothing about a good configuration\n"
        "Exit status: 0 good, 1 not good, 2 wrong use.\n",
        to);
}

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *text = malloc(CONFIG_SIZE_MAX + 1);

    if (!file || !text) {
        perror(path);
        exit(EXIT_USAGE);
    }
    /* One byte more than allowed: then the parser says that it is too long. */
    *size = fread(text, 1, CONFIG_SIZE_MAX + 1, file);
    if (ferror(file)) {
        perror(path);
        exit(EXIT_USAGE);
    }
    (void)fclose(file);
    return text;
}

static void list_files(const char *config_path)
{
    for (uint32_t i = 0; i < config_file_count(&config); i++) {
        const char *name = config_file_name(&config, i);
        const char *path = files_locate(config_path, files_folder, name);

        (void)printf("%s\t%s\t%s\n", name, path,
                     files_unpacked(&config, name, path) ? "gzip" : "-");
    }
}

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static void bad_option(const char *option, const char *value)
{
    (void)fprintf(stderr, "portolan-check: %s does not take '%s'\n", option, value);
    exit(EXIT_USAGE);
}

static void add_pf(const char *text)
{
    struct slice rest = slice_of(text), address = slice_cut(&rest, '=');
    struct config_machine_pf *pf = &machine.pfs[machine.pf_count];
    uint64_t total;

    if (machine.pf_count == ARRAY_SIZE(machine.pfs) || !value_bdf(address, &pf->bdf) ||
        !value_number(rest, &total) || total > UINT16_MAX) {
        bad_option("--pf", text);
    }
    pf->total_vfs = (uint32_t)total;
    pf->has_sriov = total > 0;
    machine.pf_count++;
}

static void set_cpus(const char *text)
{
    uint64_t cpus;

    if (!value_number(slice_of(text), &cpus) || cpus < 1 || cpus > ARRAY_SIZE(machine.cpu_usable)) {
        bad_option("--cpus", text);
    }
    machine.cpu_count = (uint32_t)cpus;
}

/* All get the number of the first. */
static void add_threads(const char *text)
{
    struct slice rest = slice_of(text);
    uint64_t first = UINT64_MAX, cpu;

    while (rest.length > 0) {
        if (!value_number(slice_cut(&rest, ','), &cpu) || cpu >= ARRAY_SIZE(machine.core)) {
            bad_option("--threads", text);
        }
        first = first == UINT64_MAX ? cpu : first;
        machine.core[cpu] = (uint32_t)first;
    }
}

static void set_memory(const char *text)
{
    if (!value_size(slice_of(text), &machine.memory)) {
        bad_option("--memory", text);
    }
}

/* Without --pf nothing is known about devices: take those that the configuration names. */
static void assume_pfs(void)
{
    for (uint32_t i = 0; machine.pf_count == 0 && i < config.pf_count; i++) {
        machine.pfs[i] = (struct config_machine_pf){config.pfs[i].bdf, UINT16_MAX, true};
    }
    machine.pf_count = machine.pf_count ? machine.pf_count : config.pf_count;
}

static void print_summary(const char *path)
{
    (void)printf("%s: good: %u VMs, %u PFs, %u files\n", path, config.vm_count, config.pf_count,
                 config_file_count(&config));
    for (uint32_t i = 0; i < config.vm_count; i++) {
        const struct config_vm *vm = &config.vms[i];

        (void)printf("  VM %-15s %u vCPUs, %lu MiB, %u VFs\n", vm->name, vm->cpus.count,
                     (unsigned long)(vm->memory >> 20), vm->vfs.count);
    }
}

enum {
    OPTION_CPUS = 1,
    OPTION_THREADS,
    OPTION_MEMORY,
    OPTION_PF,
    OPTION_NO_IOMMU,
    OPTION_FILES,
    OPTION_LIST,
    OPTION_QUIET
};

static const struct option options[] = {
    {"cpus",       required_argument, NULL, OPTION_CPUS    },
    {"threads",    required_argument, NULL, OPTION_THREADS },
    {"memory",     required_argument, NULL, OPTION_MEMORY  },
    {"pf",         required_argument, NULL, OPTION_PF      },
    {"no-iommu",   no_argument,       NULL, OPTION_NO_IOMMU},
    {"files",      required_argument, NULL, OPTION_FILES   },
    {"list-files", no_argument,       NULL, OPTION_LIST    },
    {"quiet",      no_argument,       NULL, OPTION_QUIET   },
    {NULL,         0,                 NULL, 0              },
};

struct wishes {
    bool list;
    bool quiet;
};

static struct wishes read_options(int argc, char **argv)
{
    struct wishes wishes = {false, false};

    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        machine_known |= option >= OPTION_CPUS && option <= OPTION_NO_IOMMU;
        switch (option) {
        case OPTION_CPUS:
            set_cpus(optarg);
            break;
        case OPTION_THREADS:
            add_threads(optarg);
            break;
        case OPTION_MEMORY:
            set_memory(optarg);
            break;
        case OPTION_PF:
            add_pf(optarg);
            break;
        case OPTION_NO_IOMMU:
            machine.has_iommu = false;
            break;
        case OPTION_FILES:
            files_folder = optarg;
            break;
        case OPTION_LIST:
            wishes.list = true;
            break;
        case OPTION_QUIET:
            wishes.quiet = true;
            break;
        default:
            usage(stderr);
            exit(EXIT_USAGE);
        }
    }
    if (optind != argc - 1) {
        usage(stderr);
        exit(EXIT_USAGE);
    }
    return wishes;
}

static void assume_plenty(void)
{
    machine = (struct config_machine){
        .can_run_vms = true,
        .has_iommu = true,
        .cpu_count = ARRAY_SIZE(machine.cpu_usable),
        .memory = UINT64_MAX,
    };
    memset(machine.cpu_usable, true, sizeof(machine.cpu_usable));
    for (uint32_t i = 0; i < ARRAY_SIZE(machine.core); i++) {
        machine.core[i] = i;
    }
}

int main(int argc, char **argv)
{
    assume_plenty();
    struct wishes wishes = read_options(argc, argv);
    const char *path = argv[optind], *slash = strrchr(path, '/');
    size_t size;
    char *text = read_file(path, &size);
    enum status status = config_parse(&config, slash ? slash + 1 : path, text, size, &report);

    free(text);
    if (wishes.list) {
        list_files(path);
        return 0;
    }
    if (status == STATUS_OK) {
        files_check(&config, path, files_folder, &report);
        files_check_vms(&config, &report);
    }
    if (status == STATUS_OK && machine_known) {
        assume_pfs();
        (void)config_check_machine(&config, &machine, &report);
    }
    (void)fputs(report.text, stdout);
    if (report.left_out) {
        (void)printf("(%u more messages)\n", report.left_out);
    }
    if (report.errors) {
        (void)printf("%s: %u errors\n", path, report.errors);
        return EXIT_BAD_CONFIG;
    }
    if (!wishes.quiet) {
        print_summary(path);
    }
    return 0;
}
