/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking values, and sets of them. Values are checked as Kafka checks them, white space around
 * them taken away, and are kept as text: what another version of the library makes of one is its
 * own matter.
 */
#include "config.h"

#include "check.h"
#include "cleanup.h"
#include "config_table.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define BLANKS " \t\r\n"

/* ---- checking values ----------------------------------------------------------------------- */

static int number_parse(const char *text, int64_t *ret_number)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || strchr(BLANKS "\v\f", text[0]))
        return -EINVAL;
    *ret_number = number;
    return 0;
}

static bool is_choice(const char *choices, const char *word, size_t size)
{
    for (const char *at = choices; at; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (strncmp(at, word, size) == 0 && (at[size] == ' ' || at[size] == '\0'))
            return size > 0;
    }
    return false;
}

/* The words of a list: begin with *at the list. Returns the word's size, which may be 0, or -1
 * behind the last. A list with nothing in it has no words. */
static ssize_t list_next(const char **at, const char **ret_word)
{
    if (!*at || (*at)[0] == '\0')
        return -1;
    const char *word = *at + strspn(*at, " ");
    size_t size = strcspn(word, ",");
    *at = word[size] == ',' ? word + size + 1 : NULL;
    while (size > 0 && word[size - 1] == ' ')
        size--;
    *ret_word = word;
    return (ssize_t)size;
}

static bool list_has(const char *list, const char *word, size_t size)
{
    const char *other;
    ssize_t other_size;
    while ((other_size = list_next(&list, &other)) >= 0)
        if ((size_t)other_size == size && memcmp(other, word, size) == 0)
            return true;
    return false;
}

static bool is_list(const char *choices, const char *text)
{
    const char *word;
    ssize_t size;
    while ((size = list_next(&text, &word)) >= 0)
        if (!is_choice(choices, word, (size_t)size) || (text && text[strspn(text, " ")] == '\0'))
            return false;
    return true;
}

/* "0:1" */
static bool is_replica(const char *word, size_t size)
{
    size_t first = strspn(word, "0123456789");
    size_t second = first < size && word[first] == ':' ? strspn(word + first + 1, "0123456789") : 0;
    return first > 0 && second > 0 && first + 1 + second == size;
}

static bool is_replicas(const char *text)
{
    const char *word;
    ssize_t size;
    if (strcmp(text, "*") == 0)
        return true;
    while ((size = list_next(&text, &word)) >= 0)
        if (!is_replica(word, (size_t)size))
            return false;
    return true;
}

static bool is_boolean(const char *text)
{
    return strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0;
}

/* A number from 0 to 1. Not by strtod(), which wants a comma in it where the program's user does.
 */
static bool ratio_parse(const char *text, double *ret_ratio)
{
    double digits = 0;
    double scale = 1;
    bool any = false;
    bool in_fraction = false;
    for (; (*text >= '0' && *text <= '9') || (*text == '.' && !in_fraction); text++) {
        if (*text == '.') {
            in_fraction = true;
            continue;
        }
        digits = digits * 10 + (*text - '0');
        scale = in_fraction ? scale * 10 : scale;
        any = true;
    }
    int64_t exponent = 0; /* "1.0E-4", as Java prints it */
    if (!any ||
        (*text != '\0' && ((*text | 0x20) != 'e' || number_parse(text + 1, &exponent) < 0)) ||
        exponent < -300 || exponent > 300)
        return false;
    for (; exponent > 0; exponent--)
        digits *= 10;
    for (; exponent < 0; exponent++)
        scale *= 10;
    *ret_ratio = digits / scale;
    return *ret_ratio >= 0 && *ret_ratio <= 1;
}

