/* SPDX-License-Identifier: Apache-2.0 */
/* Control records: the type is in the key (version i16, type i16), the rest in the value, which
 * begins with a version too. */
#include "control.h"

#include "bytes.h"
#include "kafka_txn.h"

#include <stdio.h>

static const char *type_name(int type)
{
    static const char *const names[] = {
        [CONTROL_ABORT] = "abort",
        [CONTROL_COMMIT] = "commit",
        [CONTROL_LEADER_CHANGE] = "leader-change",
        [CONTROL_SNAPSHOT_HEADER] = "snapshot-header",
        [CONTROL_SNAPSHOT_FOOTER] = "snapshot-footer",
        [CONTROL_KRAFT_VERSION] = "kraft-version",
        [CONTROL_KRAFT_VOTERS] = "kraft-voters",
    };

    if (type < 0 || (size_t)type >= sizeof(names) / sizeof(names[0]))
        return "unknown";
    return names[type];
}

char *control_json(const struct beck_record *record, char text[CONTROL_TEXT])
{
    int type = control_type(record);
    const uint8_t *value = record->value;
    int used = snprintf(text, CONTROL_TEXT, ",\"control\":\"%s\"", type_name(type));
    char *rest = text + used;
    size_t room = (size_t)(CONTROL_TEXT - used);

    if (type < 0 || record->value_size < 6)
        return text;
    int32_t number = (int32_t)load_be32(value + 2);
    if (type == CONTROL_ABORT || type == CONTROL_COMMIT)
        (void)snprintf(rest, room, ",\"coordinatorEpoch\":%d", (int)number);
    else if (type == CONTROL_LEADER_CHANGE)
        (void)snprintf(rest, room, ",\"leader\":%d", (int)number);
    else if (type == CONTROL_SNAPSHOT_HEADER && record->value_size >= 10)
        (void)snprintf(rest, room, ",\"lastContainedLogTimestamp\":%lld",
                       (long long)load_be64(value + 2));
    return text;
}
