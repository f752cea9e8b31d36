/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mark of a function that beck.h declares. Everything is compiled with hidden visibility, so
 * that a definition without it does not leave the shared library.
 */
#ifndef BASE_PUBLIC_H
#define BASE_PUBLIC_H

#define BECK_PUBLIC __attribute__((visibility("default")))

#endif
