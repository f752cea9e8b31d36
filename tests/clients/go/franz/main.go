// SPDX-License-Identifier: Apache-2.0

// franz-go: produces, shares a group, administers.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"beck.tests/clients/checks"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func client(options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(options, kgo.SeedBrokers(os.Args[1]))...)
	checks.Must(err)
	return made
}

func codecs() {
	for name, codec := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
		"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		topic := "codec-" + name
		producer := client(kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(codec))
		wanted := []string{}
		for i := 0; i < checks.Records; i++ {
			value := fmt.Sprintf("value %d", i)
			wanted = append(wanted, fmt.Sprint(i, " k h ", value))
			producer.Produce(checks.Soon(), &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(value),
				Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}}}, nil)
		}
		checks.Must(producer.Flush(checks.Soon()))
		producer.Close()
		reader := client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		found := []string{}
		for until := checks.Soon(); len(found) < checks.Records && until.Err() == nil; {
			reader.PollFetches(until).EachRecord(func(one *kgo.Record) {
				found = append(found, fmt.Sprint(one.Offset, " ", string(one.Key), " ", one.Headers[0].Key, " ", string(one.Value)))
			})
		}
		reader.Close()
		checks.Equal(found, wanted, name+", idempotent, is read as it was written")
	}
}

func member(id string, balancer kgo.GroupBalancer) *kgo.Client {
	return client(kgo.ConsumerGroup(id), kgo.ConsumeTopics("t"), kgo.Balancers(balancer),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
}

func read(members []*kgo.Client, count int) map[string]int {
	seen := map[string]int{}
	for until := checks.Soon(); len(seen) < count && until.Err() == nil; {
		for i, one := range members {
			poll, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			one.PollFetches(poll).EachRecord(func(record *kgo.Record) {
				seen[fmt.Sprint(record.Partition, "/", record.Offset)] = i
			})
			cancel()
		}
	}
	return seen
}

func group(id string, balancer kgo.GroupBalancer, before int) {
	members := []*kgo.Client{member(id, balancer), member(id, balancer)}
	admin := kadm.NewClient(client())
	for until := checks.Soon(); until.Err() == nil; time.Sleep(50 * time.Millisecond) {
		described, err := admin.DescribeGroups(checks.Soon(), id)
		checks.Must(err)
		if described[id].State == "Stable" && len(described[id].Members) == 2 {
			break
		}
	}
	producer := client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := 0; i < 120; i++ {
		checks.Must(producer.ProduceSync(checks.Soon(), &kgo.Record{Topic: "t", Partition: int32(i % 6), Value: []byte("x")}).FirstErr())
	}
	seen := read(members, before+120)
	owners := map[int]bool{}
	for _, owner := range seen {
		owners[owner] = true
	}
	checks.Equal([]int{len(seen), len(owners)}, []int{before + 120, 2}, id+", two members see all records")
	for _, one := range members {
		checks.Must(one.CommitUncommittedOffsets(checks.Soon()))
	}
	members[1].Close()
	for i := 0; i < 6; i++ {
		checks.Must(producer.ProduceSync(checks.Soon(), &kgo.Record{Topic: "t", Partition: int32(i), Value: []byte("y")}).FirstErr())
	}
	seen = read(members[:1], 6)
	checks.Equal(len(seen), 6, id+", one leaves, and the other sees what comes, once")
	checks.Must(members[0].CommitUncommittedOffsets(checks.Soon()))
	members[0].Close()
	offsets, err := admin.FetchOffsets(checks.Soon(), id)
	checks.Must(err)
	all := int64(0)
	offsets.Each(func(one kadm.OffsetResponse) { all += one.At })
	checks.Equal(all, int64(before+126), id+", what was committed")
}

func administration() {
	admin := kadm.NewClient(client())
	ctx := checks.Soon()
	_, err := admin.CreateTopic(ctx, 2, 1, nil, "t")
	checks.Must(err)
	_, err = admin.CreateTopic(ctx, 2, 1, nil, "t")
	checks.Ok(err != nil, "a topic again", err)
	_, err = admin.UpdatePartitions(ctx, 6, "t")
	checks.Must(err)
	topics, err := admin.ListTopics(ctx, "t")
	checks.Must(err)
	checks.Equal(len(topics["t"].Partitions), 6, "topics and their partitions")
	value := "5000"
	_, err = admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &value}}, "t")
	checks.Must(err)
	configs, err := admin.DescribeTopicConfigs(ctx, "t")
	checks.Must(err)
	for _, one := range configs[0].Configs {
		if one.Key == "max.message.bytes" {
			checks.Equal(*one.Value, "5000", "configurations are altered and described")
		}
	}
	ends, err := admin.ListEndOffsets(ctx, "codec-none")
	checks.Must(err)
	end, _ := ends.Lookup("codec-none", 0)
	checks.Equal(end.Offset, int64(checks.Records), "the end of a log")
	metadata, err := admin.BrokerMetadata(ctx)
	checks.Must(err)
	checks.Equal(len(metadata.Brokers), 1, "the cluster")
}

func main() {
	checks.Version("github.com/twmb/franz-go")
	codecs()
	administration()
	group("cooperative", kgo.CooperativeStickyBalancer(), 0)
	group("range", kgo.RangeBalancer(), 126)
	admin := kadm.NewClient(client())
	groups, err := admin.ListGroups(checks.Soon())
	checks.Must(err)
	checks.Equal(groups.Groups(), []string{"cooperative", "range"}, "groups are listed")
	deleted, err := admin.DeleteGroups(checks.Soon(), "range")
	checks.Must(err)
	checks.Ok(deleted["range"].Err == nil, "and deleted", deleted)
	checks.Finish()
}
