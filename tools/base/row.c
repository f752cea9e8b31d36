/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of figures, to standard output. */
#include "row.h"

#include "table.h"

#include <stdio.h>

static void json_string(const char *text)
{
    (void)putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            (void)printf("\\%c", *at);
        else if (*at < 0x20)
            (void)printf("\\u%04x", *at);
        else
            (void)putchar(*at);
    }
    (void)putchar('"');
}

/* What stands before a value. */
static void field(const struct row *row, const char *name, bool is_key)
{
    if (row->form == ROW_TEXT) {
        if (is_key)
            (void)putchar(' ');
        else
            (void)printf(" %s ", name);
        return;
    }
    (void)fputs(",\"", stdout);
    for (; *name != '\0'; name++)
        (void)putchar(*name == '-' || *name == '.' ? '_' : *name);
    (void)fputs("\":", stdout);
}

void row_begin(struct row *row, enum row_form form, const char *kind)
{
    row->form = form;
    (void)printf(form == ROW_TEXT ? "%s" : "{\"type\":\"%s\"", kind);
}

void row_end(const struct row *row)
{
    (void)puts(row->form == ROW_TEXT ? "" : "}");
}

void row_number(const struct row *row, const char *name, int64_t number)
{
    field(row, name, false);
    (void)printf("%lld", (long long)number);
}

void row_decimal(const struct row *row, const char *name, double number)
{
    field(row, name, false);
    (void)printf("%.3f", number);
}

void row_text(const struct row *row, const char *name, const char *text)
{
    field(row, name, false);
    if (row->form == ROW_TEXT)
        (void)fputs(text, stdout);
    else
        json_string(text);
}

void row_time(const struct row *row, const char *name, int64_t ms)
{
    char text[TABLE_TIME_TEXT];
    if (ms == 0)
        return;
    if (row->form == ROW_TEXT)
        row_text(row, name, table_time_text(ms, text));
    else
        row_number(row, name, ms);
}

void row_flag(const struct row *row, const char *name, bool flag)
{
    if (row->form == ROW_JSON) {
        field(row, name, false);
        (void)fputs(flag ? "true" : "false", stdout);
    } else if (flag) {
        (void)printf(" %s", name);
    }
}

void row_key_number(const struct row *row, const char *name, int64_t number)
{
    field(row, name, true);
    (void)printf("%lld", (long long)number);
}

void row_key_text(const struct row *row, const char *name, const char *text)
{
    field(row, name, true);
    if (row->form == ROW_TEXT)
        (void)fputs(text, stdout);
    else
        json_string(text);
}
