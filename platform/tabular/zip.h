// Members of a zip archive (a Python wheel is one): their names, their bytes.
//
//   ParseZipLocation("journey.whl!data/products.parquet")   // {"journey.whl", "data/products..."}
//   STARLING_ASSIGN_OR_RETURN(auto names, ListZip("journey.whl"));
//
// Stored and deflated members, zip64; encrypted ones are refused. A member's bytes come as a
// stream, checked against its checksum at the end (DATA_LOSS). What must be read at random places
// (Parquet) is unpacked to a file that has no name and goes with its descriptor: it costs the
// member's size in $TMPDIR, never in memory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"
#include "platform/tabular/byte_source.h"

namespace starling::tabular {

struct ZipLocation {
  std::string archive;
  std::string member;
};

// archive!member, where archive ends in .whl or .zip; nothing for other text.
std::optional<ZipLocation> ParseZipLocation(std::string_view location);

// Names of all members in the archive's order, folders left out.
StatusOr<std::vector<std::string>> ListZip(const std::string& archive);

// A member's bytes as they are, not decompressed a second time.
StatusOr<std::unique_ptr<ByteSource>> OpenZipMember(const ZipLocation& location);

// Copies all bytes to a nameless file in $TMPDIR; gives its descriptor, at its beginning, which is
// the caller's to close. RESOURCE_EXHAUSTED when the disk is full.
StatusOr<int> CopyToTemporaryFile(ByteSource& bytes);

}  // namespace starling::tabular
