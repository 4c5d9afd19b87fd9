/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * newlib's formatter can grow a buffer on a heap. The VMM has no heap and formats into fixed
 * buffers only, for which these are never called; they must still exist for the linker, and fail.
 */
#include <stddef.h>

struct _reent;

void *_malloc_r(struct _reent *reent, size_t size);
void *_realloc_r(struct _reent *reent, void *old, size_t size);
void _free_r(struct _reent *reent, void *old);

void *_malloc_r(struct _reent *reent, size_t size)
{
    return NULL;
}

void *_realloc_r(struct _reent *reent, void *old, size_t size)
{
    return NULL;
}

void _free_r(struct _reent *reent, void *old) {}
