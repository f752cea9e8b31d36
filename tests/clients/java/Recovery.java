// SPDX-License-Identifier: Apache-2.0
// What goes wrong for a client that does not see it come: it gets the protocol's error, and goes on by itself.

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.utils.AppInfoParser;

public final class Recovery {
    private static final int ATTEMPTS = 300;
    private static org.apache.kafka.clients.admin.Admin admin;

    private static void make(String topic) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get();
    }

    private static void fill(String topic, int count) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = Clients.producer()) {
            for (int i = 0; i < count; i++) {
                producer.send(new ProducerRecord<>(topic, 0, null, Clients.bytes("value " + i)));
            }
        }
    }

    private static List<Long> poll(KafkaConsumer<byte[], byte[]> consumer, int count) {
        List<Long> offsets = new ArrayList<>();
        for (int i = 0; i < ATTEMPTS && offsets.size() < count; i++) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                offsets.add(record.offset());
            }
        }
        return offsets;
    }

    private static void deletedTopic() throws Exception {
        make("deleted");
        try (KafkaProducer<byte[], byte[]> producer = Clients.producer("delivery.timeout.ms", 5000, "request.timeout.ms", 2000,
                "linger.ms", 0, "max.block.ms", 2000)) {
            producer.send(new ProducerRecord<>("deleted", 0, null, Clients.bytes("before"))).get();
            admin.deleteTopics(List.of("deleted")).all().get();
            long offset = -1;
            for (int i = 0; i < 10 && offset < 0; i++) {
                try {
                    offset = producer.send(new ProducerRecord<>("deleted", 0, null, Clients.bytes("after"))).get().offset();
                } catch (ExecutionException error) {
                    System.out.println("to a deleted topic: " + error.getCause());
                }
            }
            Checks.equal(offset, 0L, "the producer goes on in a topic that was deleted, which is made anew");
        }
    }

    private static void outOfRange() throws Exception {
        make("trimmed");
        fill("trimmed", 100);
        TopicPartition partition = new TopicPartition("trimmed", 0);
        try (KafkaConsumer<byte[], byte[]> consumer = Clients.consumer("max.poll.records", 10, "fetch.max.bytes", 1,
                "max.partition.fetch.bytes", 1)) {
            consumer.assign(List.of(partition));
            Checks.equal(poll(consumer, 1).get(0), 0L, "a consumer is at the beginning");
            admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(100))).all().get();
            fill("trimmed", 10);
            consumer.seek(partition, 50);
            List<Long> found = poll(consumer, 10);
            Checks.equal(found.get(0), 100L, "its records are deleted, and it goes on with the first there is");
            consumer.seek(partition, 100_000);
            Checks.equal(poll(consumer, 10).get(0), 100L, "and likewise behind the end");
        }
    }

    private static void staleGeneration() throws Exception {
        make("slow");
        fill("slow", 10);
        try (KafkaConsumer<byte[], byte[]> consumer = Clients.consumer("group.id", "slow", "max.poll.interval.ms", 1500,
                "session.timeout.ms", 6000, "enable.auto.commit", false)) {
            consumer.subscribe(List.of("slow"));
            Checks.equal(poll(consumer, 10).size(), 10, "a member of a group gets records");
            for (int i = 0; i < ATTEMPTS && !members("slow").equals(0); i++) {
                TimeUnit.MILLISECONDS.sleep(100); // it does not poll, so it leaves
            }
            String failure = "none";
            try {
                consumer.commitSync();
            } catch (RuntimeException error) {
                failure = error.getClass().getSimpleName();
            }
            Checks.equal(failure, "CommitFailedException", "it is late, and may not commit");
            Checks.equal(poll(consumer, 10).size(), 10, "it joins again, and gets what was not committed");
            consumer.commitSync();
            Checks.equal(consumer.committed(Set.of(new TopicPartition("slow", 0))).values().iterator().next().offset(), 10L,
                "and commits");
        }
    }

    private static Integer members(String group) throws Exception {
        return admin.describeConsumerGroups(List.of(group)).all().get().get(group).members().size();
    }

    private static void wrongType() throws Exception {
        make("two-kinds");
        fill("two-kinds", 5);
        try (KafkaConsumer<byte[], byte[]> second = Clients.consumer("group.id", "two-kinds", "partition.assignment.strategy",
                "org.apache.kafka.clients.consumer.CooperativeStickyAssignor")) {
            second.subscribe(List.of("two-kinds"));
            String failure = "none";
            try (KafkaConsumer<byte[], byte[]> first = Clients.consumer("group.id", "two-kinds",
                    "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor",
                    "enable.auto.commit", false)) {
                first.subscribe(List.of("two-kinds"));
                poll(first, 5);
                for (int i = 0; i < ATTEMPTS && failure.equals("none"); i++) {
                    try {
                        second.poll(Duration.ofMillis(100));
                    } catch (RuntimeException error) {
                        failure = error.getClass().getSimpleName();
                    }
                }
            }
            Checks.equal(failure, "InconsistentGroupProtocolException", "a group whose members assign in another way");
            Checks.equal(poll(second, 5).size(), 5, "when these have left, it joins");
        }
    }

    public static void main(String[] arguments) throws Exception {
        Clients.address = arguments[0];
        System.out.println("version " + AppInfoParser.getVersion());
        admin = org.apache.kafka.clients.admin.Admin.create(Clients.settings());
        Checks.part("deleted topic", Recovery::deletedTopic);
        Checks.part("out of range", Recovery::outOfRange);
        Checks.part("stale generation", Recovery::staleGeneration);
        Checks.part("wrong type", Recovery::wrongType);
        admin.close();
        Checks.finish();
    }
}
