#!/usr/bin/env python3
"""Writes a C++ source that holds files as bytes, so that the binary needs no files beside it."""
import argparse
import os


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--header", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--include", required=True, help="how the source includes the header")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()

    os.makedirs(os.path.dirname(args.header), exist_ok=True)
    with open(args.header, "w", encoding="utf-8") as header:
        header.write(
            '#pragma once\n#include <span>\n#include "platform/base/embedded_file.h"\n'
            f"namespace {args.namespace} {{\n"
            f"extern const std::span<const starling::EmbeddedFile> {args.name};\n}}\n"
        )
    with open(args.source, "w", encoding="utf-8") as source:
        source.write(f'#include "{args.include}"\nnamespace {args.namespace} {{\nnamespace {{\n')
        for index, path in enumerate(args.files):
            with open(path, "rb") as file:
                content = file.read()
            values = ",".join(str(byte) for byte in content) or "0"
            source.write(f"const unsigned char kFile{index}[] = {{{values}}};\n")
        source.write("const starling::EmbeddedFile kFiles[] = {\n")
        for index, path in enumerate(args.files):
            size = os.path.getsize(path)
            source.write(
                f'{{"{os.path.basename(path)}", '
                f"{{reinterpret_cast<const char*>(kFile{index}), {size}}}}},\n"
            )
        source.write(
            "};\n}\n"
            f"extern const std::span<const starling::EmbeddedFile> {args.name};\n"
            f"const std::span<const starling::EmbeddedFile> {args.name}(kFiles);\n}}\n"
        )


if __name__ == "__main__":
    main()
