#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Completion: what beck says may stand where, that it is what --help says, and the shells' scripts."""

import os
import re

import tap
from programs import BECK, Beckd, must, run
from tap import equal, ok
from tool_store import Store

SCRIPTS = os.environ['COMPLETION']
COMMANDS = run(BECK, 'complete', '').out.split()


def offered(*words, **options):
    return must(run(BECK, 'complete', '--', *words, **options)).out.split('\n')[:-1]


def commands():
    overview = must(run(BECK, 'help')).out
    equal(sorted(COMMANDS), sorted(re.findall(r'^  (\S+) ', overview, re.M)), 'the commands that help lists')
    equal(offered('co'), ['config', 'consume'], 'those that begin so')
    equal(offered('help', 'ver'), ['verify'], 'behind help too')


def options():
    """The tables and the text that people read name the same options."""
    for command in COMMANDS:
        if command == 'help':
            continue
        usage = re.sub(r'`[^`]*`', '', must(run(BECK, command, '--help')).out)
        named = set(re.findall(r'(?<![\w-])--[a-z][a-z-]+', usage))
        found = set(offered(command, '--'))
        equal(sorted(found - {'--store', '--help'}), sorted(named - {'--store', '--help'}),
              f'{command}: the options of --help')


def actions():
    for command in ('topic', 'config', 'group', 'store'):
        usage = must(run(BECK, command, '--help')).out
        named = re.findall(rf'^(?:usage: +| +)beck {command} ([a-z-]+)', usage, re.M)
        equal(sorted(offered(command, '')), sorted(set(named)), f'{command}: the actions of --help')
        equal(run(BECK, command, 'nonsense').code, 2, f'{command}: no other')


def values():
    equal(offered('produce', '--compression', ''), ['none', 'gzip', 'snappy', 'lz4', 'zstd'], 'a list')
    equal(offered('produce', '--acks=a'), ['all'], 'behind =')
    equal(offered('consume', 't', '--format', 'j'), ['json'], 'behind an argument')
    equal(offered('produce', '-F', ''), [':files'], 'files, by a short option')
    equal(offered('--store', ''), [':directories'], 'directories')
    for command, option, values_ in (('produce', '--compression', ['none', 'gzip', 'snappy', 'lz4', 'zstd']),
                                     ('produce', '--acks', ['all', '1']),
                                     ('consume', '--isolation', ['committed', 'uncommitted']),
                                     ('consume', '--format', ['text', 'json'])):
        equal(offered(command, option, ''), values_, f'{command} {option}')
        for value in values_:
            more = ['x'] if command == 'produce' else []
            found = run(BECK, command, 'none', option, value, '--store', '/nonexistent', *more)
            ok(found.code == 1, f'{command} {option} {value} is taken', found)


def of_a_store():
    with Store(apples=1, pears=1) as store:
        here = ['--store', store.path]
        equal(offered(*here, 'consume', ''), ['apples', 'pears'], 'topics')
        equal(offered(*here, 'topic', 'show', 'p'), ['pears'], 'that begin so')
        equal(offered('consume', *here, 'a'), ['apples'], 'with --store behind the command')
        equal(offered('consume', 'a', env={**os.environ, 'BECK_STORE': store.path}), ['apples'], 'of BECK_STORE')
        equal(offered(*here, 'topic', 'create', ''), [], 'none for a new one')
        must(store('group', 'reset', 'readers', 'apples', '-o', 'end', '--execute'))
        equal(offered(*here, 'group', 'show', ''), ['readers'], 'groups')
        equal(offered(*here, 'group', 'reset', 'readers', ''), ['apples', 'pears'], 'and topics behind them')
        equal(offered(*here, 'config', 'get', '-t', 'apples', 'retention.m'), ['retention.ms'], 'settings')
        equal(offered(*here, 'config', 'set', 'retention.m'), ['retention.ms='], 'to be set')
        equal(offered(*here, 'config', 'list', '--topic', 'p'), ['pears'], 'the topic of an option')
        equal(offered(*here, 'verify', 'ap'), [':files', 'apples'], 'a topic or a file')
        with Beckd(store.path) as daemon:
            equal(offered('consume', '-b', daemon.address, ''), ['apples', 'pears'], 'topics of a broker')
            equal(offered('group', '-b', daemon.address, 'show', ''), ['readers'], 'groups of a broker')
            equal(offered('consume', '-b', daemon.address, '--group', ''), ['readers'], 'as a value')


def nothing_there():
    equal(offered('consume', '', env={**os.environ, 'BECK_STORE': '/nonexistent'}), [], 'no store, no topics')
    found = run(BECK, 'complete', '--', 'consume', '-b', '127.0.0.1:1', '')
    equal(found.out, '', 'nobody at the address, no topics')


BASH = '''
compopt() { :; }
source "$1/beck.bash"; shift
COMP_LINE="$1"; COMP_POINT=${#COMP_LINE}; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 ))
_beck
for each in "${COMPREPLY[@]}"; do printf '%s\\n' "$each"; done
'''


def bash(*words, line=None):
    line = line or ' '.join((BECK, *words))
    return run('bash', '--norc', '-c', BASH, 'bash', SCRIPTS, line, BECK, *words).out.split()


def in_bash():
    with Store(apples=1) as store:
        equal(bash('top'), ['topic'], 'bash: a command')
        equal(bash('--store', store.path, 'consume', 'app'), ['apples'], 'bash: a topic')
        equal(bash('produce', '--compression', '=', 'z', line=f'{BECK} produce --compression=z'), ['zstd'],
              'bash: a value behind =')
        equal(bash('produce', '-F', store.path + '/liv'), [store.path + '/live'], 'bash: a file')


ZSH = '''
_files() { print -r -- "files $*"; }
compadd() { print -rl -- "$@"; }
_call_program() { shift; eval "$*"; }
words=("${@[2,-1]}"); CURRENT=$#words
source "$1/_beck"
'''


def zsh(*words):
    return run('zsh', '-f', '-c', ZSH, 'zsh', SCRIPTS, BECK, *words).out.split('\n')[:-1]


def in_zsh():
    with Store(apples=1) as store:
        equal(zsh('top'), ['--', 'topic'], 'zsh: a command')
        equal(zsh('--store', store.path, 'consume', 'app'), ['--', 'apples'], 'zsh: a topic')
        equal(zsh('produce', '-F', ''), ['files '], 'zsh: files')
        equal(zsh('--store', store.path, 'config', 'set', 'retention.m'), ['-S', '', '--', 'retention.ms='],
              'zsh: a setting')


tap.run(commands, options, actions, values, of_a_store, nothing_there, in_bash, in_zsh)
