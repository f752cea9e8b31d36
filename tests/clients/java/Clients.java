// SPDX-License-Identifier: Apache-2.0
// Producers and consumers as Java programs have them: their defaults, but for what is named here. Compiles
// with the clients of Kafka 2.8 as well as with newer ones.

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

public final class Clients {
    static final int RECORDS = 500;
    static final long BASE = System.currentTimeMillis() - 86_400_000;
    static String address;

    static Map<String, Object> settings(Object... pairs) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", address);
        for (int i = 0; i < pairs.length; i += 2) {
            settings.put((String) pairs[i], pairs[i + 1]);
        }
        return settings;
    }

    static KafkaProducer<byte[], byte[]> producer(Object... pairs) {
        return new KafkaProducer<>(settings(pairs), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(Object... pairs) {
        Map<String, Object> settings = settings("auto.offset.reset", "earliest");
        settings.putAll(settings(pairs));
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static List<ConsumerRecord<byte[], byte[]>> read(String topic, int count, Object... pairs) {
        List<ConsumerRecord<byte[], byte[]>> found = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(pairs)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = System.nanoTime() + 30_000_000_000L;
            while (found.size() < count && System.nanoTime() < end) {
                consumer.poll(Duration.ofMillis(500)).forEach(found::add);
            }
        }
        return found;
    }

    static void produce(String codec, Object... pairs) throws Exception {
        String topic = "codec-" + codec + "-" + pairs.length;
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<byte[], byte[]> producer = producer(join(pairs, "compression.type", codec, "linger.ms", 5))) {
            for (int i = 0; i < RECORDS; i++) {
                ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, 0, 1000L * i + BASE,
                    bytes("k" + i), i % 50 == 7 ? null : bytes(codec + " value " + i));
                record.headers().add("h", bytes("header " + i)).add("empty", new byte[0]).add("null", null);
                sent.add(producer.send(record));
            }
            producer.flush();
        }
        List<Long> offsets = new ArrayList<>();
        List<Long> wanted = new ArrayList<>();
        for (int i = 0; i < RECORDS; i++) {
            offsets.add(sent.get(i).get().offset());
            wanted.add((long) i);
        }
        Checks.equal(offsets, wanted, topic + " has offsets from 0 on");
        int right = 0;
        List<ConsumerRecord<byte[], byte[]>> found = read(topic, RECORDS);
        for (ConsumerRecord<byte[], byte[]> record : found) {
            int i = (int) record.offset();
            String value = record.value() == null ? null : new String(record.value(), StandardCharsets.UTF_8);
            boolean same = record.timestamp() == 1000L * i + BASE &&
                new String(record.key(), StandardCharsets.UTF_8).equals("k" + i) &&
                (i % 50 == 7 ? value == null : (codec + " value " + i).equals(value)) &&
                new String(record.headers().lastHeader("h").value(), StandardCharsets.UTF_8).equals("header " + i) &&
                record.headers().lastHeader("null").value() == null;
            right += same ? 1 : 0;
        }
        Checks.equal(right + " of " + found.size(), RECORDS + " of " + RECORDS, topic + " is read as it was written");
    }

    static Object[] join(Object[] first, Object... second) {
        List<Object> all = new ArrayList<>(List.of(first));
        all.addAll(List.of(second));
        return all.toArray();
    }

    /** A consumer of a group, on a thread of its own. */
    static final class Member implements Runnable, ConsumerRebalanceListener {
        final ConcurrentLinkedQueue<String> seen;
        final Object[] pairs;
        volatile Set<TopicPartition> owned = Set.of();
        volatile boolean leave = false;
        volatile Throwable error;
        final Thread thread = new Thread(this);

        Member(ConcurrentLinkedQueue<String> seen, Object... pairs) {
            this.seen = seen;
            this.pairs = pairs;
            thread.start();
        }

        @Override
        public void run() {
            try (KafkaConsumer<byte[], byte[]> consumer = consumer(pairs)) {
                consumer.subscribe(List.of("shared"), this);
                while (!leave) {
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                        seen.add(record.partition() + "/" + record.offset());
                    }
                    owned = new HashSet<>(consumer.assignment());
                    commit(consumer);
                }
            } catch (Throwable thrown) {
                error = thrown;
            }
        }

        private static void commit(KafkaConsumer<byte[], byte[]> consumer) {
            try {
                consumer.commitSync();
            } catch (RebalanceInProgressException again) {
                // the next one will do it
            }
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}

        void end() throws InterruptedException {
            leave = true;
            thread.join();
        }
    }

    /** Do the members own all partitions, each of them some, no two the same? */
    static boolean shared(List<Member> members, int partitions) {
        Set<TopicPartition> all = new HashSet<>();
        int sum = 0;
        for (Member member : members) {
            Set<TopicPartition> owned = member.owned;
            if (owned.isEmpty()) {
                return false;
            }
            sum += owned.size();
            all.addAll(owned);
        }
        return sum == partitions && all.size() == partitions;
    }

    static boolean becomes(List<Member> members, int partitions) throws InterruptedException {
        for (int i = 0; i < 1200; i++) {
            for (Member member : members) {
                if (member.error != null) {
                    member.error.printStackTrace();
                    return false;
                }
            }
            if (shared(members, partitions)) {
                return true;
            }
            Thread.sleep(50);
        }
        return false;
    }

    static void send(int from, int to) {
        try (KafkaProducer<byte[], byte[]> producer = producer()) {
            for (int i = from; i < to; i++) {
                producer.send(new ProducerRecord<>("shared", i % 6, null, bytes("value " + i)));
            }
        }
    }

    static boolean arrive(ConcurrentLinkedQueue<String> seen, int count) throws InterruptedException {
        for (int i = 0; i < 1200 && new TreeSet<>(seen).size() < count; i++) {
            Thread.sleep(50);
        }
        return new TreeSet<>(seen).size() == count;
    }

    /** Three members, one leaves: nothing is lost, and what was committed is not read again. */
    static void group(String name, Object... pairs) throws Exception {
        Object[] all = join(pairs, "group.id", name, "max.poll.interval.ms", 60000, "client.id", name);
        ConcurrentLinkedQueue<String> seen = new ConcurrentLinkedQueue<>();
        long before;
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            before = 0;
            for (int i = 0; i < 6; i++) {
                before += consumer.endOffsets(List.of(new TopicPartition("shared", i)))
                    .values().iterator().next();
            }
        }
        List<Member> members = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            members.add(new Member(seen, all));
        }
        Checks.ok(becomes(members, 6), name + ", three members share six partitions", seen.size());
        send(0, 300);
        Checks.ok(arrive(seen, (int) before + 300), name + ", they see every record", seen.size());
        members.get(1).end();
        Checks.equal(members.get(1).error, null, name + ", one leaves");
        members.remove(1);
        Checks.ok(becomes(members, 6), name + ", the others take over its partitions", seen.size());
        send(0, 300);
        Checks.ok(arrive(seen, (int) before + 600), name + ", and see every record", seen.size());
        for (Member member : members) {
            member.end();
        }
        Checks.equal(seen.size(), (int) before + 600, name + ", no record was read twice");
        ConcurrentLinkedQueue<String> later = new ConcurrentLinkedQueue<>();
        Member one = new Member(later, all);
        Checks.ok(becomes(List.of(one), 6), name + ", a new member owns all", one.error);
        send(0, 6);
        Checks.ok(arrive(later, 6), name + ", and begins where the others had committed", later);
        one.end();
    }

    static void times() {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("group.id", "times")) {
            TopicPartition partition = new TopicPartition("codec-none-0", 0);
            Checks.equal(consumer.offsetsForTimes(Map.of(partition, BASE + 100_500)).get(partition).offset(), 101L,
                "the offset of a time");
            Checks.equal(consumer.beginningOffsets(List.of(partition)).get(partition), 0L, "the first offset");
            Checks.equal(consumer.endOffsets(List.of(partition)).get(partition), (long) RECORDS, "the end");
            consumer.assign(List.of(partition));
            consumer.seek(partition, 333);
            Checks.equal(consumer.poll(Duration.ofSeconds(20)).iterator().next().offset(), 333L,
                "from an offset in the middle of a batch");
            Checks.equal(consumer.listTopics().get("shared").size(), 6, "topics and their partitions");
        }
    }

    static void large() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer("max.request.size", 5_000_000)) {
            Checks.equal(Checks.failure(() -> producer.send(new ProducerRecord<>("large", new byte[2_000_000])).get()),
                "RecordTooLargeException", "a record that is too large");
            Checks.equal(producer.send(new ProducerRecord<>("large", new byte[1_000_000])).get().offset(), 0L,
                "one that is not");
        }
    }

    public static void main(String[] arguments) throws Exception {
        address = arguments[0];
        System.out.println("version " + AppInfoParser.getVersion());
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            Checks.part(codec, () -> produce(codec));
            Checks.part(codec, () -> produce(codec, "enable.idempotence", true, "acks", "all"));
            Checks.part(codec, () -> produce(codec, "enable.idempotence", false, "acks", "1", "retries", 0));
        }
        Checks.part("times", Clients::times);
        Checks.part("large", Clients::large);
        Checks.part("classic", () -> group("classic"));
        Checks.part("cooperative", () -> group("cooperative", "partition.assignment.strategy",
            "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"));
        Checks.finish();
    }
}