static int number_check(const struct config_row *row, const char *value, struct beck_error *error)
{
    int64_t number;
    if (number_parse(value, &number) == 0 && number >= row->least && number <= row->most)
        return 0;
    if (row->most == INT64_MAX && row->least == INT64_MIN)
        return report(error, -EINVAL, "%s must be a whole number, not \"%.64s\"", row->name, value);
    if (row->most == INT64_MAX)
        return report(error, -EINVAL,
                      "%s must be a whole number of at least %" PRId64 ", not \"%.64s\"", row->name,
                      row->least, value);
    return report(error, -EINVAL,
                  "%s must be a whole number from %" PRId64 " to %" PRId64 ", not \"%.64s\"",
                  row->name, row->least, row->most, value);
}

static int value_check(const struct config_row *row, const char *value, struct beck_error *error)
{
    const char *wanted = NULL;
    double ratio;
    switch (row->kind) {
    case CONFIG_NUMBER:
        return number_check(row, value, error);
    case CONFIG_RATIO:
        wanted = ratio_parse(value, &ratio) ? NULL : "a number from 0 to 1";
        break;
    case CONFIG_BOOLEAN:
        wanted = is_boolean(value) ? NULL : "true or false";
        break;
    case CONFIG_REPLICAS:
        wanted = is_replicas(value) ? NULL : "* or a list of PARTITION:BROKER";
        break;
    case CONFIG_CHOICE:
        if (is_choice(row->choices, value, strlen(value)))
            return 0;
        return report(error, -EINVAL, "%s must be one of: %s; not \"%.64s\"", row->name,
                      row->choices, value);
    case CONFIG_LIST:
        if (is_list(row->choices, value))
            return 0;
        return report(error, -EINVAL, "%s must be a list of: %s; not \"%.64s\"", row->name,
                      row->choices, value);
    case CONFIG_TEXT:
    default:
        break;
    }
    return wanted ? report(error, -EINVAL, "%s must be %s, not \"%.64s\"", row->name, wanted, value)
                  : 0;
}

