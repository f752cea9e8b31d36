/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of figures, as text ("partition t 0 start 12 end 99") or as a JSON object, from the same
 * calls. In JSON the line's kind is the field "type".
 */
#ifndef TOOLS_ROW_H
#define TOOLS_ROW_H

#include <stdbool.h>
#include <stdint.h>

enum row_form {
    ROW_TEXT,
    ROW_JSON,
};

struct row {
    enum row_form form;
};

void row_begin(struct row *row, enum row_form form, const char *kind);
void row_end(const struct row *row);

/* Names have dashes, and may have dots; in JSON these are underscores. */
void row_number(const struct row *row, const char *name, int64_t number);
/* With three places behind the point. */
void row_decimal(const struct row *row, const char *name, double number);
void row_text(const struct row *row, const char *name, const char *text);
/* A moment; left out where it is 0. In JSON: milliseconds since the epoch. */
void row_time(const struct row *row, const char *name, int64_t ms);
/* In text, its name where it is true; in JSON true or false. */
void row_flag(const struct row *row, const char *name, bool flag);

/* The same without the name in text: the fields that say which line it is. */
void row_key_number(const struct row *row, const char *name, int64_t number);
void row_key_text(const struct row *row, const char *name, const char *text);

#endif
