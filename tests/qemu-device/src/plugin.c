/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How QEMU loads this: as a TCG plugin, before it creates devices.  A plugin
 * is the way into a stock binary; nothing is instrumented unless count=on.
 */
#include "device.h"
#include "gaps.h"
#include "injection.h"
#include "poll.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-control.h"
#include "qemu/error-report.h"
#include "qemu/qemu-plugin.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static bool same_version(void)
{
    g_autoptr(VersionInfo) v = qmp_query_version(&error_abort);
    g_autofree char *running =
        g_strdup_printf("%" PRId64 ".%" PRId64 ".%" PRId64 "%s%s%s",
                        v->qemu->major, v->qemu->minor, v->qemu->micro,
                        *v->package ? " (" : "", v->package,
                        *v->package ? ")" : "");

    if (!strcmp(running, PORTOLAN_BUILT_FOR)) {
        return true;
    }
    error_report("portolan-mmr: built for QEMU '%s', this is '%s': "
                 "run tests/qemu-device/build.sh again", PORTOLAN_BUILT_FOR,
                 running);
    return false;
}

/* The largest structures whose inside this code knows. */
static bool same_layouts(void)
{
    for (unsigned i = 0; i < family_count; i++) {
        const Family *f = &families[i];

        if (!compat_has_instance_size(f->parent, f->parent_size)) {
            error_report("portolan-mmr: a %s has not the %zu bytes in this "
                         "QEMU that its headers say: run "
                         "tests/qemu-device/build.sh with an empty folder",
                         f->parent, f->parent_size);
            return false;
        }
    }
    return true;
}

static void register_family(const Family *f)
{
    TypeInfo pf = {
        .name = f->pf_type,
        .parent = f->parent,
        .instance_size = state_offset(f) + sizeof(PFState),
        .instance_init = pf_instance_init,
        .instance_finalize = pf_instance_finalize,
        .class_init = pf_class_init,
    };
    TypeInfo vf = {
        .name = f->vf_type,
        .parent = f->parent,
        .instance_size = state_offset(f) + sizeof(VFState),
        .class_init = vf_class_init,
    };

    type_register_static(&pf);
    type_register_static(&vf);
}

static bool mend_injection = true, mend_polls = true, lose_polls, counts;

/* A plugin has one function for this: a second would take the first's place. */
static void cpu_made(qemu_plugin_id_t id, unsigned int index)
{
    if (mend_injection) {
        injection_mend(index);
    }
    if (counts) {
        gaps_cpu_made(index);
    }
    poll_handle(index, mend_polls, lose_polls);
}

static bool apply_arguments(qemu_plugin_id_t id, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "mend-injection=off")) {
            mend_injection = false;
        } else if (!strcmp(argv[i], "mend-polls=off")) {
            mend_polls = false;
        } else if (!strcmp(argv[i], "lose-polls=on")) {
            lose_polls = true;
        } else if (!strcmp(argv[i], "count=on")) {
            counts = true;
        } else {
            error_report("portolan-mmr: no argument '%s': there are "
                         "mend-injection=off, mend-polls=off, lose-polls=on, "
                         "count=on",
                         argv[i]);
            return false;
        }
    }
    if (counts) {
        gaps_count(id);
    }
    qemu_plugin_register_vcpu_init_cb(id, cpu_made);
    return true;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
                                           const qemu_info_t *info,
                                           int argc, char **argv)
{
    if (!same_version() || !same_layouts() ||
        !apply_arguments(id, argc, argv)) {
        return -1;
    }
    tap_register_type();
    for (unsigned i = 0; i < family_count; i++) {
        register_family(&families[i]);
    }
    return 0;
}
