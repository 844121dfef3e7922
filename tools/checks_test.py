#!/usr/bin/env python3
"""Each check of ./dev check finds what it is for, and lets pass what is right."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_awaits  # noqa: E402
import check_contracts  # noqa: E402
import check_layers  # noqa: E402
import check_links  # noqa: E402
import check_words  # noqa: E402
import lint  # noqa: E402

CONTRACT = """syntax = "proto3";
package starling.shop.v1;
// A shop.
service Shop {
  // Gives a product.
  rpc GetProduct(GetProductRequest) returns (Product) {
    option idempotency_level = NO_SIDE_EFFECTS;
  }
}
// Asks for one.
message GetProductRequest {
  // Which.
  string product_id = 1;
}
// What is sold.
message Product {
  // Its id.
  string product_id = 1;
  // Its tags.
  repeated string tags = 2;
}
// Whether it can be bought.
enum Availability {
  // Not said.
  AVAILABILITY_UNSPECIFIED = 0;
}
"""


class Folder(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.temporary.name)

    def tearDown(self):
        self.temporary.cleanup()

    def write(self, name: str, text: str) -> pathlib.Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


class Awaits(Folder):
    def found(self, statement: str) -> list[str]:
        self.write("platform/a.cc", f"Task<void> F() {{\n  {statement}\n}}\n")
        return check_awaits.violations(self.root)

    def test_a_temporary_lambda_with_a_copy_is_named_with_its_line(self):
        found = self.found("const auto taken = co_await pool.Run([tls]() -> StatusOr<bool> { return tls->Reload(); });")
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("platform/a.cc:2: the lambda with tls "), found[0])

    def test_so_are_initialised_and_mixed_captures(self):
        self.assertIn("held = std::move(held)", self.found("co_await Run([&, held = std::move(held)] { Use(held); });")[0])
        self.assertIn("with = ", self.found("co_await Suspend<int>([=](Completion<int> done) { done(x); });")[0])

    def test_references_and_what_is_inside_of_the_body_pass(self):
        self.assertEqual(self.found("co_await Run([&] { Later([held] { Use(held); }); });"), [])
        self.assertEqual(self.found("co_await Run([this, &held](int a) -> Status { return Use(held[a]); });"), [])

    def test_a_named_one_passes(self):
        self.assertEqual(self.found("auto work = [tls] { Use(tls); };\n  co_await pool.Run(std::move(work));"), [])


class Layers(Folder):
    def test_an_include_that_points_down_passes(self):
        self.write("services/catalog/a.cc", '#include "platform/host/process.h"\n#include "services/catalog/a.h"\n')
        self.assertEqual(check_layers.violations(self.root), [])

    def test_an_include_that_points_up_is_named_with_its_line(self):
        self.write("platform/base/a.cc", '\n#include "platform/http/server.h"\n')
        found = check_layers.violations(self.root)
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("platform/base/a.cc:2: "), found[0])

    def test_a_service_may_not_include_another(self):
        self.write("services/catalog/a.cc", '#include "services/profile/b.h"\n')
        self.assertIn("ask by contract", check_layers.violations(self.root)[0])

    def test_learning_includes_platform_base_alone(self):
        self.write("learning/a.cc", '#include "platform/base/status.h"\n#include "learning/b.h"\n#include <cblas.h>\n')
        self.assertEqual(check_layers.violations(self.root), [])
        self.write("learning/a.cc", '#include "platform/async/task.h"\n')
        self.assertIn("learning is pure", check_layers.violations(self.root)[0])


class Links(Folder):
    def test_a_dead_link_and_a_dead_heading_are_named(self):
        self.write("there.md", "# What is here\n")
        page = self.write("page.md", "[a](there.md#what-is-here) [b](gone.md)\n[c](there.md#gone) [d](https://example.org)\n")
        found = check_links.dead_links([page])
        self.assertEqual(len(found), 2, found)
        self.assertIn("gone.md leads to no file", found[0])
        self.assertIn("there.md#gone leads to no heading", found[1])


class Contracts(Folder):
    def test_a_good_contract_passes(self):
        self.write("contracts/shop/v1/shop.proto", CONTRACT)
        self.assertEqual(check_contracts.lint(self.root), [])

    def test_an_element_without_a_comment_and_a_wrong_package_are_named(self):
        self.write("contracts/shop/v1/shop.proto", CONTRACT.replace("  // Its tags.\n", "").replace("shop.v1", "store.v1"))
        found = check_contracts.lint(self.root)
        self.assertEqual(len(found), 2, found)
        self.assertIn("starling.shop.v1", found[0])
        self.assertIn("Product.tags has no comment", found[1])

    def test_what_breaks_callers_is_found(self):
        for old, new in (("string product_id = 1;\n  // Its tags.", "string product_id = 3;\n  // Its tags."),
                         ("repeated string tags = 2;", "string tags = 2;"),
                         ("repeated string tags = 2;", ""),
                         ("returns (Product)", "returns (stream Product)"),
                         ("AVAILABILITY_UNSPECIFIED = 0", "AVAILABILITY_NONE = 0")):
            self.assertIn(old, CONTRACT)
            self.assertTrue(check_contracts.breaking(CONTRACT, CONTRACT.replace(old, new), "shop.proto"), old)

    def test_what_is_added_breaks_nobody(self):
        more = CONTRACT.replace("repeated string tags = 2;", "repeated string tags = 2;\n  // Its brand.\n  string brand = 3;")
        self.assertEqual(check_contracts.breaking(CONTRACT, more, "shop.proto"), [])


class Words(unittest.TestCase):
    def test_a_path_of_this_machine_is_found(self):
        path = "/ho" + "me/ada/starling"
        self.assertTrue(any(pattern.search(f"see {path}") for pattern, _ in check_words.FORBIDDEN))
        self.assertFalse(any(pattern.search("see /v1/products") for pattern, _ in check_words.FORBIDDEN))


class Lint(unittest.TestCase):
    def test_gcc_only_flags_and_the_launcher_are_left_out(self):
        command = ("cmake -E env CCACHE_NOHASHDIR=1 ccache /usr/bin/g++ -O2 -fpch-preprocess -include build/cmake_pch.hxx -Winvalid-pch "
                   "-c a.cc")
        self.assertEqual(lint.for_clang(command), ["/usr/bin/g++", "-O2", "-c", "a.cc"])

    def test_only_findings_in_the_changed_files_of_this_checkout_count(self):
        output = "\n".join(f"/src/{name}:1:2: error: is wrong [some-check]" for name in ("a.cc", "b.h", "build/c.cc"))
        output += "\n/usr/include/boost/x.hpp:1:2: error: is wrong [some-check]\n"
        self.assertEqual(lint.findings(output, "/src", {"a.cc"}), ["/src/a.cc:1:2: error: is wrong [some-check]"])
        self.assertEqual(len(lint.findings(output, "/src", None)), 2)


if __name__ == "__main__":
    unittest.main()
