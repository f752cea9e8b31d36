# SPDX-License-Identifier: Apache-2.0
"""A store of a test's own that beck(1) is run on, and what is expected of its answers."""

import os

from programs import Folder, beck, must, segments
from tap import ok


class Store:
    """A store of the test's own; calls run beck on it."""

    def __init__(self, **topics):
        self.topics = topics

    def __enter__(self):
        self.folder = Folder()
        self.path = os.path.join(self.folder.__enter__(), 'store')
        must(self('store', 'create'))
        for name, partitions in self.topics.items():
            must(self('topic', 'create', name, '-p', partitions))
        return self

    def __exit__(self, *_):
        self.folder.__exit__()

    def __call__(self, *arguments, **options):
        return beck(self.path, *arguments, **options)

    def beside(self, name):
        return os.path.join(os.path.dirname(self.path), name)

    def segments(self):
        return segments(self.path)


def fails(result, code, text, name):
    """Exit code, one message that begins with "beck: ", and a text in it."""
    good = (result.code == code and text in result.err and result.err.startswith('beck: ') and
            result.err.count('\n') == 1 and result.err.endswith('\n'))
    return ok(good, name, f'wanted code {code} and {text!r}\n{result!r}')


def prints(result, text, name):
    return ok(result.code == 0 and result.out == text, name, f'wanted {text!r}\n{result!r}')
