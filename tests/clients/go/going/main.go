// SPDX-License-Identifier: Apache-2.0

// A producer, or a member of a group, by franz-go, that goes on whatever happens to the broker (see crash_test.py):
//
//	going produce ADDRESS TOPIC NAME     until its standard input ends
//	going consume ADDRESS TOPIC GROUP    until it is killed
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"beck.tests/clients/checks"
	"github.com/twmb/franz-go/pkg/kgo"
)

func produce(address, topic, name string) {
	var ended atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended.Store(true)
	}()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	checks.Must(err)
	for i := 0; !ended.Load(); i++ {
		value := fmt.Sprintf("%s-%d", name, i)
		client.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: int32(i % 3), Value: []byte(value)},
			func(_ *kgo.Record, err error) {
				if err != nil {
					fmt.Println("failed", value, err)
				} else {
					fmt.Println("acked", value)
				}
			})
		time.Sleep(5 * time.Millisecond)
	}
	checks.Must(client.Flush(context.Background()))
	client.Close()
	fmt.Println("done")
}

func consume(address, topic, group string) {
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
		kgo.Balancers(kgo.RangeBalancer()), kgo.SessionTimeout(6*time.Second),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	checks.Must(err)
	for {
		client.PollFetches(context.Background()).EachRecord(func(one *kgo.Record) {
			fmt.Printf("record %d/%d %s\n", one.Partition, one.Offset, one.Value)
		})
	}
}

func main() {
	if os.Args[1] == "produce" {
		produce(os.Args[2], os.Args[3], os.Args[4])
	} else {
		consume(os.Args[2], os.Args[3], os.Args[4])
	}
}
