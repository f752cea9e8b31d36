// SPDX-License-Identifier: Apache-2.0
// A producer, or a member of a group, that goes on whatever happens to the broker (see crash_test.py):
//
//     Going produce ADDRESS TOPIC NAME     until its standard input ends
//     Going consume ADDRESS TOPIC GROUP    until it is killed

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class Going {
    private static volatile boolean ended = false;

    private static void watchInput() {
        Thread thread = new Thread(() -> {
            try {
                System.in.readAllBytes();
            } catch (IOException error) {
                error.printStackTrace();
            }
            ended = true;
        });
        thread.setDaemon(true);
        thread.start();
    }

    private static synchronized void tell(String line) {
        System.out.println(line);
    }

    private static void produce(String address, String topic, String name) throws Exception {
        watchInput();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(Map.of("bootstrap.servers", address),
                new StringSerializer(), new StringSerializer())) {
            for (int i = 0; !ended; i++) {
                String value = name + "-" + i;
                producer.send(new ProducerRecord<>(topic, i % 3, null, value),
                    (metadata, error) -> tell((error == null ? "acked " : "failed ") + value + (error == null ? "" : " " + error)));
                TimeUnit.MILLISECONDS.sleep(5);
            }
        }
        tell("done");
    }

    private static void consume(String address, String topic, String group) {
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", address,
                "group.id", group, "auto.offset.reset", "earliest", "session.timeout.ms", 6000,
                "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor"),
                new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic));
            while (true) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                    tell("record " + record.partition() + "/" + record.offset() + " " + record.value());
                }
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("produce")) {
            produce(arguments[1], arguments[2], arguments[3]);
        } else {
            consume(arguments[1], arguments[2], arguments[3]);
        }
    }
}
