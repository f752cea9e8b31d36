// SPDX-License-Identifier: Apache-2.0
// kafkajs produces, whatever happens to the broker, until its standard input ends (see crash_test.py):
//
//     produce_on.js ADDRESS TOPIC NAME
'use strict';
const { Kafka, Partitioners, logLevel } = require('kafkajs');

const [address, topic, name] = process.argv.slice(2);
const kafka = new Kafka({ clientId: name, brokers: [address], logLevel: logLevel.NOTHING,
    retry: { retries: 20, maxRetryTime: 1000 } });
let ended = false;
process.stdin.on('end', () => { ended = true; }).resume();

async function main() {
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    for (let i = 0; !ended; i++) {
        const value = `${name}-${i}`;
        try {
            await producer.send({ topic, acks: -1, messages: [{ value, partition: i % 3 }] });
            console.log(`acked ${value}`);
        } catch (error) {
            console.log(`failed ${value} ${error.message}`);
        }
    }
    await producer.disconnect();
    console.log('done');
}

main().catch((error) => {
    console.log(error.stack);
    process.exit(1);
});
