#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What can be said of the sources without running them, as TAP.

    static.py SOURCE-ROOT BUILD-ROOT

Formatting, headers that compile alone, beck.h as C++, which directories may see which headers, manual
pages, what READMEs say of the files beside them, and shell scripts. Each header is compiled with the include directories that meson gives to the
sources beside it.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

ROOT, BUILD = (os.path.abspath(path) for path in sys.argv[1:3])
FORMATTERS = ('clang-format-14', 'clang-format')


def sources(*suffixes):
    """Files of the working tree that git does not ignore."""
    listed = subprocess.run(
        ['git', '-c', f'safe.directory={ROOT}', '-C', ROOT, 'ls-files', '-co',
         '--exclude-standard'],
        stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return sorted(path for path in set(listed)
                  if path.endswith(suffixes) and os.path.isfile(os.path.join(ROOT, path)))


def run(arguments, **options):
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', cwd=ROOT, check=False, **options)
    return done.returncode, done.stdout


def include_flags():
    """For each directory with C sources: the include flags that one of them is compiled with."""
    flags = {}
    with open(os.path.join(BUILD, 'compile_commands.json'), encoding='utf-8') as file:
        commands = json.load(file)
    for command in commands:
        path = os.path.relpath(os.path.join(command['directory'], command['file']), ROOT)
        wanted = []
        arguments = shlex.split(command['command'])
        for index, argument in enumerate(arguments):
            if argument.startswith('-I') and len(argument) > 2:
                wanted.append('-I' + os.path.join(command['directory'], argument[2:]))
            elif argument == '-isystem':
                wanted.append('-isystem' + arguments[index + 1])
            elif argument.startswith('-isystem'):
                wanted.append(argument)
            elif argument.startswith('-D'):
                wanted.append(argument)
        known = flags.setdefault(os.path.dirname(path), [])
        known += [flag for flag in wanted if flag not in known]
    return flags


def check_format(path):
    formatter = next((name for name in FORMATTERS if shutil.which(name)), None)
    if not formatter:
        return None, 'there is no clang-format'
    code, output = run([formatter, '--dry-run', '--Werror', path])
    return code == 0, '\n'.join(output.splitlines()[:3])


def check_header(path, flags):
    directory = os.path.dirname(path)
    while directory and directory not in flags:
        directory = os.path.dirname(directory)
    # Twice: the include guard has to work.
    text = f'#include "{os.path.join(ROOT, path)}"\n' * 2
    code, output = run(['cc', '-std=gnu11', '-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-x', 'c',
                        *flags.get(directory, []), f'-I{os.path.join(ROOT, os.path.dirname(path))}', '-'],
                       input=text)
    return code == 0, output


def check_cplusplus():
    compiler = shutil.which('c++') or shutil.which('clang++')
    if not compiler:
        return None, 'there is no C++ compiler'
    with tempfile.TemporaryDirectory() as directory:
        program = os.path.join(directory, 'includes.cc')
        with open(program, 'w', encoding='utf-8') as file:
            file.write('#include "beck.h"\nint main() { return beck_version() == nullptr; }\n')
        code, output = run([compiler, '-std=c++17', '-Wall', '-Wextra', '-Wpedantic', '-Werror',
                            '-fsyntax-only', '-I', os.path.join(ROOT, 'engine'), program])
    return code == 0, output


def functions_of(header):
    """Name and declaration of each function."""
    with open(os.path.join(ROOT, header), encoding='utf-8') as file:
        text = re.sub(r'/\*.*?\*/', '', file.read(), flags=re.S)
    text = re.sub(r'^#([^\n]*\\\n)*[^\n]*$', '', text, flags=re.M)
    return {match[1]: plain(match[0]) for match in
            re.finditer(r'[\w \n*]+?\b(beck_\w+)\([^;{}]*\);', text)}


def plain(declaration):
    """Without what makes no difference."""
    text = re.sub(r'\s+', ' ', declaration).strip().replace('( ', '(')
    return re.sub(r'\* ', '*', text)


def check_map():
    with open(os.path.join(ROOT, 'engine/libbeck.map'), encoding='utf-8') as file:
        listed = re.findall(r'^    (beck_\w+);$', file.read(), re.M)
    public = set(functions_of('engine/beck.h'))
    wrong = [f'not in engine/libbeck.map: {name}' for name in sorted(public - set(listed))]
    wrong += [f'not in beck.h: {name}' for name in sorted(set(listed) - public)]
    if listed != sorted(set(listed)):
        wrong.append('engine/libbeck.map is not sorted, or has a name twice')
    return bool(public) and not wrong, '\n'.join(wrong)


def library_pages(directory):
    """The manual's section 3, made in a directory. Returns what went wrong, and the pages."""
    code, output = run(['/usr/bin/python3', 'engine/man/pages.py', 'engine/beck.h', 'engine/man',
                        directory])
    names = [name for name in sorted(os.listdir(directory)) if name.startswith('libbeck')]
    return (output if code else ''), [os.path.join(directory, name) for name in names]


def page_functions(path):
    """As functions_of(), of a page's synopsis."""
    with open(path, encoding='utf-8') as file:
        text = file.read().split('.Sh SYNOPSIS')[1].split('.Sh DESCRIPTION')[0]
    found = []
    for kind, name, arguments in re.findall(r'^\.Ft "([^"]*)"\n\.Fo (\w+)\n(.*?)^\.Fc$', text, re.M | re.S):
        parts = re.findall(r'^\.Fa "(.*)"$', arguments, re.M)
        found.append((name, plain(f'{kind} {name}({", ".join(parts)});')))
    return found


def check_library_pages():
    with tempfile.TemporaryDirectory() as directory:
        wrong, paths = library_pages(directory)
        documented = [function for path in paths for function in page_functions(path)]
    public = functions_of('engine/beck.h')
    names = [name for name, _ in documented]
    wrong = [wrong] if wrong else []
    wrong += [f'in no page: {name}' for name in sorted(set(public) - set(names))]
    wrong += [f'in {names.count(name)} pages: {name}' for name in sorted(set(names))
              if names.count(name) > 1]
    wrong += [f'{text}\nis in beck.h: {public.get(name)}' for name, text in documented
              if public.get(name) != text]
    return bool(public) and not wrong, '\n'.join(wrong)


def check_library_pages_lint():
    with tempfile.TemporaryDirectory() as directory:
        wrong, paths = library_pages(directory)
        return (False, wrong) if wrong else each(paths, check_manual)


def check_includes(path):
    with open(os.path.join(ROOT, path), encoding='utf-8', errors='replace') as file:
        wrong = [line for line in file if re.match(r'\s*#\s*include\s*"[^"]*\.\./', line)]
    return not wrong, ''.join(wrong)


def check_licence(path):
    with open(os.path.join(ROOT, path), encoding='utf-8', errors='replace') as file:
        head = file.read(300)
    return 'SPDX-License-Identifier: Apache-2.0' in head, 'its first lines name no licence'


def engine_dirs(flags, directory):
    """The engine's include directories that sources of a directory see, relative to engine/."""
    seen = set()
    for name, values in flags.items():
        if name == directory or name.startswith(directory + '/'):
            for value in values:
                path = os.path.relpath(os.path.normpath(value[2:]), ROOT)
                if value.startswith('-I') and path.startswith('engine/'):
                    seen.add(path[len('engine/'):].split('/')[0])  # a layer, whichever of its rooms
    return seen


def check_sight(flags, directory, allowed):
    seen = engine_dirs(flags, directory)
    return seen <= allowed, f'{directory} sees engine/: {sorted(seen - allowed)}'


# Which layers of the engine each directory may see: those below it.
SIGHT = {
    'engine/base': {'public', 'base'},
    'engine/format': {'public', 'base', 'format'},
    'engine/io': {'public', 'base', 'io'},
    'engine/store': {'public', 'base', 'format', 'io', 'store'},
    'netd': {'public'},
    'fusefs': {'public'},
    'tools': {'public', 'base', 'format'},
}


def check_rooms():
    """The README of a folder, or of the next one above that has one, says what each source file is for."""
    wrong = []
    for path in sources('.c', '.h'):
        folder = os.path.dirname(path)
        while folder and not os.path.isfile(os.path.join(ROOT, folder, 'README.md')):
            folder = os.path.dirname(folder)
        name = os.path.splitext(os.path.basename(path))[0]
        if not folder or path.startswith('tests/'):
            continue
        with open(os.path.join(ROOT, folder, 'README.md'), encoding='utf-8') as file:
            if not re.search(rf'(?<!\w){name}(?!\w)', file.read()):
                wrong.append(f'{path} is not in {folder}/README.md')
    return not wrong, '\n'.join(wrong)


def check_manual(path):
    if not shutil.which('mandoc'):
        return None, 'there is no mandoc'
    code, output = run(['mandoc', '-Tlint', '-Wwarning', path])
    return code == 0, output


def check_shell(path):
    if not shutil.which('shellcheck'):
        return None, 'there is no shellcheck'
    code, output = run(['shellcheck', '-x', path])
    return code == 0, output


def check_syntax(path):
    code, output = run(['bash', '-n', path])
    return code == 0, output


def is_shell(path):
    with open(os.path.join(ROOT, path), 'rb') as file:
        return re.match(rb'#!.*\b(ba)?sh\b', file.readline()) is not None


def each(paths, check):
    """Run a check over many files. Fails with the output of those that failed; a skip of one is a skip
    of all."""
    paths = list(paths)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(check, paths))
    skip = next((output for good, output in results if good is None), None)
    if skip:
        return None, skip
    wrong = [f'{path}:\n{output}' for path, (good, output) in zip(paths, results) if not good]
    return not wrong, '\n'.join(wrong)


