#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `meson install` installs: the files a distribution wants, and a library that programs can be built
against, shared and static.

    install.py BUILD-ROOT SOURCE-ROOT
"""

import glob
import os
import re
import subprocess
import sys
import tempfile

import tap
from tap import ok

BUILD, SOURCE = sys.argv[1:3]
PROGRAM = r'''
#include <beck.h>
#include <stdio.h>
/* Names that the library uses inside. */
void report(void);
void report(void) { }
int store_open;
int main(int argc, char **argv)
{
    struct beck_store *store = NULL;
    struct beck_error error;
    struct beck_store_options options = {.map_bytes = 64u << 20};
    if (argc != 2 || beck_store_open(argv[1], BECK_OPEN_CREATE, &options, &store, &error) < 0)
        return 1;
    beck_store_close(store);
    puts(beck_version());
    return 0;
}
'''


def run(*command, **environment):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, **environment}, check=False)
    return done.returncode, done.stdout


def check(root):
    code, output = run('meson', 'install', '-C', BUILD, '--no-rebuild', DESTDIR=root)
    ok(code == 0, 'meson install', output)

    def find(pattern):
        return glob.glob(f'{root}/**/{pattern}', recursive=True)
    for pattern in ('bin/beck', 'bin/beckd', 'bin/beckfs', 'include/beck.h', 'libbeck.so', 'libbeck.so.0',
                    'libbeck.a', 'pkgconfig/libbeck.pc', 'man/man1/beck.1', 'man/man8/beckd.8',
                    'man/man8/beckfs.8', 'man/man3/libbeck.3', 'man/man3/libbeck_append.3',
                    'man/man3/beck_append.3'):
        ok(len(find(pattern)) == 1, f'installs {pattern}', find(pattern))
    library = os.path.dirname(find('libbeck.so')[0])
    package = find('libbeck.pc')[0]
    symbols = re.findall(r' T (\S+)', run('nm', '-D', '--defined-only', find('libbeck.so')[0])[1])
    with open(os.path.join(SOURCE, 'engine/libbeck.map'), encoding='utf-8') as file:
        listed = re.findall(r'^    (beck_\w+);$', file.read(), re.M)
    wanted = sorted(f'{name}@@BECK_0' for name in listed)
    ok(listed and sorted(symbols) == wanted, 'the library exports what libbeck.map says, and nothing else',
       sorted(set(symbols) ^ set(wanted)))
    ok('[libbeck.so.0]' in run('readelf', '-d', find('libbeck.so')[0])[1], 'its soname is libbeck.so.0')
    check_pages(find('man3')[0], listed)

    prefix = package[:package.index('/lib')]
    pkg_config = ('pkg-config', f'--define-variable=prefix={prefix}')
    source = os.path.join(root, 'program.c')
    with open(source, 'w', encoding='utf-8') as file:
        file.write(PROGRAM)
    for name, options in (('shared', ()), ('static', ('--static',))):
        flags = run(*pkg_config, *options, '--cflags', '--libs', 'libbeck',
                    PKG_CONFIG_PATH=os.path.dirname(package))[1].split()
        if options:
            flags = [f'{library}/libbeck.a' if flag == '-lbeck' else flag for flag in flags]
        program = os.path.join(root, name)
        code, output = run('cc', source, '-o', program, *flags)
        if ok(code == 0, f'a program is built against the {name} library',
              f'{flags}\n{output[:2000]}'):
            code, output = run(program, os.path.join(root, f'store-{name}'),
                               LD_LIBRARY_PATH='' if options else library)
            ok(code == 0, 'and runs', output)
        if not options:
            check_examples(root, library, flags)
    version = run(*pkg_config, '--modversion', 'libbeck', PKG_CONFIG_PATH=os.path.dirname(package))[1]
    ok(run(program, os.path.join(root, 'store-version'), LD_LIBRARY_PATH=library)[1] == version,
       'pkg-config and the library say the same version', version)


def check_pages(directory, functions):
    missing = [name for name in functions if not os.path.exists(os.path.join(directory, name + '.3'))]
    ok(not missing, 'each function has a page in the manual', missing)
    with open(os.path.join(directory, 'beck_append.3'), encoding='utf-8') as file:
        ok(file.read() == '.so man3/libbeck_append.3\n', 'which leads to that of its group')


def run_examples(programs, root, library):
    """What they say of one store."""
    store = os.path.join(root, 'example-store')
    lines = 'a line\nanother line\nthe end\n'

    def example(name, *arguments, text=''):
        done = subprocess.run([programs[name], store, 'topic', *arguments], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60,
                              env={**os.environ, 'LD_LIBRARY_PATH': library})
        return done.returncode, done.stdout
    made = example('produce', text=lines)
    ok(made == (0, 'synced up to offset 3\n'), 'the example produce appends lines', made)
    followed = example('follow', '3')
    ok(followed[0] == 0 and '"offset":1,' in followed[1] and '"value":"the end"' in followed[1],
       'the example follow prints them', followed)
    found = example('index', 'line')
    ok(found == (0, '0\n1\n'), 'the example index finds them', found)


def check_examples(root, library, flags):
    sources = sorted(glob.glob(os.path.join(SOURCE, 'engine/examples/*.c')))
    programs = {}
    for source in sources:
        name = os.path.basename(source)[:-2]
        program = os.path.join(root, 'example-' + name)
        code, output = run('cc', '-Wall', '-Wextra', '-Werror', source, '-o', program, *flags)
        if ok(code == 0, f'the example {name} is built by what pkg-config says', output):
            programs[name] = program
    if len(programs) == 3:
        run_examples(programs, root, library)


def installed():
    with tempfile.TemporaryDirectory(prefix='beck-install-') as folder:
        check(folder)


tap.run(installed)
