/* SPDX-License-Identifier: Apache-2.0
 *
 * libbeck's negative errno to Kafka's codes; see errors.h. What a caller knows better (a topic's
 * name, a configuration) it says itself before it asks here.
 */
#include "kafka/errors.h"

#include <errno.h>

int16_t kafka_error_of(int result)
{
    if (result >= 0)
        return KAFKA_NONE;
    switch (-result) {
    case EBADMSG:
        return KAFKA_CORRUPT_MESSAGE;
    case EINVAL:
    case ENOKEY:
    case EPROTONOSUPPORT: /* a magic or codec that nobody knows */
        return KAFKA_INVALID_RECORD;
    case ENOTUNIQ: /* a topic's name is too like another one's */
        return KAFKA_INVALID_TOPIC_EXCEPTION;
    case EMSGSIZE:
        return KAFKA_MESSAGE_TOO_LARGE;
    case ENOENT:
    case ESTALE:
        return KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
    case ERANGE:
        return KAFKA_OFFSET_OUT_OF_RANGE;
    case ETIME:
        return KAFKA_INVALID_TIMESTAMP;
    case EILSEQ:
        return KAFKA_OUT_OF_ORDER_SEQUENCE_NUMBER;
    case EKEYEXPIRED:
        return KAFKA_INVALID_PRODUCER_EPOCH;
    case ENOSPC:
    case EDQUOT:
    case EIO:
    case EROFS:
    case ENOMEM:
    case EMFILE: /* which clients try again, as they should */
    case ENFILE:
        return KAFKA_KAFKA_STORAGE_ERROR;
    default:
        return KAFKA_UNKNOWN_SERVER_ERROR;
    }
}
