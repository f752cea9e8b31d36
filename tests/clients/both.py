# SPDX-License-Identifier: Apache-2.0
"""beck -b on a beckd and on Apache Kafka, one broker or a cluster: the same command, and whether both say the
same."""

import re

from programs import BECK, PATIENCE, Beckd, Folder, must, run, wait_until
from tap import ok

# What only looks. Kafka's brokers hear of a change one after the other, some after who made it was answered.
LOOKS = ('consume', 'topic list', 'topic show', 'config get', 'config list', 'config describe', 'group list',
         'group show')

# What differs from moment to moment, what Kafka 4.1 sets for all brokers itself, and where a topic is.
OF_ONE = ((r'lag-ms [1-9]\d*', 'lag-ms N'), (r'min.insync.replicas=1 \(brokers\)\n', ''),
          (r' leader \d+ replicas [\d,]+ in-sync [\d,]+', ''), (r'__consumer_offsets(\t.*)?\n', ''))


def common(text):
    for pattern, instead in OF_ONE:
        text = re.sub(pattern, instead, text)
    return text


class Both:
    """A beckd and what `kafka` makes, given a folder."""

    def __init__(self, kafka):
        self.make = kafka

    def __enter__(self):
        self.folder = Folder()
        folder = self.folder.__enter__()
        must(run(BECK, '--store', folder + '/store', 'store', 'create'))
        self.daemon = Beckd(folder + '/store').start()
        try:
            self.kafka = self.make(folder).__enter__()
        except RuntimeError:
            self.daemon.end()
            raise
        return self

    def __exit__(self, *_):
        self.kafka.__exit__()
        self.daemon.end()
        self.folder.__exit__()

    def __call__(self, *command, code=0, **options):
        """Run it on both: what Kafka's says."""
        name = ' '.join(str(part) for part in command)
        answers = []

        def same():
            answers[:] = [run(BECK, *command, '-b', program.address, **options)
                          for program in (self.daemon, self.kafka)]
            here, there = ([answer.code, common(answer.out)] for answer in answers)
            return here == there and here[0] == code
        ok(wait_until(same, PATIENCE if name.startswith(LOOKS) and '-g' not in command else 0), name,
           f'beckd: {answers[0]!r}\nKafka: {answers[1]!r}')
        return common(answers[1].out)
