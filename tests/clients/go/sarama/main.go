// SPDX-License-Identifier: Apache-2.0

// sarama: produces, consumes in a group, administers.
package main

import (
	"context"
	"fmt"
	"os"

	"beck.tests/clients/checks"
	"github.com/IBM/sarama"
)

func config() *sarama.Config {
	made := sarama.NewConfig()
	made.Version = sarama.V2_8_0_0
	made.Producer.Return.Successes = true
	made.Consumer.Offsets.Initial = sarama.OffsetOldest
	return made
}

func codecs(addresses []string) {
	for _, codec := range []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy,
		sarama.CompressionLZ4, sarama.CompressionZSTD} {
		topic := "codec-" + codec.String()
		settings := config()
		settings.Producer.Compression = codec
		settings.Producer.Idempotent = true
		settings.Producer.RequiredAcks = sarama.WaitForAll
		settings.Net.MaxOpenRequests = 1
		producer, err := sarama.NewSyncProducer(addresses, settings)
		checks.Must(err)
		wanted := []string{}
		messages := []*sarama.ProducerMessage{}
		for i := 0; i < checks.Records; i++ {
			value := fmt.Sprintf("value %d", i)
			wanted = append(wanted, fmt.Sprint(i, " k ", value))
			messages = append(messages, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder("k"),
				Value: sarama.StringEncoder(value)})
		}
		checks.Must(producer.SendMessages(messages))
		checks.Must(producer.Close())
		consumer, err := sarama.NewConsumer(addresses, config())
		checks.Must(err)
		reader, err := consumer.ConsumePartition(topic, 0, sarama.OffsetOldest)
		checks.Must(err)
		found := []string{}
		for until := checks.Soon(); len(found) < checks.Records && until.Err() == nil; {
			select {
			case one := <-reader.Messages():
				found = append(found, fmt.Sprint(one.Offset, " ", string(one.Key), " ", string(one.Value)))
			case <-until.Done():
			}
		}
		checks.Must(reader.Close())
		checks.Equal(found, wanted, codec.String()+", idempotent, is read as it was written")
	}
}

// handler counts what a member of a group gets.
type handler struct {
	seen chan string
}

func (handler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case one, open := <-claim.Messages():
			if !open {
				return nil
			}
			session.MarkMessage(one, "")
			h.seen <- fmt.Sprint(one.Partition, "/", one.Offset)
		case <-session.Context().Done():
			return nil
		}
	}
}

func join(addresses []string, seen chan string) func() {
	member, err := sarama.NewConsumerGroup(addresses, "g", config())
	checks.Must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan bool)
	go func() {
		for ctx.Err() == nil {
			_ = member.Consume(ctx, []string{"t"}, handler{seen})
		}
		checks.Must(member.Close())
		close(done)
	}()
	return func() { cancel(); <-done }
}

func send(addresses []string, count int) {
	settings := config()
	settings.Producer.Partitioner = sarama.NewManualPartitioner
	producer, err := sarama.NewSyncProducer(addresses, settings)
	checks.Must(err)
	for i := 0; i < count; i++ {
		_, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "t", Partition: int32(i % 6), Value: sarama.StringEncoder("x")})
		checks.Must(err)
	}
	checks.Must(producer.Close())
}

func count(seen chan string, wanted int) int {
	all := map[string]bool{}
	for until := checks.Soon(); len(all) < wanted && until.Err() == nil; {
		select {
		case one := <-seen:
			all[one] = true
		case <-until.Done():
		}
	}
	return len(all)
}

func group(addresses []string) {
	seen := make(chan string, 1000)
	first := join(addresses, seen)
	second := join(addresses, seen)
	send(addresses, 120)
	checks.Equal(count(seen, 120), 120, "two members see all records")
	second()
	send(addresses, 6)
	checks.Equal(count(seen, 6), 6, "one leaves, and the other sees what comes")
	first()
}

func administration(addresses []string) {
	admin, err := sarama.NewClusterAdmin(addresses, config())
	checks.Must(err)
	checks.Must(admin.CreateTopic("t", &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false))
	checks.Ok(admin.CreateTopic("t", &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}, false) != nil, "a topic again", "")
	checks.Must(admin.CreatePartitions("t", 6, nil, false))
	topics, err := admin.ListTopics()
	checks.Must(err)
	checks.Equal(topics["t"].NumPartitions, int32(6), "topics and their partitions")
	value := "5000"
	checks.Must(admin.AlterConfig(sarama.TopicResource, "t", map[string]*string{"max.message.bytes": &value}, false))
	entries, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: "t", ConfigNames: []string{"max.message.bytes"}})
	checks.Must(err)
	checks.Equal(entries[0].Value, "5000", "configurations are altered and described")
	checks.Must(admin.DeleteRecords("codec-none", map[int32]int64{0: 10}))
	checks.Ok(true, "records are deleted", "")
}

func groups(addresses []string) {
	admin, err := sarama.NewClusterAdmin(addresses, config())
	checks.Must(err)
	listed, err := admin.ListConsumerGroups()
	checks.Must(err)
	checks.Equal(listed, map[string]string{"g": "consumer"}, "groups are listed")
	offsets, err := admin.ListConsumerGroupOffsets("g", nil)
	checks.Must(err)
	all := int64(0)
	for _, block := range offsets.Blocks["t"] {
		all += block.Offset
	}
	checks.Equal(all, int64(126), "what was committed")
	checks.Must(admin.DeleteConsumerGroup("g"))
	checks.Ok(true, "and groups are deleted", "")
}

func main() {
	checks.Version("github.com/IBM/sarama")
	addresses := os.Args[1:]
	codecs(addresses)
	administration(addresses)
	group(addresses)
	groups(addresses)
	checks.Finish()
}
