/* SPDX-License-Identifier: BSD-2-Clause */
/* The files that a configuration names, and whether its VMs can be loaded from them. */
#ifndef PORTOLAN_TOOLS_CHECK_FILES_H
#define PORTOLAN_TOOLS_CHECK_FILES_H

#include "vmm/config/config.h"

/*
 * Where the file NAME is: in the folder of the configuration at CONFIG_PATH, otherwise in FOLDER
 * (NULL: none) if it is there. The path stands until the next call.
 */
const char *files_locate(const char *config_path, const char *folder, const char *name);

/* Will image makers and GRUB unpack NAME, at PATH, a file of CONFIG? A gzip file that is booted. */
bool files_unpacked(const struct config *config, const char *name, const char *path);

/* Complain of files that are not there. Good ones are mapped for files_check_vms(). */
void files_check(const struct config *config, const char *config_path, const char *folder,
                 struct config_report *report);

/* Complain of VMs that could not be loaded: the VMM's own load plan, as at boot. */
void files_check_vms(const struct config *config, struct config_report *report);

#endif
