# SPDX-License-Identifier: Apache-2.0
"""Reads the schema files in schemas/ into a checked model of the messages.

Guarantees: whatever load() returns is consistent, so that a code generator needs no checks of its
own; a mistake is a SchemaError that names file and line. Leaves to others: what is generated.

The format, by example (README.md explains it):

    api 3 metadata versions 0-13 flexible 9+
    request
        topics    []topic  0+  nullable 1+     # a struct; its fields are indented further
            name  string   0+
    response
        ...

    header request_header versions 1-2 flexible 2+
        correlation_id  int32  0+

A record is described as a header is: a struct of its own, which is no message of an API.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

VERSION_MAX = 32767

# Type -> bytes on the wire, for those whose size is fixed.
FIXED_SIZES = {
    "bool": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8,
    "float64": 8, "uuid": 16,
}
INTEGER_RANGES = {
    "int8": (-2**7, 2**7 - 1), "int16": (-2**15, 2**15 - 1), "uint16": (0, 2**16 - 1),
    "int32": (-2**31, 2**31 - 1), "uint32": (0, 2**32 - 1), "int64": (-2**63, 2**63 - 1),
}
# Type -> bytes of the length field before flexible versions.
LENGTH_SIZES = {"string": 2, "bytes": 4, "records": 4}
PRIMITIVES = set(FIXED_SIZES) | set(LENGTH_SIZES)

C_KEYWORDS = set(
    "auto break case char const continue default do double else enum extern float for goto if"
    " inline int long register restrict return short signed sizeof static struct switch typedef"
    " union unsigned void volatile while bool true false".split())

NAME = re.compile(r"[a-z][a-z0-9_]*")


class SchemaError(Exception):
    """A mistake in a schema, at a line of a file."""

    def __init__(self, place: Place, text: str):
        super().__init__(f"{place.file}:{place.line}: error: {text}")


@dataclass(frozen=True)
class Place:
    file: str
    line: int


@dataclass(frozen=True)
class Versions:
    """The versions from `first` to `last`, both included; empty if first > last."""
    first: int
    last: int

    def __contains__(self, version: int) -> bool:
        return self.first <= version <= self.last

    def __and__(self, other: Versions) -> Versions:
        return Versions(max(self.first, other.first), min(self.last, other.last))

    def __iter__(self):
        return iter(range(self.first, self.last + 1))

    def __bool__(self) -> bool:
        return self.first <= self.last

    def covers(self, other: Versions) -> bool:
        return not other or (self.first <= other.first and self.last >= other.last)

    def span(self, other: Versions) -> Versions:
        """The smallest range that holds both."""
        if not self or not other:
            return self or other
        return Versions(min(self.first, other.first), max(self.last, other.last))

    def __str__(self) -> str:
        if not self:
            return "none"
        if self.last == VERSION_MAX:
            return f"{self.first}+"
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


NO_VERSIONS = Versions(1, 0)


@dataclass
class Struct:
    """A group of fields: a message itself, or the type of one of its fields."""
    name: str  # within its message; "" for the message itself
    place: Place
    fields: list[Field] = field(default_factory=list)
    versions: Versions = NO_VERSIONS  # those in which it can occur

    def tagged(self) -> list[Field]:
        return sorted((f for f in self.fields if f.tag is not None), key=lambda f: f.tag)

    def untagged(self) -> list[Field]:
        return [f for f in self.fields if f.tag is None]


@dataclass
class Field:
    name: str
    type: str  # a primitive, or the name of a struct
    is_array: bool
    versions: Versions
    place: Place
    nullable: Versions = NO_VERSIONS
    default: str | None = None  # as written
    tag: int | None = None
    is_classic: bool = False  # a 16-bit length even in flexible versions
    struct: Struct | None = None

    def default_number(self) -> int:
        return int(self.default, 0) if self.default else 0


@dataclass
class Message:
    """One message, in all of its versions."""
    name: str  # "metadata_request"
    versions: Versions
    flexible: Versions
    root: Struct
    structs: list[Struct] = field(default_factory=list)  # inner ones first, the root last

    def is_flexible(self, version: int) -> bool:
        return version in self.flexible


@dataclass
class Api:
    key: int
    name: str
    place: Place
    versions: Versions
    flexible: Versions
    advertised: bool
    request: Message | None = None
    response: Message | None = None


@dataclass
class Schema:
    apis: list[Api] = field(default_factory=list)  # by key
    headers: list[Message] = field(default_factory=list)

    def messages(self) -> list[Message]:
        return self.headers + [m for api in self.apis for m in (api.request, api.response)]


# ---- Lines ----

@dataclass
class Line:
    """A line that says something, and the lines that are indented below it."""
    place: Place
    indent: int
    words: list[str]
    below: list[Line] = field(default_factory=list)


def read_lines(path: Path) -> list[Line]:
    """The file as a tree by indentation."""
    root = Line(Place(str(path), 0), -1, [])
    open_lines = [root]
    for number, text in enumerate(path.read_text().splitlines(), 1):
        words = text.split("#", 1)[0].split()
        if not words:
            continue
        place = Place(str(path), number)
        if "\t" in text:
            raise SchemaError(place, "a tab; indent with spaces")
        line = Line(place, len(text) - len(text.lstrip()), words)
        while open_lines[-1].indent >= line.indent:
            open_lines.pop()
        siblings = open_lines[-1].below
        if siblings and siblings[0].indent != line.indent:
            raise SchemaError(place, f"indented by {line.indent} spaces, but the lines beside it"
                              f" by {siblings[0].indent}")
        siblings.append(line)
        open_lines.append(line)
    return root.below


class Words:
    """The words of a line, taken one by one."""

    def __init__(self, line: Line):
        self.place = line.place
        self.left = list(line.words)

    def take(self, what: str) -> str:
        if not self.left:
            raise SchemaError(self.place, f"{what} is missing")
        return self.left.pop(0)

    def name(self, what: str) -> str:
        word = self.take(what)
        if not NAME.fullmatch(word) or word in C_KEYWORDS:
            raise SchemaError(self.place, f"'{word}' cannot be {what}: use lower case, digits and"
                              " underscores, and no C keyword")
        return word

    def number(self, what: str) -> int:
        word = self.take(what)
        if not word.isdecimal():
            raise SchemaError(self.place, f"{what} is a number, not '{word}'")
        return int(word)

    def versions(self, what: str) -> Versions:
        word = self.take(what)
        match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", word)
        if not match:
            raise SchemaError(self.place, f"{what} is a range like 0+, 2-5 or 3, not '{word}'")
        first = int(match[1])
        last = VERSION_MAX if match[2] else int(match[3] or first)
        if first > last or last > VERSION_MAX:
            raise SchemaError(self.place, f"the range {word} is empty or too large")
        return Versions(first, last)

    def expect(self, word: str) -> None:
        found = self.take(f"the word '{word}'")
        if found != word:
            raise SchemaError(self.place, f"expected '{word}', found '{found}'")

    def option(self, word: str) -> bool:
        """Takes the word if it comes next."""
        if self.left and self.left[0] == word:
            self.left.pop(0)
            return True
        return False

    def end(self) -> None:
        if self.left:
            raise SchemaError(self.place, f"'{self.left[0]}' is not understood here")


# ---- Messages ----

class MessageParser:
    """Builds one message from the lines of its fields."""

    def __init__(self, name: str, versions: Versions, flexible: Versions, place: Place):
        self.message = Message(name, versions, flexible, Struct("", place))
        self.known: dict[str, Struct] = {}
        self.open: list[str] = []

    def parse(self, lines: list[Line]) -> Message:
        self.parse_fields(self.message.root, lines)
        self.spread_versions(self.message.root, self.message.versions)
        for struct in self.message.structs:
            for one in struct.fields:
                self.check_field(struct, one)
        return self.message

    def parse_fields(self, struct: Struct, lines: list[Line]) -> None:
        for line in lines:
            one = self.parse_field(line)
            if any(one.name == other.name for other in struct.fields):
                raise SchemaError(one.place, f"a second field '{one.name}' in the same struct")
            for array, other in ([(one, f) for f in struct.fields]
                                 + [(f, one) for f in struct.fields]):
                if array.is_array and other.name == f"{array.name}_count":
                    raise SchemaError(one.place, f"'{other.name}' is the name of an array's count")
            struct.fields.append(one)
        self.message.structs.append(struct)

    def parse_field(self, line: Line) -> Field:
        words = Words(line)
        name = words.name("a field's name")
        kind = words.take("the type")
        is_array = kind.startswith("[]")
        one = Field(name, kind.removeprefix("[]"), is_array, words.versions("the versions"),
                    line.place)
        while words.left:
            self.parse_attribute(one, words)
        self.find_struct(one, line)
        return one

    @staticmethod
    def parse_attribute(one: Field, words: Words) -> None:
        if words.option("nullable"):
            one.nullable = words.versions("the range of 'nullable'")
        elif words.option("default"):
            one.default = words.take("the value of 'default'")
        elif words.option("tag"):
            one.tag = words.number("the tag")
        elif words.option("classic"):
            one.is_classic = True
        else:
            words.end()

    def find_struct(self, one: Field, line: Line) -> None:
        """A struct's fields stand below the first field that uses it."""
        if one.type in PRIMITIVES:
            if line.below:
                raise SchemaError(line.below[0].place, f"'{one.name}' is of type {one.type} and has"
                                  " no fields")
            return
        if not NAME.fullmatch(one.type):
            raise SchemaError(one.place, f"'{one.type}' is no type")
        if line.below:
            if one.type in self.known:
                raise SchemaError(one.place, f"struct '{one.type}' was described in line"
                                  f" {self.known[one.type].place.line} already")
            struct = Struct(one.type, line.place)
            self.known[one.type] = struct
            self.open.append(one.type)
            self.parse_fields(struct, line.below)
            self.open.pop()
        elif one.type in self.open:
            raise SchemaError(one.place, f"struct '{one.type}' contains itself")
        elif one.type not in self.known:
            raise SchemaError(one.place, f"'{one.type}' is neither a primitive type nor a struct"
                              " described before")
        one.struct = self.known[one.type]

    def spread_versions(self, struct: Struct, versions: Versions) -> None:
        """Works out in which versions each struct can occur."""
        struct.versions = struct.versions.span(versions)
        for one in struct.fields:
            if one.struct:
                self.spread_versions(one.struct, versions & one.versions)

    def check_field(self, struct: Struct, one: Field) -> None:
        def refuse(text: str):
            raise SchemaError(one.place, f"'{one.name}' {text}")

        if not one.versions & struct.versions:
            refuse(f"is in versions {one.versions}, but its struct is in {struct.versions} only")
        if one.nullable and not (one.is_array or one.type in LENGTH_SIZES or one.struct):
            refuse(f"cannot be null: it is of type {one.type}")
        if one.nullable and not one.nullable & one.versions & struct.versions:
            refuse("is nullable in no version that has it")
        if one.is_classic and (one.type != "string" or one.is_array):
            refuse("cannot be classic: only a string can")
        if one.type == "records" and (one.is_array or one.tag is not None):
            refuse("holds records, which can be neither an array nor tagged")
        if one.tag is not None:
            self.check_tag(struct, one, refuse)
        if one.default is not None:
            self.check_default(one, refuse)
        if one.is_array:
            if element_least_bytes(self.message, struct, one) == 0:
                refuse("has elements of no bytes, so that its length has no bound")

    def check_tag(self, struct: Struct, one: Field, refuse) -> None:
        if not self.message.flexible.covers(one.versions & struct.versions):
            refuse(f"is tagged in versions that are not flexible ({self.message.flexible} are)")
        if one.struct and not one.is_array and one.nullable:
            refuse("is a nullable struct, which cannot be tagged")
        for other in struct.fields:
            if other is not one and other.tag == one.tag and other.versions & one.versions:
                refuse(f"has the tag of '{other.name}'")

    def check_default(self, one: Field, refuse) -> None:
        if one.is_array or one.type not in (*INTEGER_RANGES, "bool"):
            refuse("cannot have a default: nullable fields start as null, all others as zero or"
                   " empty; only integers and booleans can start otherwise")
        elif one.type == "bool":
            if one.default not in ("true", "false"):
                refuse(f"is true or false, not '{one.default}'")
        else:
            try:
                value = int(one.default, 0)
            except ValueError:
                refuse(f"has the default '{one.default}', which is no number")
            low, high = INTEGER_RANGES[one.type]
            if not low <= value <= high:
                refuse(f"has the default {value}, which is not within {low} to {high}")


