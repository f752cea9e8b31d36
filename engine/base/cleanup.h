/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cleanup attributes: a variable that frees what it owns when its scope ends, and the way to hand
 * ownership out of it.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))

static inline void cleanup_freep(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_closep(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

#define _cleanup_free_  _cleanup_(cleanup_freep)
#define _cleanup_close_ _cleanup_(cleanup_closep)

/* Make `cleanup_x_free` for a destructor that takes and returns a pointer, as x_free() does. */
#define CLEANUP_DEFINE(type, destructor)                                                           \
    static inline void destructor##p(type **pointer)                                               \
    {                                                                                              \
        (void)destructor(*pointer);                                                                \
    }

/* Take the pointer out of a variable, which forgets it. */
#define TAKE_POINTER(pointer)                                                                      \
    __extension__({                                                                                \
        __typeof__(pointer) *_where = &(pointer);                                                  \
        __typeof__(pointer) _taken = *_where;                                                      \
        *_where = NULL;                                                                            \
        _taken;                                                                                    \
    })

/* The same for a file descriptor. */
#define TAKE_FD(fd)                                                                                \
    __extension__({                                                                                \
        int *_where = &(fd);                                                                       \
        int _taken = *_where;                                                                      \
        *_where = -1;                                                                              \
        _taken;                                                                                    \
    })

#endif
