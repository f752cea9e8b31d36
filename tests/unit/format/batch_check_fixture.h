/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of checking batches share: one batch that is made, checked, and found good or not.
 */
#ifndef TESTS_BATCH_CHECK_FIXTURE_H
#define TESTS_BATCH_CHECK_FIXTURE_H

#include "batch.h"
#include "forge.h"

#include <stddef.h>
#include <string.h>

#define RECORD_BYTES_MAX ((size_t)1 << 20)

static struct forge forge;
static struct decompressor *decompressor;
static struct batch_summary summary;
static struct beck_error error;

static inline int begin(void **state)
{
    (void)state;
    forge_begin(&forge);
    memset(&summary, 0, sizeof(summary));
    return 0;
}

static inline int check(enum batch_rules rules)
{
    return batch_check(forge.bytes, forge.size, rules, decompressor, RECORD_BYTES_MAX, &summary,
                       &error);
}

static inline int seal_and_check(enum batch_rules rules)
{
    forge_seal(&forge);
    return check(rules);
}

/* Three records: a value, an empty one, a null; the second is the newest. */
static inline void three_records(void)
{
    forge_value(&forge, "value");
    forge_record(&forge, &(struct beck_record){.key = "k", .key_size = 1, .value = ""}, 1, 5);
    forge_value(&forge, NULL);
}

static inline void assert_refused(enum batch_rules rules, int code, int64_t byte,
                                  const char *message)
{
    assert_int_equal(seal_and_check(rules), code);
    assert_int_equal(error.code, code);
    assert_string_equal(error.message, message);
    assert_int_equal(error.byte, byte);
}

static inline int group_begin(void **state)
{
    (void)state;
    return decompressor_new(&decompressor);
}

static inline int group_end(void **state)
{
    (void)state;
    decompressor = decompressor_free(decompressor);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

#endif