def primitive_least_bytes(message: Message, one: Field, version: int) -> int:
    if one.type in FIXED_SIZES:
        return FIXED_SIZES[one.type]
    if message.is_flexible(version) and not one.is_classic:
        return 1
    return LENGTH_SIZES[one.type]


def struct_least_bytes(message: Message, struct: Struct, version: int) -> int:
    total = 1 if message.is_flexible(version) else 0
    for one in struct.untagged():
        if version not in one.versions:
            continue
        if one.is_array:
            total += 1 if message.is_flexible(version) else 4
        elif one.struct:
            total += 1 if one.nullable else struct_least_bytes(message, one.struct, version)
        else:
            total += primitive_least_bytes(message, one, version)
    return total


def element_least_bytes(message: Message, parent: Struct, one: Field) -> int:
    """What an element of an array takes on the wire at least, in any version that has it."""
    versions = one.versions & parent.versions
    if one.struct:
        return min(struct_least_bytes(message, one.struct, v) for v in versions)
    return min(primitive_least_bytes(message, one, v) for v in versions)


# ---- Files ----

def parse_versions(words: Words) -> tuple[Versions, Versions]:
    words.expect("versions")
    versions = words.versions("the range of versions")
    flexible = NO_VERSIONS
    if words.option("flexible"):
        flexible = words.versions("the range of 'flexible'")
    if versions.last == VERSION_MAX:
        raise SchemaError(words.place, "the versions that are served need an end")
    if flexible and flexible.last != VERSION_MAX:
        raise SchemaError(words.place, "flexible versions go on for ever: write them as 3+")
    return versions, flexible


