/* SPDX-License-Identifier: Apache-2.0
 *
 * librdkafka produces, whatever happens to the broker, until its standard input ends (see
 * crash_test.py):
 *
 *     produce_on ADDRESS TOPIC NAME
 */
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FLUSH_MS 120000

static void told(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *context)
{
    (void)kafka, (void)context;
    printf("%s %.*s %s\n", message->err ? "failed" : "acked", (int)message->len,
           (char *)message->payload, message->err ? rd_kafka_err2str(message->err) : "");
    fflush(stdout);
}

static int input_ended(void)
{
    char byte;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

int main(int argc, char **argv)
{
    char text[512];
    if (argc != 4)
        return 2;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, told);
    rd_kafka_conf_set(conf, "linger.ms", "0", text, sizeof(text));
    if (rd_kafka_conf_set(conf, "bootstrap.servers", argv[1], text, sizeof(text)))
        return 2;
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    for (int i = 0; kafka && !input_ended(); i++) {
        int size = snprintf(text, sizeof(text), "%s-%d", argv[3], i);
        rd_kafka_producev(kafka, RD_KAFKA_V_TOPIC(argv[2]), RD_KAFKA_V_PARTITION(i % 3),
                          RD_KAFKA_V_VALUE(text, (size_t)size),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        rd_kafka_poll(kafka, 5);
    }
    rd_kafka_flush(kafka, FLUSH_MS);
    rd_kafka_destroy(kafka);
    puts("done");
    return 0;
}
