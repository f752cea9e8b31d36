// SPDX-License-Identifier: Apache-2.0

// kafka-go: produces, consumes in a group, administers.
package main

import (
	"fmt"
	"os"
	"time"

	"beck.tests/clients/checks"
	"github.com/segmentio/kafka-go"
)

// A reader that is closed lets its last fetch wait to the end.
const wait = 500 * time.Millisecond

func codecs(address string) {
	for name, codec := range map[string]kafka.Compression{"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy,
		"lz4": kafka.Lz4, "zstd": kafka.Zstd} {
		topic := "codec-" + name
		writer := &kafka.Writer{Addr: kafka.TCP(address), Topic: topic, Compression: codec, RequiredAcks: kafka.RequireAll,
			BatchTimeout: 10 * time.Millisecond, AllowAutoTopicCreation: true}
		wanted := []string{}
		messages := []kafka.Message{}
		for i := 0; i < checks.Records; i++ {
			value := fmt.Sprintf("value %d", i)
			wanted = append(wanted, fmt.Sprint(i, " k ", value))
			messages = append(messages, kafka.Message{Key: []byte("k"), Value: []byte(value)})
		}
		checks.Must(writer.WriteMessages(checks.Soon(), messages...))
		checks.Must(writer.Close())
		reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{address}, Topic: topic, MaxBytes: 1 << 20,
			MaxWait: wait})
		found := []string{}
		for until := checks.Soon(); len(found) < checks.Records; {
			one, err := reader.ReadMessage(until)
			checks.Must(err)
			found = append(found, fmt.Sprint(one.Offset, " ", string(one.Key), " ", string(one.Value)))
		}
		checks.Must(reader.Close())
		checks.Equal(found, wanted, name+" is read as it was written")
	}
}

func join(address string, seen chan string) *kafka.Reader {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{address}, GroupID: "g", Topic: "t", MaxBytes: 1 << 20,
		StartOffset: kafka.FirstOffset, RebalanceTimeout: 5 * time.Second, MaxWait: wait})
	go func() {
		for {
			one, err := reader.ReadMessage(checks.Soon())
			if err != nil {
				return
			}
			seen <- fmt.Sprint(one.Partition, "/", one.Offset)
		}
	}()
	return reader
}

func send(address string, count int) {
	writer := &kafka.Writer{Addr: kafka.TCP(address), Topic: "t", BatchTimeout: 10 * time.Millisecond,
		Balancer: &kafka.RoundRobin{}, Transport: &kafka.Transport{}} // that of all may not know of all partitions yet
	messages := []kafka.Message{}
	for i := 0; i < count; i++ {
		messages = append(messages, kafka.Message{Value: []byte("x")})
	}
	checks.Must(writer.WriteMessages(checks.Soon(), messages...))
	checks.Must(writer.Close())
}

// How many different ones there are. A record may come twice when a member joins or leaves.
func count(all map[string]bool, seen chan string, wanted int) int {
	for until := checks.Soon(); len(all) < wanted && until.Err() == nil; {
		select {
		case one := <-seen:
			all[one] = true
		case <-until.Done():
		}
	}
	return len(all)
}

func group(address string) {
	seen := make(chan string, 1000)
	all := map[string]bool{}
	first := join(address, seen)
	second := join(address, seen)
	send(address, 120)
	checks.Equal(count(all, seen, 120), 120, "two members see all records")
	checks.Must(second.Close())
	send(address, 6)
	checks.Equal(count(all, seen, 126), 126, "one leaves, and the other sees what comes")
	groups(address)
	checks.Must(first.Close())
}

func administration(address string) {
	client := &kafka.Client{Addr: kafka.TCP(address)}
	made, err := client.CreateTopics(checks.Soon(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: "t", NumPartitions: 2, ReplicationFactor: 1}}})
	checks.Must(err)
	checks.Must(made.Errors["t"])
	more, err := client.CreatePartitions(checks.Soon(), &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{
		{Name: "t", Count: 6}}})
	checks.Must(err)
	checks.Must(more.Errors["t"])
	connection, err := kafka.Dial("tcp", address) // the client itself keeps for some seconds what it knew
	checks.Must(err)
	partitions, err := connection.ReadPartitions("t")
	checks.Must(err)
	checks.Equal(len(partitions), 6, "topics and their partitions")
	_, err = client.IncrementalAlterConfigs(checks.Soon(), &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: "t",
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: "max.message.bytes", Value: "5000",
				ConfigOperation: kafka.ConfigOperationSet}}}}})
	checks.Must(err)
	described, err := client.DescribeConfigs(checks.Soon(), &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: "t",
			ConfigNames: []string{"max.message.bytes"}}}})
	checks.Must(err)
	checks.Equal(described.Resources[0].ConfigEntries[0].ConfigValue, "5000", "configurations are altered and described")
}

func groups(address string) {
	client := &kafka.Client{Addr: kafka.TCP(address)}
	listed, err := client.ListGroups(checks.Soon(), &kafka.ListGroupsRequest{})
	checks.Must(err)
	checks.Ok(len(listed.Groups) == 1 && listed.Groups[0].GroupID == "g", "groups are listed", listed)
	all := int64(0)
	for until := checks.Soon(); all != 126 && until.Err() == nil; { // what came twice is committed twice
		offsets, err := client.OffsetFetch(checks.Soon(), &kafka.OffsetFetchRequest{GroupID: "g",
			Topics: map[string][]int{"t": {0, 1, 2, 3, 4, 5}}})
		checks.Must(err)
		all = 0
		for _, one := range offsets.Topics["t"] {
			all += one.CommittedOffset
		}
	}
	checks.Equal(all, int64(126), "what was committed")
}

func main() {
	checks.Version("github.com/segmentio/kafka-go")
	address := os.Args[1]
	codecs(address)
	administration(address)
	group(address)
	checks.Finish()
}