class FileParser:
    def __init__(self, schema: Schema):
        self.schema = schema
        self.api: Api | None = None

    def parse(self, path: Path) -> None:
        for line in read_lines(path):
            words = Words(line)
            kind = words.take("a word")
            if kind == "api":
                self.parse_api(words, line)
            elif kind in ("header", "record"):
                self.parse_header(words, line)
            elif kind in ("request", "response"):
                words.end()
                self.parse_message(kind, line)
            else:
                raise SchemaError(line.place, f"expected api, header, record, request or response,"
                                  f" found '{kind}'")
        self.end_api()

    def parse_api(self, words: Words, line: Line) -> None:
        self.end_api()
        key = words.number("the API key")
        name = words.name("an API's name")
        versions, flexible = parse_versions(words)
        hidden = words.option("unadvertised")
        words.end()
        if line.below:
            raise SchemaError(line.below[0].place, "fields stand below 'request' or 'response'")
        for other in self.schema.apis:
            if key == other.key or name == other.name:
                raise SchemaError(line.place, f"API {other.key} {other.name} was described in"
                                  f" {other.place.file}:{other.place.line} already")
        self.api = Api(key, name, line.place, versions, flexible, not hidden)
        self.schema.apis.append(self.api)

    def parse_header(self, words: Words, line: Line) -> None:
        self.end_api()
        name = words.name("a header's name")
        versions, flexible = parse_versions(words)
        words.end()
        parser = MessageParser(name, versions, flexible, line.place)
        self.schema.headers.append(parser.parse(line.below))

    def parse_message(self, kind: str, line: Line) -> None:
        api = self.api
        if api is None:
            raise SchemaError(line.place, f"'{kind}' without an 'api' before it")
        if getattr(api, kind):
            raise SchemaError(line.place, f"a second {kind} of {api.name}")
        parser = MessageParser(f"{api.name}_{kind}", api.versions, api.flexible, line.place)
        setattr(api, kind, parser.parse(line.below))

    def end_api(self) -> None:
        api = self.api
        if api and not (api.request and api.response):
            missing = "response" if api.request else "request"
            raise SchemaError(api.place, f"API {api.name} has no {missing}")
        self.api = None


def load(paths: list[Path]) -> Schema:
    """Reads the files into one schema. Raises SchemaError."""
    schema = Schema()
    for path in paths:
        FileParser(schema).parse(path)
    schema.apis.sort(key=lambda api: api.key)
    return schema
