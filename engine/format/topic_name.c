/* SPDX-License-Identifier: Apache-2.0 */
/* Which names a topic may have: Kafka's rule. Does not look whether there is such a topic. */
#include "beck.h"
#include "public.h"

#include <string.h>

static bool letter_allowed(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' || letter == '-';
}

BECK_PUBLIC bool beck_topic_name_valid(const char *name)
{
    if (name == NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    size_t size = 0;
    while (name[size] != '\0') {
        if (size == BECK_TOPIC_NAME_BYTES || !letter_allowed(name[size]))
            return false;
        size++;
    }
    return size > 0;
}
