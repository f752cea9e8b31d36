/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client may do, where nothing is forbidden: a bit for each of Kafka's operations that a
 * resource knows, by their numbers.
 */
#ifndef BECK_NETD_KAFKA_OPERATIONS_H
#define BECK_NETD_KAFKA_OPERATIONS_H

enum {
    KAFKA_MAY_READ = 1 << 3,
    KAFKA_MAY_WRITE = 1 << 4,
    KAFKA_MAY_CREATE = 1 << 5,
    KAFKA_MAY_DELETE = 1 << 6,
    KAFKA_MAY_ALTER = 1 << 7,
    KAFKA_MAY_DESCRIBE = 1 << 8,
    KAFKA_MAY_ACT_AS_CLUSTER = 1 << 9,
    KAFKA_MAY_DESCRIBE_CONFIGS = 1 << 10,
    KAFKA_MAY_ALTER_CONFIGS = 1 << 11,
    KAFKA_MAY_WRITE_IDEMPOTENTLY = 1 << 12,
};

#define KAFKA_TOPIC_OPERATIONS                                                                     \
    (KAFKA_MAY_READ | KAFKA_MAY_WRITE | KAFKA_MAY_CREATE | KAFKA_MAY_DELETE | KAFKA_MAY_ALTER |    \
     KAFKA_MAY_DESCRIBE | KAFKA_MAY_DESCRIBE_CONFIGS | KAFKA_MAY_ALTER_CONFIGS)
#define KAFKA_GROUP_OPERATIONS                                                                     \
    (KAFKA_MAY_READ | KAFKA_MAY_DELETE | KAFKA_MAY_DESCRIBE | KAFKA_MAY_DESCRIBE_CONFIGS |         \
     KAFKA_MAY_ALTER_CONFIGS)
#define KAFKA_CLUSTER_OPERATIONS                                                                   \
    (KAFKA_MAY_CREATE | KAFKA_MAY_ALTER | KAFKA_MAY_DESCRIBE | KAFKA_MAY_ACT_AS_CLUSTER |          \
     KAFKA_MAY_DESCRIBE_CONFIGS | KAFKA_MAY_ALTER_CONFIGS | KAFKA_MAY_WRITE_IDEMPOTENTLY)

#endif
