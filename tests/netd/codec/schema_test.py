# SPDX-License-Identifier: Apache-2.0
"""What the schema parser says about mistakes: one test a mistake, each with the line it is in."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parents[3] / "netd" / "codec"))

from schema import SchemaError, load  # noqa: E402

API = "api 3 metadata versions 0-5 flexible 3+\nrequest\n"


class Mistakes(unittest.TestCase):
    def refused(self, text: str, line: int, words: str):
        """The text is refused in that line with a message that contains the words."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "test.kafka"
            path.write_text(text)
            with self.assertRaises(SchemaError) as raised:
                load([path])
            self.assertIn(f"{path}:{line}: error: ", str(raised.exception))
            self.assertIn(words, str(raised.exception))

    def field_refused(self, field: str, words: str):
        self.refused(f"{API}    {field}\nresponse\n    ok int8 0+\n", 3, words)

    def test_unknown_word(self):
        self.refused("topic 3 x\n", 1, "expected api, header, record, request or response")

    def test_request_without_api(self):
        self.refused("request\n    a int8 0+\n", 1, "without an 'api'")

    def test_api_without_response(self):
        self.refused(f"{API}    a int8 0+\n", 1, "API metadata has no response")

    def test_second_request(self):
        self.refused(f"{API}    a int8 0+\nrequest\n    a int8 0+\n", 4, "a second request")

    def test_second_api_of_a_key(self):
        one = API + "    a int8 0+\nresponse\n    a int8 0+\n"
        self.refused(one + "api 3 other versions 0-1\n", 6, "described in")

    def test_api_key_is_no_number(self):
        self.refused("api x metadata versions 0-5\n", 1, "the API key is a number")

    def test_open_version_range(self):
        self.refused("api 3 metadata versions 0+\n", 1, "need an end")

    def test_flexible_with_an_end(self):
        self.refused("api 3 metadata versions 0-5 flexible 1-2\n", 1, "write them as 3+")

    def test_words_left_over(self):
        self.refused("api 3 metadata versions 0-5 hidden\n", 1, "'hidden' is not understood")

    def test_tab(self):
        self.refused("request\n\ta int8 0+\n", 2, "a tab")

    def test_crooked_indentation(self):
        self.refused(f"{API}    a int8 0+\n  b int8 0+\n", 4, "indented by 2 spaces")

    def test_no_type(self):
        self.field_refused("a", "the type is missing")

    def test_no_versions(self):
        self.field_refused("a int8", "the versions is missing")

    def test_bad_versions(self):
        self.field_refused("a int8 x+", "a range like")
        self.field_refused("a int8 5-2", "empty")

    def test_name_is_a_keyword(self):
        self.field_refused("default int8 0+", "no C keyword")
        self.field_refused("Name int8 0+", "lower case")

    def test_unknown_attribute(self):
        self.field_refused("a int8 0+ ignorable", "'ignorable' is not understood")

    def test_field_twice(self):
        self.refused(f"{API}    a int8 0+\n    a int16 0+\n", 4, "a second field 'a'")

    def test_name_of_a_count(self):
        self.refused(f"{API}    a []int8 0+\n    a_count int16 0+\n", 4, "an array's count")
        self.refused(f"{API}    a_count int16 0+\n    a []int8 0+\n", 4, "an array's count")

    def test_unknown_struct(self):
        self.field_refused("a topic 0+", "nor a struct described before")

    def test_type_is_no_name(self):
        self.field_refused("a []Topic 0+", "is no type")

    def test_struct_described_twice(self):
        self.refused(f"{API}    a t 0+\n        x int8 0+\n    b t 0+\n        x int8 0+\n", 5,
                     "described in line 3")

    def test_struct_contains_itself(self):
        self.refused(f"{API}    a t 0+\n        x []t 0+\n", 4, "contains itself")

    def test_primitive_with_fields(self):
        self.refused(f"{API}    a int8 0+\n        x int8 0+\n", 4, "has no fields")

    def test_field_in_no_version(self):
        self.field_refused("a int8 6+", "in versions 6+, but its struct is in 0-5 only")

    def test_nullable_number(self):
        self.field_refused("a int8 0+ nullable 0+", "cannot be null")

    def test_nullable_in_no_version(self):
        self.field_refused("a string 3+ nullable 0-2", "nullable in no version")

    def test_tag_in_inflexible_version(self):
        self.field_refused("a int8 2+ tag 0", "not flexible")

    def test_tag_twice(self):
        self.refused(f"{API}    a int8 3+ tag 0\n    b int8 3+ tag 0\n", 3, "has the tag of 'b'")

    def test_tagged_records(self):
        self.field_refused("a records 3+ tag 0", "neither an array nor tagged")

    def test_tagged_nullable_struct(self):
        self.refused(f"{API}    a t 3+ nullable 3+ tag 0\n        x int8 3+\n", 3,
                     "cannot be tagged")

    def test_classic_number(self):
        self.field_refused("a int8 0+ classic", "only a string can")

    def test_default_out_of_range(self):
        self.field_refused("a int8 0+ default 128", "not within -128 to 127")

    def test_default_no_number(self):
        self.field_refused("a int8 0+ default many", "is no number")
        self.field_refused("a bool 0+ default 1", "true or false")

    def test_default_of_a_string(self):
        self.field_refused("a string 0+ default x", "cannot have a default")

    def test_elements_of_no_bytes(self):
        self.refused(f"{API}    a []t 0+\n        x int8 1+\n", 3, "no bound")


class Files(unittest.TestCase):
    def test_the_daemons_schemas_are_in_order(self):
        folder = Path(__file__).parents[3] / "netd" / "codec"
        paths = sorted((folder / "schemas").glob("*.kafka"))
        keys = [api.key for api in load(paths).apis]
        self.assertEqual(keys, sorted(keys))
        build = (folder / "meson.build").read_text()
        for path in paths:
            self.assertIn(f"'schemas/{path.name}'", build)


if __name__ == "__main__":
    unittest.main()
