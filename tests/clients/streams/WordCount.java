// SPDX-License-Identifier: Apache-2.0
// Kafka Streams counts words, at least once: a life of the program, which takes over what earlier ones left.
//
//     WordCount ADDRESS STATE-DIRECTORY FIRST LINES
//
// Produces LINES lines from number FIRST on, and waits for the counts of all lines up to there.

import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.AppInfoParser;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

public final class WordCount {
    private static final int PARTITIONS = 3;
    private static final long SECONDS = 90;
    private static final String REPARTITION = "words-counted-repartition";
    private static final String CHANGELOG = "words-counted-changelog";
    private static String address;

    private static String text(int line) {
        return "all " + (line % 2 == 0 ? "even" : "odd") + " Word" + line % 17 + " word" + line % 17;
    }

    private static Map<String, Long> counts(int lines) {
        Map<String, Long> counts = new TreeMap<>();
        for (int line = 0; line < lines; line++) {
            for (String word : text(line).toLowerCase().split(" ")) {
                counts.merge(word, 1L, Long::sum);
            }
        }
        return counts;
    }

    private static Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream("lines")
            .flatMapValues(line -> Arrays.asList(line.toLowerCase().split(" ")))
            .groupBy((key, word) -> word)
            .count(Materialized.as("counted"))
            .toStream()
            .to("counts", Produced.with(Serdes.String(), Serdes.Long()));
        return builder.build();
    }

    private static Properties settings(Path state) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "words");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, address);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 200);
        settings.put(StreamsConfig.REPARTITION_PURGE_INTERVAL_MS_CONFIG, 500);
        settings.put("auto.offset.reset", "earliest");
        settings.put("session.timeout.ms", 6000); // it does not leave its group when it ends
        return settings;
    }

    private static void feed(int first, int lines) {
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(Map.of("bootstrap.servers", address),
                new StringSerializer(), new StringSerializer())) {
            for (int line = first; line < first + lines; line++) {
                producer.send(new ProducerRecord<>("lines", line % PARTITIONS, null, text(line)));
            }
        }
    }

    /** What the counts become; where they do not become what is wanted, what they are in the end. */
    private static Map<String, Long> found(Map<String, Long> wanted) {
        Map<String, Long> found = new TreeMap<>();
        try (KafkaConsumer<String, Long> consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", address),
                new StringDeserializer(), new LongDeserializer())) {
            List<TopicPartition> partitions = List.of(new TopicPartition("counts", 0));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long end = System.nanoTime() + SECONDS * 1_000_000_000;
            while (!found.equals(wanted) && System.nanoTime() < end) {
                for (ConsumerRecord<String, Long> record : consumer.poll(Duration.ofMillis(200))) {
                    found.put(record.key(), record.value());
                }
            }
        }
        return found;
    }

    private static String policy(Admin admin, String topic) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Config config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        return config.get("cleanup.policy").value();
    }

    /** Does the repartition topic lose what was counted? Streams deletes its records. */
    private static boolean purged(Admin admin) throws Exception {
        Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
        for (int i = 0; i < PARTITIONS; i++) {
            asked.put(new TopicPartition(REPARTITION, i), OffsetSpec.earliest());
        }
        for (int i = 0; i < SECONDS * 10; i++) {
            for (ListOffsetsResult.ListOffsetsResultInfo info : admin.listOffsets(asked).all().get().values()) {
                if (info.offset() > 0) {
                    return true;
                }
            }
            TimeUnit.MILLISECONDS.sleep(100);
        }
        return false;
    }

    private static void internalTopics(Admin admin) throws Exception {
        Set<String> internal = admin.listTopics().names().get().stream()
            .filter(name -> name.startsWith("words-")).collect(Collectors.toSet());
        Checks.equal(internal, Set.of(REPARTITION, CHANGELOG), "its internal topics");
        Checks.equal(admin.describeTopics(List.of(REPARTITION)).allTopicNames().get().get(REPARTITION).partitions().size(),
            PARTITIONS, "the repartition topic has the partitions of the input");
        Checks.equal(policy(admin, REPARTITION), "delete", "the repartition topic is not compacted");
        Checks.equal(policy(admin, CHANGELOG), "compact", "the changelog is compacted");
        Checks.ok(purged(admin), "what was counted is deleted from the repartition topic", "");
    }

    public static void main(String[] arguments) throws Exception {
        address = arguments[0];
        int first = Integer.parseInt(arguments[2]);
        int lines = Integer.parseInt(arguments[3]);
        System.out.println("version " + AppInfoParser.getVersion());
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", address))) {
            if (first == 0) {
                admin.createTopics(List.of(new NewTopic("lines", PARTITIONS, (short) 1),
                    new NewTopic("counts", 1, (short) 1))).all().get();
            }
            KafkaStreams streams = new KafkaStreams(topology(), settings(Path.of(arguments[1])));
            streams.start();
            feed(first, lines);
            Map<String, Long> wanted = counts(first + lines);
            Checks.equal(found(wanted), wanted, "the counts of " + (first + lines) + " lines");
            Checks.part("internal topics", () -> internalTopics(admin));
            Checks.ok(streams.close(Duration.ofSeconds(SECONDS)), "it ends in order", streams.state());
        }
        Checks.finish();
    }
}
