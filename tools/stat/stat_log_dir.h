/* SPDX-License-Identifier: Apache-2.0 */
/* What beck stat shows of the log directory of a Kafka broker that is stopped. */
#ifndef TOOLS_STAT_LOG_DIR_H
#define TOOLS_STAT_LOG_DIR_H

/* Print the directory and its topics, or those named. Says what fails; returns an exit code. */
int stat_log_dir(const char *path, char *const *topics, int count);

#endif
