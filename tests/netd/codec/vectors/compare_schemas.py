# SPDX-License-Identifier: Apache-2.0
"""Compares our schemas with the message definitions in a jar of Kafka's Java client.

    python3 compare_schemas.py kafka-clients-4.1.0.jar

Prints each difference in fields, types, versions, nulls, tags and defaults, and exits with 1 if
there are any. Vectors cannot tell two fields of one type apart; names can. Only versions that we
serve are compared. Nullable fields start as null with us whatever Kafka starts them as.
"""

import json
import re
import sys
import zipfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parents[4] / "netd" / "codec"))

from schema import NO_VERSIONS, VERSION_MAX, Field, Message, Versions, load  # noqa: E402


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def camel_case(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def versions(text: str | None) -> Versions:
    if text is None or text == "none":
        return NO_VERSIONS
    if text.endswith("+"):
        return Versions(int(text[:-1]), VERSION_MAX)
    first, _, last = text.partition("-")
    return Versions(int(first), int(last or first))


class Comparison:
    def __init__(self, jar: zipfile.ZipFile):
        self.jar = jar
        self.differences = 0

    def differ(self, place: str, ours, theirs) -> None:
        if str(ours) != str(theirs):
            print(f"{place}: {ours} here, {theirs} there")
            self.differences += 1

    def message(self, message: Message) -> None:
        name = camel_case(message.name)
        text = self.jar.read(f"common/message/{name}.json").decode()
        text = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
        definition = json.loads(re.sub(r"(?<=[\],{}])\s*//[^\"\n]*$", "", text, flags=re.MULTILINE))
        flexible = versions(definition["flexibleVersions"])
        self.differ(f"{name}: flexible", message.flexible & message.versions,
                    flexible & message.versions)
        self.common = {one["name"]: one["fields"] for one in definition.get("commonStructs", [])}
        self.fields(name, message.root.fields, definition["fields"], message.versions)

    def fields(self, place: str, ours: list[Field], theirs: list[dict], within: Versions) -> None:
        """`within` is where the struct occurs; fields of other versions don't count."""
        served = [one for one in theirs if versions(one["versions"]) & within]
        self.differ(f"{place}: fields", [one.name for one in ours],
                    [snake_case(one["name"]) for one in served])
        for one, other in zip(ours, served):
            self.field(f"{place}.{one.name}", one, other, within)

    def field(self, place: str, ours: Field, theirs: dict, within: Versions) -> None:
        self.differ(f"{place}: versions", ours.versions & within,
                    versions(theirs["versions"]) & within)
        within &= ours.versions
        self.differ(f"{place}: nullable", ours.nullable & within,
                    versions(theirs.get("nullableVersions")) & within)
        self.differ(f"{place}: tag", ours.tag, theirs.get("tag"))
        self.differ(f"{place}: classic", ours.is_classic, "flexibleVersions" in theirs)
        kind = theirs["type"]
        self.differ(f"{place}: array", ours.is_array, kind.startswith("[]"))
        if ours.struct:
            fields = theirs.get("fields") or self.common[kind.removeprefix("[]")]
            self.fields(place, ours.struct.fields, fields, within)
            return
        self.differ(f"{place}: type", ours.type, kind.removeprefix("[]"))
        if not ours.nullable and not ours.is_array:
            self.default(place, ours, str(theirs.get("default", "")))

    def default(self, place: str, ours: Field, theirs: str) -> None:
        if ours.type == "bool":
            self.differ(f"{place}: default", ours.default or "false", theirs or "false")
        elif ours.type.startswith(("int", "uint")):
            self.differ(f"{place}: default", ours.default_number(), int(theirs or "0", 0))
        else:
            self.differ(f"{place}: default", "", theirs)


def main() -> int:
    schemas = Path(__file__).parents[4] / "netd" / "codec" / "schemas"
    comparison = Comparison(zipfile.ZipFile(sys.argv[1]))
    theirs = set(comparison.jar.namelist())
    for message in load(sorted(schemas.glob("*.kafka"))).messages():
        if f"common/message/{camel_case(message.name)}.json" in theirs:
            comparison.message(message)
        else:
            print(f"{message.name}: only here")
    print(f"{comparison.differences} differences")
    return 1 if comparison.differences else 0


if __name__ == "__main__":
    sys.exit(main())