/* The row that a name in this scope means. NULL: -EINVAL, with a sentence. */
static const struct config_row *row_get(const char *name, enum config_scope scope,
                                        struct beck_error *error)
{
    const struct config_row *row = config_row_find(name);
    if (row && row->store_only && scope == CONFIG_OF_TOPIC) {
        (void)report(error, -EINVAL, "%s is a configuration of the store, not of a topic", name);
        return NULL;
    }
    if (!row) {
        const char *nearest = config_row_nearest(name);
        (void)report(error, -EINVAL, "there is no configuration named \"%.64s\"%s%s%s", name,
                     nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    }
    return row;
}

/* Take a value without the white space around it, checked. */
static int value_take(const struct config_row *row, const char *value,
                      char to[CONFIG_VALUE_BYTES + 1], struct beck_error *error)
{
    value += strspn(value, BLANKS);
    size_t size = strlen(value);
    while (size > 0 && strchr(BLANKS, value[size - 1]))
        size--;
    if (size > CONFIG_VALUE_BYTES)
        return report(error, -EINVAL, "%s: the value is longer than %d bytes", row->name,
                      CONFIG_VALUE_BYTES);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
            return report(error, -EINVAL, "%s: a control character is in the value", row->name);
    memcpy(to, value, size);
    to[size] = '\0';
    return value_check(row, to, error);
}

/* ---- the set ------------------------------------------------------------------------------- */

/* The entry after `at`; NULL behind the last. An entry is its name; the value follows. */
static const char *set_next(const struct config_set *set, const char *at)
{
    const char *end = set->text + set->bytes;
    if (!at)
        return set->bytes > 0 ? set->text : NULL;
    at += strlen(at) + 1;
    at += strlen(at) + 1;
    return at < end ? at : NULL;
}

const char *config_set_get(const struct config_set *set, const char *name)
{
    for (const char *at = set_next(set, NULL); at; at = set_next(set, at))
        if (strcmp(at, name) == 0)
            return at + strlen(at) + 1;
    return NULL;
}

static void set_remove(struct config_set *set, const char *name)
{
    for (const char *at = set_next(set, NULL); at; at = set_next(set, at)) {
        if (strcmp(at, name) != 0)
            continue;
        size_t begin = (size_t)(at - set->text);
        size_t size = strlen(at) + 1;
        size += strlen(at + size) + 1;
        memmove(set->text + begin, set->text + begin + size, set->bytes - begin - size);
        set->bytes -= (uint32_t)size;
        return;
    }
}

/* `value` was checked. */
static int set_put(struct config_set *set, const char *name, const char *value,
                   struct beck_error *error)
{
    size_t name_size = strlen(name) + 1;
    size_t value_size = strlen(value) + 1;
    set_remove(set, name);
    if (set->bytes + name_size + value_size > CONFIG_SET_BYTES)
        return report(error, -EMSGSIZE, "what is configured takes more than %d bytes",
                      CONFIG_SET_BYTES);
    memcpy(set->text + set->bytes, name, name_size);
    memcpy(set->text + set->bytes + name_size, value, value_size);
    set->bytes += (uint32_t)(name_size + value_size);
    return 0;
}

int config_set_put(struct config_set *set, enum config_scope scope, const char *name,
                   const char *value, struct beck_error *error)
{
    char text[CONFIG_VALUE_BYTES + 1];
    const struct config_row *row = row_get(name, scope, error);
    if (!row)
        return -EINVAL;
    if (!value) {
        set_remove(set, name);
        return 0;
    }
    int r = value_take(row, value, text, error);
    return r < 0 ? r : set_put(set, name, text, error);
}

bool config_set_valid(const struct config_set *set)
{
    uint32_t strings = 0;
    if (set->bytes > CONFIG_SET_BYTES || (set->bytes > 0 && set->text[set->bytes - 1] != '\0'))
        return false;
    for (uint32_t i = 0; i < set->bytes; i++)
        strings += set->text[i] == '\0';
    return strings % 2 == 0;
}

/* ---- changing ------------------------------------------------------------------------------ */

static const char *resolve(const struct config_set *set, const struct config_set *defaults,
                           const char *name)
{
    const char *value = set ? config_set_get(set, name) : NULL;
    if (!value && defaults)
        value = config_set_get(defaults, name);
    return value ? value : config_row_find(name)->default_value;
}

/* Add a word to a list that is no longer than a value may be. */
static int list_add(char list[CONFIG_VALUE_BYTES + 1], const char *word, size_t size)
{
    size_t used = strlen(list);
    if (used + size + 1 > CONFIG_VALUE_BYTES)
        return -EMSGSIZE;
    if (used > 0)
        list[used++] = ',';
    memcpy(list + used, word, size);
    list[used + size] = '\0';
    return 0;
}

/* The words of `list` that are in `other`, or that are not. */
static int list_pick(char to[CONFIG_VALUE_BYTES + 1], const char *list, const char *other,
                     bool wanted)
{
    const char *word;
    ssize_t size;
    int r = 0;
    while (r == 0 && (size = list_next(&list, &word)) >= 0)
        if (list_has(other, word, (size_t)size) == wanted)
            r = list_add(to, word, (size_t)size);
    return r;
}

static int alter_list(struct config_set *set, const struct config_set *defaults,
                      const struct config_row *row, const struct beck_config_change *change,
                      struct beck_error *error)
{
    const char *now = resolve(set, defaults, row->name);
    char words[CONFIG_VALUE_BYTES + 1];
    char list[CONFIG_VALUE_BYTES + 1] = "";
    if (row->type != BECK_CONFIG_LIST)
        return report(error, -EINVAL, "%s is no list, and can only be set or reset", row->name);
    int r = value_take(row, change->value, words, error);
    if (r < 0)
        return r;
    r = list_pick(list, now, change->operation == BECK_CONFIG_SUBTRACT ? words : "", false);
    if (r == 0 && change->operation == BECK_CONFIG_APPEND) {
        char more[CONFIG_VALUE_BYTES + 1] = "";
        r = list_pick(more, words, now, false);
        if (r == 0 && more[0] != '\0')
            r = list_add(list, more, strlen(more));
    }
    if (r < 0)
        return report(error, -EINVAL, "%s: the list is longer than %d bytes", row->name,
                      CONFIG_VALUE_BYTES);
    return set_put(set, row->name, list, error);
}

static int alter_one(struct config_set *set, enum config_scope scope,
                     const struct config_set *defaults, const struct beck_config_change *change,
                     struct beck_error *error)
{
    const struct config_row *row = row_get(change->name, scope, error);
    if (!row)
        return -EINVAL;
    if (change->operation != BECK_CONFIG_RESET && !change->value)
        return report(error, -EINVAL, "%s: there is no value", row->name);
    switch (change->operation) {
    case BECK_CONFIG_SET:
        return config_set_put(set, scope, row->name, change->value, error);
    case BECK_CONFIG_RESET:
        set_remove(set, row->name);
        return 0;
    case BECK_CONFIG_APPEND:
    case BECK_CONFIG_SUBTRACT:
        return alter_list(set, defaults, row, change, error);
    default:
        return report(error, -EINVAL, "%s: no such operation", row->name);
    }
}

int config_set_alter(struct config_set *set, enum config_scope scope,
                     const struct config_set *defaults, const struct beck_config_change *changes,
                     size_t count, unsigned flags, struct beck_error *error)
{
    _cleanup_free_ struct config_set *changed = malloc(sizeof(*changed));
    int r = changed ? 0 : report(error, -ENOMEM, "out of memory");
    if (r < 0)
        return r;
    *changed = *set;
    if (flags & BECK_ALTER_REPLACE)
        changed->bytes = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        for (size_t j = 0; j < i; j++)
            if (strcmp(changes[i].name, changes[j].name) == 0)
                return report(error, -EINVAL, "%.64s is named twice", changes[i].name);
        r = alter_one(changed, scope, defaults, &changes[i], error);
    }
    if (r == 0)
        r = config_set_check(changed, defaults, error);
    if (r == 0)
        *set = *changed;
    return r;
}

