/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Can a VF take another's place? Decided from two texts, before either VF is touched:
 *
 *   virtio-vf/1;abi=2021;cfg=1f0a7c23;cfglen=60;driver=0;features=30006e54;msix=2;qsz=1x256;type=2
 *
 * docs/migration.md has the table of keys; compare.h is who reads it.
 */
#ifndef PORTOLAN_VMM_MIGRATE_COMPATIBILITY_H
#define PORTOLAN_VMM_MIGRATE_COMPATIBILITY_H

#include "vmm/base/status.h"
#include "vmm/legacy/legacy.h"

#define COMPATIBILITY_MAX 512U /* with the NUL */

/* The text of the VF that D describes and whose PF has the protocol ABI. RANGE: it is too long. */
enum status compatibility_text(const struct legacy_description *d, const char *abi, char *text);

/*
 * Is something else in the device configuration of the VF THERE than in that of HERE, of what
 * changes by itself? Then a guest that comes from HERE is to be told, as of any change: the
 * device's own message is about neither.
 */
bool compatibility_has_news(const struct legacy_description *here,
                            const struct legacy_description *there);

#endif
