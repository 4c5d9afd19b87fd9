/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/vm/backend.h"

const struct backend *backend;
struct backend_offers backend_offers;

enum status backend_choose(const struct backend *const *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (list[i]->init() == STATUS_OK) {
            backend = list[i];
            return STATUS_OK;
        }
    }
    return STATUS_NOTE(STATUS_UNSUPPORTED);
}
