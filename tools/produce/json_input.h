/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lossless JSON form, read: one object on one line, as beck_record_json() writes it. Only
 * `value` has to be there; `topic` is passed over. Byte strings are JSON strings, {"base64":"..."}
 * or null.
 */
#ifndef TOOLS_JSON_INPUT_H
#define TOOLS_JSON_INPUT_H

#include "headers.h"

#include "beck.h"

#define JSON_INPUT_NO_TIME INT64_MIN /* who appends takes it for none */

/*
 * Take a line apart, decoding in place: the record points into `line` and into `headers`, which is
 * reset first. Where the line does not name them, the offset is -1, the timestamp
 * JSON_INPUT_NO_TIME, and `ret_partition` -1. 0, or -EINVAL and in `ret_wrong` what is wrong, a
 * text that lives for ever; -ENOMEM.
 */
int json_input_record(char *line, size_t size, struct headers *headers,
                      struct beck_record *ret_record, int32_t *ret_partition,
                      const char **ret_wrong);

#endif
