/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration and the files that it names, in memory. */
#ifndef PORTOLAN_BOOT_EFI_EFI_MODULES_H
#define PORTOLAN_BOOT_EFI_EFI_MODULES_H

#include "boot/efi/services.h"
#include "boot/handoff.h"

struct modules {
    struct handoff_module *modules; /* LoaderData; the first is the configuration */
    uint32_t count;
};

/* Read the configuration that the load options of IMAGE name, or portolan.cfg, from the image's
 * folder, and the files that it names from the configuration's. Prints what goes wrong. */
EFI_STATUS modules_load(EFI_LOADED_IMAGE *image, struct modules *modules);

#endif