/* ---- what the engine acts on --------------------------------------------------------------- */

static int64_t resolve_number(const struct config_set *set, const struct config_set *defaults,
                              const char *name)
{
    const struct config_row *row = config_row_find(name);
    const char *value = resolve(set, defaults, name);
    int64_t number = 0;
    /* What stands in meta.mdb was checked when it was set, maybe by another version. */
    if (value_check(row, value, NULL) < 0)
        value = row->default_value;
    CHECK(number_parse(value, &number) == 0);
    return number;
}

static double resolve_ratio(const struct config_set *set, const struct config_set *defaults,
                            const char *name)
{
    const struct config_row *row = config_row_find(name);
    const char *value = resolve(set, defaults, name);
    double ratio = 0;
    if (!ratio_parse(value, &ratio))
        CHECK(ratio_parse(row->default_value, &ratio));
    return ratio;
}

int config_set_check(const struct config_set *set, const struct config_set *defaults,
                     struct beck_error *error)
{
    int64_t least = resolve_number(set, defaults, "min.compaction.lag.ms");
    int64_t most = resolve_number(set, defaults, "max.compaction.lag.ms");
    return least <= most ? 0
                         : report(error, -EINVAL,
                                  "min.compaction.lag.ms (%" PRId64
                                  ") must not be above max.compaction.lag.ms (%" PRId64 ")",
                                  least, most);
}

