#!/usr/bin/env python3
"""What protoc-gen-starling refuses, each with the method's place and the remedy; run through protoc as the build does."""
import glob
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]

CONTRACT = """// A shop.
syntax = "proto3";
package starling.shop.v1;
import "contracts/options/v1/options.proto";
import "google/api/annotations.proto";
// A shop.
service Shop {
  // Gives a product.
  rpc GetProduct(GetProductRequest) returns (Product) {
    option (google.api.http) = {get: "/v1/shop/{product_id}"};
    option (starling.options.v1.access) = {scope: "shop.read"};
    option idempotency_level = NO_SIDE_EFFECTS;
  }
}
// Asks for one.
message GetProductRequest {
  // Which.
  string product_id = 1;
  // Which kinds.
  repeated string kinds = 2;
}
// What is sold.
message Product {
  // Its id.
  string product_id = 1;
}
"""

ACCESS = '    option (starling.options.v1.access) = {scope: "shop.read"};\n'
HTTP = '    option (google.api.http) = {get: "/v1/shop/{product_id}"};\n'

# What is changed, into what, and what the error says.
ROWS = [
    (ACCESS, "", "says nobody may call it"),
    (ACCESS, ACCESS.replace("scope:", "anyone: true scope:"), "makes every other rule idle"),
    (ACCESS, ACCESS.replace('scope: "shop.read"', 'owner: "user_id"'), "access owner 'user_id' must name a string field"),
    (ACCESS, ACCESS.replace('scope: "shop.read"', "internal: true"), "is internal, so it must not have a route"),
    (HTTP, "", "has no google.api.http"),
    (HTTP, HTTP.replace("{product_id}", "{id}"), "the path names 'id', which is no field of GetProductRequest"),
    (HTTP, HTTP.replace("{product_id}", "{kinds}"), "must be one plain value"),
    (HTTP, HTTP.replace('"}', '" body: "*"}'), "GET takes no body"),
    (HTTP, HTTP.replace("/v1", "v1"), "must begin with '/'"),
    (HTTP, HTTP.replace('get: "/v1/shop/{product_id}"', 'put: "/v1/shop" body: "product_id"'), "body 'product_id' must name a message"),
    ("(GetProductRequest) returns", "(stream GetProductRequest) returns", "client streaming is not known here"),
    (ACCESS, ACCESS + "    option (starling.options.v1.call) = {http_status: 404};\n", "http_status 404 is no success"),
    (ACCESS, ACCESS + "    option (starling.options.v1.call) = {deadline: {seconds: -1}};\n", "its deadline must be above 0"),
    (ACCESS, ACCESS + "    option (starling.options.v1.call) = {tries_password: true};\n", "tries_password needs access `anyone`"),
    ("idempotency_level = NO_SIDE_EFFECTS", "(starling.options.v1.call) = {cache_for: {seconds: 5}}", "cache_for needs"),
    ("// A shop.\nservice", "service", "service Shop has no comment"),
]


def generate(contract: str, folder: pathlib.Path) -> tuple[int, str]:
    path = folder / "contracts/shop/v1/shop.proto"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(contract, encoding="utf-8")
    apis = glob.glob(str(ROOT / "build/venv/lib/python3*/site-packages"))
    done = subprocess.run(
        ["protoc", f"-I{folder}", f"-I{ROOT}", *[f"-I{api}" for api in apis], f"--starling_out={folder}",
         f"--plugin=protoc-gen-starling={ROOT / 'build/release/bin/protoc-gen-starling'}", str(path)],
        capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def main() -> int:
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        code, said = generate(CONTRACT, folder)
        if code != 0 or not (folder / "contracts/shop/v1/shop.service.h").exists():
            wrong.append(f"the good contract is refused: {said}")
        for old, new, expected in ROWS:
            if old not in CONTRACT:
                wrong.append(f"the row '{expected}' changes nothing")
            code, said = generate(CONTRACT.replace(old, new, 1), folder)
            if code == 0 or expected not in said or "contracts/shop/v1/shop.proto" not in said:
                wrong.append(f"expected '{expected}', got {code}: {said}")
    print("\n".join(wrong) if wrong else f"{len(ROWS)} wrong contracts are refused")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
