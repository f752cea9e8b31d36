// SPDX-License-Identifier: Apache-2.0
// Each method of the admin client that one broker without security can answer, and what it says to others.

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.quota.*;
import org.apache.kafka.common.resource.*;
import org.apache.kafka.common.utils.AppInfoParser;

public final class Admin {
    private static final TopicPartition FIRST = new TopicPartition("t", 0);
    private static final TopicPartition SECOND = new TopicPartition("t", 1);
    private static final ConfigResource TOPIC = new ConfigResource(ConfigResource.Type.TOPIC, "t");
    private static final ConfigResource BROKER = new ConfigResource(ConfigResource.Type.BROKER, "");
    private static final long NOW = System.currentTimeMillis();
    private static org.apache.kafka.clients.admin.Admin admin;
    private static int broker;

    private static void topics() throws Exception {
        CreateTopicsResult made = admin.createTopics(List.of(
            new NewTopic("t", 2, (short) 1).configs(Map.of("retention.ms", "777000")),
            new NewTopic("placed", Map.of(0, List.of(broker))),
            new NewTopic("defaults", Optional.empty(), Optional.empty()),
            new NewTopic("gone", 1, (short) 1), new NewTopic("gone-too", 1, (short) 1)));
        made.all().get();
        Checks.equal(made.numPartitions("t").get() + " " + made.replicationFactor("t").get() + " " +
            made.config("t").get().get("retention.ms").value(), "2 1 777000", "createTopics");
        Uuid id = made.topicId("t").get();
        Checks.equal(Checks.failure(() -> admin.createTopics(List.of(new NewTopic("t", 1, (short) 1))).all().get()),
            "TopicExistsException", "createTopics, again");
        Checks.equal(Checks.failure(() -> admin.createTopics(List.of(new NewTopic("a b", 1, (short) 1))).all().get()),
            "InvalidTopicException", "createTopics, with a name that cannot be");
        Checks.equal(Checks.failure(() -> admin.createTopics(List.of(new NewTopic("three", 1, (short) 3))).all().get()),
            "InvalidReplicationFactorException", "createTopics, with three replicas");
        Checks.equal(Checks.failure(() -> admin.createTopics(List.of(new NewTopic("odd", 1, (short) 1)
            .configs(Map.of("cleanup.policy", "nix")))).all().get()), "InvalidConfigurationException",
            "createTopics, with a setting that cannot be");
        admin.createTopics(List.of(new NewTopic("not-made", 1, (short) 1)), new CreateTopicsOptions().validateOnly(true))
            .all().get();
        Checks.equal(new TreeSet<>(admin.listTopics().names().get()),
            new TreeSet<>(Set.of("t", "placed", "defaults", "gone", "gone-too", "shared")), "listTopics");
        TopicDescription described = admin.describeTopics(List.of("t")).allTopicNames().get().get("t");
        Checks.equal(described.partitions().size() + " " + described.partitions().get(0).leader().id() + " " +
            described.partitions().get(1).isr().size() + " " + described.topicId().equals(id),
            "2 " + broker + " 1 true", "describeTopics by name");
        Checks.equal(admin.describeTopics(TopicCollection.ofTopicIds(List.of(id))).allTopicIds().get().get(id).name(), "t",
            "describeTopics by id");
        Checks.equal(Checks.failure(() -> admin.describeTopics(List.of("none")).allTopicNames().get()),
            "UnknownTopicOrPartitionException", "describeTopics of none");
        admin.createPartitions(Map.of("t", NewPartitions.increaseTo(3))).all().get();
        Checks.equal(admin.describeTopics(List.of("t")).allTopicNames().get().get("t").partitions().size(), 3,
            "createPartitions");
        Checks.equal(Checks.failure(() -> admin.createPartitions(Map.of("t", NewPartitions.increaseTo(2))).all().get()),
            "InvalidPartitionsException", "createPartitions, fewer");
        admin.deleteTopics(List.of("gone")).all().get();
        Uuid other = admin.describeTopics(List.of("gone-too")).allTopicNames().get().get("gone-too").topicId();
        admin.deleteTopics(TopicCollection.ofTopicIds(List.of(other))).all().get();
        Checks.equal(new TreeSet<>(admin.listTopics().names().get()),
            new TreeSet<>(Set.of("t", "placed", "defaults", "shared")), "deleteTopics by name and id");
        Checks.equal(Checks.failure(() -> admin.deleteTopics(List.of("gone")).all().get()),
            "UnknownTopicOrPartitionException", "deleteTopics of none");
    }