bool config_entry_at(const struct config_set *set, enum config_scope scope,
                     const struct config_set *defaults, size_t index,
                     struct beck_config_entry *ret_entry)
{
    const struct config_row *row = config_row_at(index);
    if (!row || (row->store_only && scope == CONFIG_OF_TOPIC))
        return false;
    bool is_set = set && config_set_get(set, row->name);
    enum beck_config_source own =
        scope == CONFIG_OF_TOPIC ? BECK_CONFIG_FROM_TOPIC : BECK_CONFIG_FROM_STORE;
    *ret_entry = (struct beck_config_entry){
        .name = row->name,
        .default_value = row->default_value,
        .documentation = row->documentation,
        .is_default = !is_set,
        .type = row->type,
        .source = is_set                                            ? own
                  : defaults && config_set_get(defaults, row->name) ? BECK_CONFIG_FROM_STORE
                                                                    : BECK_CONFIG_FROM_DEFAULT,
    };
    (void)snprintf(ret_entry->value, sizeof(ret_entry->value), "%s",
                   resolve(set, defaults, row->name));
    return true;
}

static bool resolve_is(const struct config_set *set, const struct config_set *defaults,
                       const char *name, const char *value)
{
    return strcmp(resolve(set, defaults, name), value) == 0;
}

/* An entry that says more than an older one, which counts where it says nothing. */
static int64_t resolve_limit(const struct config_set *set, const struct config_set *defaults,
                             const char *name)
{
    bool is_set =
        (set && config_set_get(set, name)) || (defaults && config_set_get(defaults, name));
    int64_t older = resolve_number(set, defaults, "message.timestamp.difference.max.ms");
    int64_t limit = resolve_number(set, defaults, name);
    return older != INT64_MAX && (!is_set || limit == INT64_MAX) ? older : limit;
}

void config_resolve(const struct config_set *set, const struct config_set *defaults,
                    struct config_resolved *ret_resolved)
{
    *ret_resolved = (struct config_resolved){
        .max_message_bytes = (uint32_t)resolve_number(set, defaults, "max.message.bytes"),
        .segment_bytes = (uint64_t)resolve_number(set, defaults, "segment.bytes"),
        .segment_ms = resolve_number(set, defaults, "segment.ms"),
        .timestamp_before_max_ms = resolve_limit(set, defaults, "message.timestamp.before.max.ms"),
        .timestamp_after_max_ms = resolve_limit(set, defaults, "message.timestamp.after.max.ms"),
        .log_append_time = resolve_is(set, defaults, "message.timestamp.type", "LogAppendTime"),
        .flush_os = resolve_is(set, defaults, "flush.policy", "os"),
        .compact = list_has(resolve(set, defaults, "cleanup.policy"), "compact", 7),
        .min_cleanable_dirty_ratio = resolve_ratio(set, defaults, "min.cleanable.dirty.ratio"),
        .min_compaction_lag_ms = resolve_number(set, defaults, "min.compaction.lag.ms"),
        .max_compaction_lag_ms = resolve_number(set, defaults, "max.compaction.lag.ms"),
        .delete_retention_ms = resolve_number(set, defaults, "delete.retention.ms"),
        .deletes = list_has(resolve(set, defaults, "cleanup.policy"), "delete", 6),
        .retention_ms = resolve_number(set, defaults, "retention.ms"),
        .retention_bytes = resolve_number(set, defaults, "retention.bytes"),
    };
    /* A record must come out of the active segment before it can be compacted. */
    if (ret_resolved->compact && ret_resolved->max_compaction_lag_ms < ret_resolved->segment_ms)
        ret_resolved->segment_ms = ret_resolved->max_compaction_lag_ms;
}

void config_resolve_store(const struct config_set *set, struct config_store *ret_resolved)
{
    *ret_resolved = (struct config_store){
        .offsets_retention_ms = resolve_number(set, NULL, "offsets.retention.minutes") * 60000,
        .offset_metadata_max_bytes =
            (uint32_t)resolve_number(set, NULL, "offset.metadata.max.bytes"),
        .producer_id_expiration_ms = resolve_number(set, NULL, "producer.id.expiration.ms"),
        .retention_check_ms = resolve_number(set, NULL, "log.retention.check.interval.ms"),
    };
}
