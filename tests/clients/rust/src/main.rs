// SPDX-License-Identifier: Apache-2.0
// rskafka: produces with all codecs, consumes, makes topics and trims them. Tells its checks one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rskafka::client::error::Error;
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;

const RECORDS: usize = 300;

struct Checks {
    failed: bool,
}

impl Checks {
    fn ok(&mut self, condition: bool, name: &str, detail: impl std::fmt::Debug) {
        if condition {
            println!("ok {name}");
        } else {
            self.failed = true;
            println!("not ok {name}: {:.800}", format!("{detail:?}"));
        }
    }

    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, found: T, wanted: T, name: &str) {
        self.ok(found == wanted, name, (&found, &wanted));
    }
}

/// A time that many milliseconds after the first record's, which is an hour ago.
fn time(start: DateTime<Utc>, n: usize) -> DateTime<Utc> {
    start + TimeDelta::milliseconds(10 * n as i64)
}

fn records(codec: &str, start: DateTime<Utc>) -> Vec<Record> {
    (0..RECORDS)
        .map(|n| Record {
            key: Some(format!("k{n}").into_bytes()),
            value: if n % 50 == 7 { None } else { Some(format!("{codec} {n}").into_bytes()) },
            headers: BTreeMap::from([("h".to_string(), format!("header {n}").into_bytes())]),
            timestamp: time(start, n),
        })
        .collect()
}

async fn partition(client: &Client, topic: &str) -> Result<Arc<PartitionClient>, Error> {
    Ok(Arc::new(client.partition_client(topic, 0, UnknownTopicHandling::Retry).await?))
}

async fn read(from: &PartitionClient, first: i64, count: usize) -> Result<Vec<(i64, Record)>, Error> {
    let mut found = vec![];
    let mut next = first;
    while found.len() < count {
        let (some, _) = from.fetch_records(next, 1..1_000_000, 5_000).await?;
        for one in some {
            next = one.offset + 1;
            found.push((one.offset, one.record));
        }
    }
    Ok(found)
}

async fn codecs(client: &Client, checks: &mut Checks) -> Result<(), Error> {
    let start = DateTime::from_timestamp_millis(Utc::now().timestamp_millis() - 3_600_000).unwrap();
    for (name, codec) in [
        ("none", Compression::NoCompression),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ] {
        client.controller_client()?.create_topic(name, 1, 1, 5_000).await?;
        let log = partition(client, name).await?;
        let mut offsets = vec![];
        for some in records(name, start).chunks(100) {
            offsets.extend(log.produce(some.to_vec(), codec).await?);
        }
        checks.equal(offsets, (0..RECORDS as i64).collect(), &format!("{name}, offsets from 0 on"));
        let wanted = (0..).zip(records(name, start)).collect();
        checks.equal(read(&log, 0, RECORDS).await?, wanted, &format!("{name} is read as it was written"));
        let found = read(&log, 150, RECORDS - 150).await?;
        checks.equal(found[0].0, 150, &format!("{name}, from an offset in the middle of a batch"));
    }
    let log = partition(client, "none").await?;
    checks.equal(log.get_offset(OffsetAt::Timestamp(time(start, 123))).await?, 123, "the offset of a time");
    Ok(())
}

async fn administration(client: &Client, checks: &mut Checks) -> Result<(), Error> {
    let controller = client.controller_client()?;
    controller.create_topic("t", 3, 1, 5_000).await?;
    let again = controller.create_topic("t", 3, 1, 5_000).await;
    checks.ok(matches!(again, Err(Error::ServerError { .. })), "a topic is not made twice", again);
    let listed = client.list_topics().await?;
    let partitions = listed.iter().find(|one| one.name == "t").map(|one| one.partitions.len());
    checks.equal(partitions, Some(3), "topics and their partitions");
    controller.delete_topic("t", 5_000).await?;
    let listed = client.list_topics().await?;
    checks.ok(listed.iter().all(|one| one.name != "t"), "a topic is deleted", listed);
    let log = partition(client, "gzip").await?;
    log.delete_records(10, 5_000).await?;
    checks.equal(log.get_offset(OffsetAt::Earliest).await?, 10, "records are deleted");
    checks.equal(log.get_offset(OffsetAt::Latest).await?, RECORDS as i64, "the end");
    let early = log.fetch_records(3, 1..1_000_000, 100).await;
    checks.ok(matches!(early, Err(Error::ServerError { .. })), "an offset out of range", early);
    Ok(())
}

async fn all(address: String, checks: &mut Checks) -> Result<(), Error> {
    let client = ClientBuilder::new(vec![address]).build().await?;
    codecs(&client, checks).await?;
    administration(&client, checks).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut checks = Checks { failed: false };
    let address = std::env::args().nth(1).expect("the address");
    if let Err(error) = all(address, &mut checks).await {
        checks.ok(false, "the program", error);
    }
    std::process::exit(i32::from(checks.failed));
}