    private static void fill() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = Clients.producer()) {
            for (int i = 0; i < 100; i++) {
                producer.send(new ProducerRecord<>("t", i % 2, NOW - 1000 * (100 - i), Clients.bytes("k" + i),
                    Clients.bytes("value " + i)));
            }
        }
    }

    private static String offset(OffsetSpec spec) throws Exception {
        ListOffsetsResult.ListOffsetsResultInfo found = admin.listOffsets(Map.of(FIRST, spec)).partitionResult(FIRST).get();
        return found.offset() + (found.timestamp() < 0 ? "" : " at " + (found.timestamp() - NOW));
    }

    private static void offsets() throws Exception {
        fill();
        Checks.equal(offset(OffsetSpec.earliest()), "0", "listOffsets, earliest");
        Checks.equal(offset(OffsetSpec.latest()), "50", "listOffsets, latest");
        Checks.equal(offset(OffsetSpec.maxTimestamp()), "49 at -2000", "listOffsets, of the largest timestamp");
        Checks.equal(offset(OffsetSpec.forTimestamp(NOW - 10_500)), "45 at -10000", "listOffsets, of a time");
        Checks.equal(offset(OffsetSpec.forTimestamp(NOW)), "-1", "listOffsets, of a time to come");
        Checks.equal(offset(OffsetSpec.earliestLocal()), "0", "listOffsets, earliest local");
        Checks.equal(offset(OffsetSpec.latestTiered()), "-1", "listOffsets, latest tiered");
        Checks.equal(admin.deleteRecords(Map.of(FIRST, RecordsToDelete.beforeOffset(10))).lowWatermarks().get(FIRST).get()
            .lowWatermark(), 10L, "deleteRecords");
        Checks.equal(offset(OffsetSpec.earliest()), "10", "deleteRecords moves the first offset");
        Checks.equal(Checks.failure(() -> admin.deleteRecords(Map.of(FIRST, RecordsToDelete.beforeOffset(1000))).all().get()),
            "OffsetOutOfRangeException", "deleteRecords, more than there are");
        Checks.equal(admin.deleteRecords(Map.of(SECOND, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(SECOND).get()
            .lowWatermark(), 50L, "deleteRecords, all");
    }

    private static Config config(ConfigResource resource) throws Exception {
        return admin.describeConfigs(List.of(resource), new DescribeConfigsOptions().includeSynonyms(true)
            .includeDocumentation(true)).all().get().get(resource);
    }

    private static void alter(ConfigResource resource, AlterConfigOp.OpType operation, String name, String value)
            throws Exception {
        Collection<AlterConfigOp> operations = List.of(new AlterConfigOp(new ConfigEntry(name, value), operation));
        admin.incrementalAlterConfigs(Map.of(resource, operations)).all().get();
    }

    private static String entry(ConfigResource resource, String name) throws Exception {
        ConfigEntry entry = config(resource).get(name);
        return entry.value() + " " + entry.source();
    }

    private static void configs() throws Exception {
        Config all = config(TOPIC);
        Checks.ok(all.entries().size() >= 20, "describeConfigs of a topic has all settings", all.entries().size());
        Checks.ok(all.entries().stream().allMatch(one -> one.documentation() != null && one.type() != ConfigEntry.ConfigType.UNKNOWN),
            "with types and documentation", all);
        Checks.equal(entry(TOPIC, "retention.ms"), "777000 DYNAMIC_TOPIC_CONFIG", "describeConfigs, what was set");
        Checks.equal(entry(TOPIC, "cleanup.policy"), "delete DEFAULT_CONFIG", "describeConfigs, a default");
        alter(TOPIC, AlterConfigOp.OpType.SET, "max.message.bytes", "5000");
        Checks.equal(entry(TOPIC, "max.message.bytes"), "5000 DYNAMIC_TOPIC_CONFIG", "incrementalAlterConfigs, SET");
        alter(TOPIC, AlterConfigOp.OpType.DELETE, "max.message.bytes", "");
        Checks.equal(entry(TOPIC, "max.message.bytes"), "1048588 DEFAULT_CONFIG", "incrementalAlterConfigs, DELETE");
        alter(TOPIC, AlterConfigOp.OpType.APPEND, "cleanup.policy", "compact");
        Checks.equal(entry(TOPIC, "cleanup.policy"), "delete,compact DYNAMIC_TOPIC_CONFIG",
            "incrementalAlterConfigs, APPEND");
        alter(TOPIC, AlterConfigOp.OpType.SUBTRACT, "cleanup.policy", "compact");
        Checks.equal(entry(TOPIC, "cleanup.policy"), "delete DYNAMIC_TOPIC_CONFIG", "incrementalAlterConfigs, SUBTRACT");
        Checks.equal(Checks.failure(() -> alter(TOPIC, AlterConfigOp.OpType.SET, "retention.ms", "abc")),
            "InvalidConfigurationException", "incrementalAlterConfigs, a value that cannot be");
        ConfigResource own = new ConfigResource(ConfigResource.Type.BROKER, String.valueOf(broker));
        Config brokers = config(own);
        Checks.ok(brokers.get("delete.topic.enable") != null && brokers.get("log.dirs") != null,
            "describeConfigs of the broker", brokers);
        alter(BROKER, AlterConfigOp.OpType.SET, "log.retention.ms", "888000");
        ConfigResource placed = new ConfigResource(ConfigResource.Type.TOPIC, "placed");
        Checks.ok(entry(placed, "retention.ms").startsWith("888000 DYNAMIC_"), "a default of the broker's is a topic's",
            entry(placed, "retention.ms"));
        alter(BROKER, AlterConfigOp.OpType.DELETE, "log.retention.ms", "");
        Checks.equal(entry(placed, "retention.ms"), "604800000 DEFAULT_CONFIG", "until it is taken back");
        Set<String> resources = admin.listConfigResources(Set.of(ConfigResource.Type.TOPIC), new ListConfigResourcesOptions())
            .all().get().stream().map(ConfigResource::name).collect(Collectors.toSet());
        Checks.ok(resources.contains("t"), "listConfigResources", resources);
        Checks.equal(admin.listClientMetricsResources().all().get().size(), 0, "listClientMetricsResources");
    }

    private static void cluster() throws Exception {
        DescribeClusterResult cluster = admin.describeCluster();
        Checks.equal(cluster.nodes().get().size() + " " + (cluster.controller().get().id() == broker) + " " +
            !cluster.clusterId().get().isEmpty(), "1 true true", "describeCluster");
        Map<String, LogDirDescription> directories = admin.describeLogDirs(List.of(broker)).allDescriptions().get().get(broker);
        LogDirDescription directory = directories.values().iterator().next();
        Checks.ok(directory.error() == null && directory.totalBytes().getAsLong() > 0 &&
            directory.replicaInfos().get(FIRST).size() > 0, "describeLogDirs", directories);
        TopicPartitionReplica replica = new TopicPartitionReplica("t", 0, broker);
        Checks.equal(admin.describeReplicaLogDirs(List.of(replica)).all().get().get(replica).getCurrentReplicaLogDir(),
            directories.keySet().iterator().next(), "describeReplicaLogDirs");
        Checks.equal(admin.electLeaders(ElectionType.PREFERRED, Set.of(FIRST)).partitions().get().get(FIRST)
            .map(error -> error.getClass().getSimpleName()), Optional.of("ElectionNotNeededException"), "electLeaders");
        Checks.equal(admin.listPartitionReassignments().reassignments().get().size(), 0, "listPartitionReassignments");
        admin.alterPartitionReassignments(Map.of(FIRST, Optional.of(new NewPartitionReassignment(List.of(broker))))).all().get();
        Checks.ok(true, "alterPartitionReassignments, to where it is", "");
        Checks.equal(Checks.failure(() -> admin.alterPartitionReassignments(Map.of(FIRST, Optional.of(
            new NewPartitionReassignment(List.of(broker + 1))))).all().get()), "InvalidReplicaAssignmentException",
            "alterPartitionReassignments, to a broker that is not there");
        FeatureMetadata features = admin.describeFeatures().featureMetadata().get();
        Checks.ok(features != null, "describeFeatures", "");
    }

    private static void security() throws Exception {
        AclBinding binding = new AclBinding(new ResourcePattern(ResourceType.TOPIC, "t", PatternType.LITERAL),
            new AccessControlEntry("User:a", "*", AclOperation.READ, AclPermissionType.ALLOW));
        Checks.equal(Checks.failure(() -> admin.describeAcls(AclBindingFilter.ANY).values().get()),
            "SecurityDisabledException", "describeAcls");
        Checks.equal(Checks.failure(() -> admin.createAcls(List.of(binding)).all().get()),
            "SecurityDisabledException", "createAcls");
        Checks.equal(Checks.failure(() -> admin.deleteAcls(List.of(AclBindingFilter.ANY)).all().get()),
            "SecurityDisabledException", "deleteAcls");
    }

    private static void alterQuota(ClientQuotaEntity entity, String key, Double value, boolean validateOnly) throws Exception {
        ClientQuotaAlteration alteration = new ClientQuotaAlteration(entity, List.of(new ClientQuotaAlteration.Op(key, value)));
        admin.alterClientQuotas(List.of(alteration), new AlterClientQuotasOptions().validateOnly(validateOnly)).all().get();
    }

    private static void quotas() throws Exception {
        Checks.equal(admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get().size(), 0, "describeClientQuotas");
        ClientQuotaEntity client = new ClientQuotaEntity(Map.of(ClientQuotaEntity.CLIENT_ID, "me"));
        ClientQuotaEntity users = new ClientQuotaEntity(Collections.singletonMap(ClientQuotaEntity.USER, null));
        alterQuota(client, "producer_byte_rate", 1e6, true);
        Checks.equal(admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get().size(), 0,
            "alterClientQuotas, validateOnly");
        alterQuota(client, "producer_byte_rate", 1e9, false);
        alterQuota(client, "request_percentage", 12.5, false);
        alterQuota(users, "consumer_byte_rate", 2e9, false);
        Checks.equal(admin.describeClientQuotas(ClientQuotaFilter.contains(List.of(
            ClientQuotaFilterComponent.ofEntity(ClientQuotaEntity.CLIENT_ID, "me")))).entities().get(),
            Map.of(client, Map.of("producer_byte_rate", 1e9, "request_percentage", 12.5)), "alterClientQuotas");
        Checks.equal(admin.describeClientQuotas(ClientQuotaFilter.containsOnly(List.of(
            ClientQuotaFilterComponent.ofDefaultEntity(ClientQuotaEntity.USER)))).entities().get(),
            Map.of(users, Map.of("consumer_byte_rate", 2e9)), "describeClientQuotas of a default");
        Checks.equal(Checks.failure(() -> alterQuota(client, "connection_creation_rate", 1.0, false)),
            "InvalidRequestException", "alterClientQuotas: what a client id does not have");
        Checks.equal(Checks.failure(() -> alterQuota(client, "producer_byte_rate", 0.0, false)),
            "InvalidRequestException", "alterClientQuotas: nothing at all");
        alterQuota(client, "producer_byte_rate", null, false);
        alterQuota(client, "request_percentage", null, false);
        alterQuota(users, "consumer_byte_rate", null, false);
        Checks.equal(admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get().size(), 0,
            "alterClientQuotas, removing");
    }

    /** The admin client tries again what is refused for a quota, when the time that it was told is over. */
    private static void mutations() throws Exception {
        ClientQuotaEntity everybody = new ClientQuotaEntity(Collections.singletonMap(ClientQuotaEntity.CLIENT_ID, null));
        alterQuota(everybody, "controller_mutation_rate", 1.0, false);
        admin.createTopics(List.of(new NewTopic("many", 12, (short) 1))).all().get();
        CreateTopicsOptions once = new CreateTopicsOptions().retryOnQuotaViolation(false);
        Checks.equal(Checks.failure(() -> admin.createTopics(List.of(new NewTopic("refused", 1, (short) 1)), once).all().get()),
            "ThrottlingQuotaExceededException", "createTopics above controller_mutation_rate");
        admin.createTopics(List.of(new NewTopic("later", 1, (short) 1))).all().get();
        Checks.ok(admin.listTopics().names().get().contains("later"), "createTopics, when it may", "");
        alterQuota(everybody, "controller_mutation_rate", null, false);
        admin.deleteTopics(List.of("many", "later")).all().get();
    }

    private static void producers() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = Clients.producer()) {
            producer.send(new ProducerRecord<>("placed", 0, null, Clients.bytes("one"))).get();
            producer.send(new ProducerRecord<>("placed", 0, null, Clients.bytes("two"))).get();
            TopicPartition placed = new TopicPartition("placed", 0);
            List<ProducerState> found = admin.describeProducers(List.of(placed)).partitionResult(placed).get()
                .activeProducers();
            Checks.equal(found.size() + " " + found.get(0).lastSequence() + " " + found.get(0).producerEpoch() + " " +
                found.get(0).currentTransactionStartOffset().isPresent(), "1 1 0 false", "describeProducers");
        }
    }

    private static void consume(String group) {
        try (KafkaConsumer<byte[], byte[]> consumer = Clients.consumer("group.id", group)) {
            consumer.assign(List.of(FIRST, SECOND));
            consumer.commitSync(Map.of(FIRST, new OffsetAndMetadata(20, "a note"), SECOND, new OffsetAndMetadata(50)));
        }
    }

    private static void groups() throws Exception {
        consume("g");
        consume("h");
        try (KafkaConsumer<byte[], byte[]> consumer = Clients.consumer("group.id", "alive", "client.id", "me",
                "group.instance.id", "one")) {
            consumer.subscribe(List.of("t"));
            while (consumer.assignment().isEmpty()) {
                consumer.poll(java.time.Duration.ofMillis(100));
            }
            consumer.commitSync();
            ConsumerGroupDescription alive = admin.describeConsumerGroups(List.of("alive")).all().get().get("alive");
            MemberDescription member = alive.members().iterator().next();
            Checks.equal(alive.groupState() + " " + alive.partitionAssignor() + " " + member.clientId() + " " +
                member.groupInstanceId().get() + " " + member.assignment().topicPartitions().size(),
                "Stable range me one 3", "describeConsumerGroups, one with a member");
            Checks.equal(admin.describeClassicGroups(List.of("alive")).all().get().get("alive").members().size(), 1,
                "describeClassicGroups");
            Checks.equal(Checks.failure(() -> admin.deleteConsumerGroups(List.of("alive")).all().get()),
                "GroupNotEmptyException", "deleteConsumerGroups, one with a member");
            admin.removeMembersFromConsumerGroup("alive", new RemoveMembersFromConsumerGroupOptions(
                List.of(new MemberToRemove("one")))).all().get();
            Checks.equal(admin.describeConsumerGroups(List.of("alive")).all().get().get("alive").members().size(), 0,
                "removeMembersFromConsumerGroup");
        }
        Map<String, String> listed = new TreeMap<>();
        for (ConsumerGroupListing group : admin.listConsumerGroups().all().get()) {
            listed.put(group.groupId(), group.groupState().map(Object::toString).orElse("?"));
        }
        Checks.equal(listed, new TreeMap<>(Map.of("g", "Empty", "h", "Empty", "alive", "Empty")), "listConsumerGroups");
        Checks.equal(admin.listGroups().all().get().size(), 3, "listGroups");
        Map<TopicPartition, OffsetAndMetadata> offsets = admin.listConsumerGroupOffsets("g").partitionsToOffsetAndMetadata().get();
        Checks.equal(offsets.get(FIRST).offset() + " " + offsets.get(FIRST).metadata() + " " + offsets.size(), "20 a note 2",
            "listConsumerGroupOffsets");
        admin.alterConsumerGroupOffsets("g", Map.of(FIRST, new OffsetAndMetadata(30))).all().get();
        Checks.equal(admin.listConsumerGroupOffsets(Map.of("g", new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(FIRST)),
            "h", new ListConsumerGroupOffsetsSpec())).all().get().get("g").get(FIRST).offset(), 30L, "alterConsumerGroupOffsets");
        admin.deleteConsumerGroupOffsets("g", Set.of(FIRST)).all().get();
        Checks.equal(admin.listConsumerGroupOffsets("g").partitionsToOffsetAndMetadata().get().keySet(), Set.of(SECOND),
            "deleteConsumerGroupOffsets");
        admin.deleteConsumerGroups(List.of("g", "h")).all().get();
        List<String> left = new ArrayList<>();
        admin.listConsumerGroups().all().get().forEach(group -> left.add(group.groupId()));
        Checks.equal(left, List.of("alive"), "deleteConsumerGroups");
        Checks.equal(Checks.failure(() -> admin.deleteConsumerGroups(List.of("g")).all().get()),
            "GroupIdNotFoundException", "deleteConsumerGroups of none");
        Checks.equal(Checks.failure(() -> admin.describeConsumerGroups(List.of("g")).all().get()),
            "GroupIdNotFoundException", "describeConsumerGroups of none");
    }

    public static void main(String[] arguments) throws Exception {
        Clients.address = arguments[0];
        System.out.println("version " + AppInfoParser.getVersion());
        admin = org.apache.kafka.clients.admin.Admin.create(Clients.settings());
        broker = admin.describeCluster().nodes().get().iterator().next().id();
        Checks.part("topics", Admin::topics);
        Checks.part("offsets", Admin::offsets);
        Checks.part("configs", Admin::configs);
        Checks.part("cluster", Admin::cluster);
        Checks.part("security", Admin::security);
        Checks.part("quotas", Admin::quotas);
        Checks.part("mutations", Admin::mutations);
        Checks.part("producers", Admin::producers);
        Checks.part("groups", Admin::groups);
        admin.close();
        Checks.finish();
    }
}
