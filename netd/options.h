/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line. What it accepts, beckd.8 describes.
 */
#ifndef BECK_NETD_OPTIONS_H
#define BECK_NETD_OPTIONS_H

#include "log.h"
#include "settings.h"

enum options_outcome {
    OPTIONS_RUN,
    OPTIONS_DONE,  /* help or version was printed: exit 0 */
    OPTIONS_WRONG, /* said why on stderr: exit 2 */
};

enum options_outcome options_parse(int argc, char **argv, struct broker_config *ret_config,
                                   enum log_format *ret_log_format);

#endif