def checks():
    flags = include_flags()
    c_files = sources('.c', '.h')
    shell = [path for path in sources('') if path.endswith('.sh') or
             '.' not in os.path.basename(path) and is_shell(path)]
    yield 'C sources are formatted', lambda: each(c_files, check_format)
    yield 'no include goes up', lambda: each(c_files, check_includes)
    yield 'sources name their licence', lambda: each(c_files + sources('.py', '.sh'), check_licence)
    yield ('each header compiles alone',
           lambda: each((path for path in sources('.h') if not path.startswith('tests/')),
                        lambda path: check_header(path, flags)))
    yield 'beck.h is C++ too', check_cplusplus
    for directory, allowed in SIGHT.items():
        yield (f'{directory} sees no more than it may',
               lambda d=directory, a=allowed: check_sight(flags, d, a))
    yield 'READMEs say what each source file is for', check_rooms
    yield 'manual pages are sound', lambda: each(sources('.1', '.3', '.5', '.7', '.8'), check_manual)
    yield 'engine/libbeck.map has the functions of beck.h', check_map
    yield 'each function of beck.h is in one page of the manual', check_library_pages
    yield 'these pages are sound', check_library_pages_lint
    yield 'shell scripts have no syntax errors', lambda: each(shell, check_syntax)
    yield 'shellcheck finds nothing', lambda: each(shell, check_shell)


def main():
    rows = list(checks())
    print(f'1..{len(rows)}')
    for number, (name, check) in enumerate(rows, 1):
        good, output = check()
        if good is None:
            print(f'ok {number} - {name} # SKIP {output}')
        else:
            print(f'{"ok" if good else "not ok"} {number} - {name}')
        if good is False:
            print(''.join(f'# {line}\n' for line in output.splitlines()[:60]), end='', flush=True)


main()
