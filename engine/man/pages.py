#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Section 3 of the manual, from beck.h and the pages' frames (*.3.in).

    pages.py BECK.H FRAMES OUTPUT    write the pages, and for each function one that leads to its page
    pages.py --install BECK.H FRAMES the same below $MESON_INSTALL_DESTDIR_PREFIX

beck.h is the manual; a page is some sections of it under a frame that says what they are for. A frame has
lines that stand for something:

    @page NAME              the page's name
    @says TEXT              what it is, in one line
    @sections TITLE; TITLE  the sections of beck.h that it has
    @functions              here they come
    @see NAME; NAME         other pages
"""

import os
import re
import sys

DATE = 'November 21, 2026'


class Block:
    """A comment of beck.h, and the declarations that it speaks of."""

    def __init__(self, text=''):
        self.text = text
        self.types = []      # structs and enums, as they are written
        self.functions = []  # (name, declaration on one line)


def sections(header):
    """For each section's title its blocks."""
    with open(header, encoding='utf-8') as file:
        text = file.read()
    found = {}
    parts = re.split(r'^/\* -{4} (.*?) -{4,} \*/$', text, flags=re.M)
    for title, body in zip(parts[1::2], parts[2::2]):
        found[title] = list(blocks(body))
    return found


PIECE = re.compile(r'''
    (?P<comment>^/\*.*?\*/)
  | (?P<macro>^\#define(?:[^\n]*\\\n)*[^\n]*)
  | (?P<other>^\#[^\n]*)
  | (?P<type>^(?:struct|enum)\ \w+\ \{.*?^\};)
  | (?P<opaque>^struct\ \w+;)
  | (?P<function>^\w[^;{}#]*?\b(?P<name>beck_\w+)\([^;]*\);)
''', re.M | re.S | re.X)


def blocks(body):
    block = Block()
    for piece in PIECE.finditer(body):
        if piece['comment']:
            if block.text or block.types or block.functions:
                yield block
            block = Block(comment_text(piece['comment']))
        elif piece['type'] or piece['macro']:
            block.types.append(piece[0])
        elif piece['function']:
            block.functions.append((piece['name'], ' '.join(piece[0].split())))
    if block.text or block.types or block.functions:
        yield block


def comment_text(comment):
    lines = comment[2:-2].strip('\n').split('\n')
    return '\n'.join(re.sub(r'^ \* ?', '', line).rstrip() for line in lines).strip()


# ---- mdoc -------------------------------------------------------------------------------------


def escape(text):
    text = text.replace('\\', '\\e')
    return re.sub(r"^([.'])", r'\\&\1', text, flags=re.M)


def dress(text):
    """A paragraph: names of functions are bold, what is between backquotes is underlined."""
    text = escape(text)
    text = re.sub(r'`([^`]+)`', r'\\fI\1\\fP', text)
    return re.sub(r'\b(beck_\w+)\(\)', r'\\fB\1\\fP()', text)


def paragraphs(text):
    """A comment's text as mdoc. What is indented stays as it is."""
    lines = []
    for paragraph in re.split(r'\n\s*\n', text):
        if lines:
            lines.append('.Pp')
        literal = all(line.startswith('    ') or not line for line in paragraph.split('\n'))
        if literal:
            lines[-1:] = []
            lines += ['.Bd -literal', *(escape(line[4:]) for line in paragraph.split('\n')), '.Ed']
        else:
            lines += [dress(line) for line in sentences(paragraph)]
    return lines


def sentences(paragraph):
    """Each sentence begins a line, as mdoc wants it."""
    return re.split(r'(?<=[.!?]) |(?<=[.!?]\)) |\n', re.sub(r'(?<=[.!?])\n', ' ', paragraph))


def split_arguments(arguments):
    """At the commas that are in no brackets."""
    found, depth, last = [], 0, 0
    for index, char in enumerate(arguments):
        depth += (char == '(') - (char == ')')
        if char == ',' and depth == 0:
            found.append(arguments[last:index].strip())
            last = index + 1
    return found + [arguments[last:].strip()]


