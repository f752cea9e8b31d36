#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `meson install` installs: the files a distribution wants, and a library that programs can be built
against, shared and static.

    install.py BUILD-ROOT
"""

import glob
import os
import subprocess
import sys
import tempfile

import tap
from tap import ok

BUILD = sys.argv[1]
PROGRAM = r'''
#include <beck.h>
#include <stdio.h>
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
                    'man/man8/beckfs.8'):
        ok(len(find(pattern)) == 1, f'installs {pattern}', find(pattern))
    library = os.path.dirname(find('libbeck.so')[0])
    package = find('libbeck.pc')[0]
    symbols = run('nm', '-D', '--defined-only', find('libbeck.so')[0])[1].split()[2::3]
    foreign = [name for name in symbols if not name.startswith('beck_')]
    ok(symbols and not foreign, 'the library exports beck_... and nothing else', foreign)

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


def installed():
    with tempfile.TemporaryDirectory(prefix='beck-install-') as folder:
        check(folder)


tap.run(installed)
