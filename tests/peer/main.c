/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer legacy BDF ADDRESS     the legacy I/O BAR of a net VF, which has that MAC address
 * peer move USE BDF BDF       a VF in use is moved to another, and back; USE is net, block or
 * legacy-net peer leave USE BDF BDF      the same, and ends in the middle
 */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_address(const char *text, uint8_t *mac)
{
    char *end = NULL;

    for (unsigned i = 0; i < 6; i++) {
        mac[i] = (uint8_t)strtoul(i ? end + 1 : text, &end, 16);
        if (*end != (i < 5 ? ':' : '\0')) {
            fail("'%s' is no MAC address", text);
        }
    }
}

static enum use read_use(const char *text)
{
    static const char *const names[] = {
        [USE_NET] = "net", [USE_BLOCK] = "block", [USE_LEGACY_NET] = "legacy-net"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            return (enum use)i;
        }
    }
    fail("there is no use '%s'", text);
}

int main(int count, char **arguments)
{
    static struct vf vfs[2];
    const char *task = count > 1 ? arguments[1] : "";
    uint8_t mac[6];

    container_open();
    if (count == 4 && strcmp(task, "legacy") == 0) {
        read_address(arguments[3], mac);
        vf_open(&vfs[0], arguments[2]);
        legacy_check(&vfs[0], mac);
    } else if (count == 5 && (strcmp(task, "move") == 0 || strcmp(task, "leave") == 0)) {
        vf_open(&vfs[0], arguments[3]);
        vf_open(&vfs[1], arguments[4]);
        (task[0] == 'm' ? migrate_check : migrate_leave)(vfs, read_use(arguments[2]));
    } else {
        fail("usage: peer legacy BDF ADDRESS | peer move|leave USE BDF BDF");
    }
    (void)printf("PASS\n");
    return 0;
}