def synopsis(declaration):
    head, name, arguments = re.match(r'(.*?)\b(beck_\w+)\((.*)\);$', declaration).groups()
    return [f'.Ft "{head.strip()}"', f'.Fo {name}',
            *(f'.Fa "{argument}"' for argument in split_arguments(arguments)), '.Fc']


def describe(block):
    lines = []
    if block.functions:
        names = ' , '.join(name for name, _ in block.functions)
        lines += [f'.Ss {names}']
    if block.text:
        lines += ['.Pp', *paragraphs(block.text)] if not block.functions else paragraphs(block.text)
    for text in block.types:
        lines += ['.Bd -literal', *escape(text).split('\n'), '.Ed']
    return lines


# ---- pages ------------------------------------------------------------------------------------


class Page:
    def __init__(self, path, header):
        with open(path, encoding='utf-8') as file:
            self.lines = file.read().splitlines()
        self.name = self.value('@page ')
        self.says = self.value('@says ')
        self.sections = [title.strip() for title in self.value('@sections ').split(';') if title.strip()]
        self.see = [name.strip() for name in self.value('@see ').split(';') if name.strip()]
        missing = [title for title in self.sections if title not in header]
        if missing:
            raise SystemExit(f'{path}: beck.h has no section {missing}')
        self.blocks = [block for title in self.sections for block in header[title]]
        self.functions = [function for block in self.blocks for function in block.functions]

    def value(self, word):
        return next((line[len(word):] for line in self.lines if line.startswith(word)), '')

    def text(self):
        names = [self.name] + [name for name, _ in self.functions]
        out = ['.\\" SPDX-License-Identifier: Apache-2.0', f'.Dd {DATE}',
               f'.Dt {self.name.upper()} 3', '.Os', '.Sh NAME',
               *(f'.Nm {name}' + (' ,' if name != names[-1] else '') for name in names),
               f'.Nd {self.says}', '.Sh LIBRARY', 'libbeck (\-lbeck)',
               '.Sh SYNOPSIS', '.In beck.h']
        for _, declaration in self.functions:
            out += synopsis(declaration)
        out.append('.Sh DESCRIPTION')
        for line in self.lines:
            if line.startswith('@functions'):
                for block in self.blocks:
                    out += describe(block)
            elif not line.startswith(('@', '.\\"')):
                out.append(line)
        others = sorted(set(self.see), key=lambda name: name.split()[::-1])
        out.append('.Sh SEE ALSO')
        out += [f'.Xr {name}' + (' ,' if name != others[-1] else '') for name in others]
        return tidy(out)


def tidy(lines):
    """No paragraph begins where one does already."""
    kept = []
    for line in lines:
        if line == '.Pp' and kept and kept[-1].startswith(('.Sh', '.Ss', '.Pp')):
            continue
        kept.append(line)
    return '\n'.join(kept) + '\n'


def pages(header_path, frames):
    header = sections(header_path)
    found = [Page(os.path.join(frames, name), header) for name in sorted(os.listdir(frames))
             if name.endswith('.3.in')]
    claimed = [title for page in found for title in page.sections]
    unclaimed = [title for title, content in header.items()
                 if title not in claimed and any(block.functions for block in content)]
    if unclaimed:
        raise SystemExit(f'no page in {frames} has these sections of beck.h: {unclaimed}')
    return found


def write(header_path, frames, output):
    os.makedirs(output, exist_ok=True)
    for page in pages(header_path, frames):
        with open(os.path.join(output, page.name + '.3'), 'w', encoding='utf-8') as file:
            file.write(page.text())
        for name, _ in page.functions:
            with open(os.path.join(output, name + '.3'), 'w', encoding='utf-8') as file:
                file.write(f'.so man3/{page.name}.3\n')


def main():
    if sys.argv[1] == '--install':
        output = os.path.join(os.environ['MESON_INSTALL_DESTDIR_PREFIX'], 'share', 'man', 'man3')
        write(sys.argv[2], sys.argv[3], output)
    else:
        write(*sys.argv[1:4])


if __name__ == '__main__':
    main()
