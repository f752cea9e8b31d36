/* SPDX-License-Identifier: Apache-2.0 */
/* libfuse's low-level interface, in the version that this code is written for. */
#ifndef FUSEFS_FUSE_API_H
#define FUSEFS_FUSE_API_H

#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>

#endif
