// As much XML as S3 answers with: elements without attributes that matter, text in them.
//
//   std::string code = s3::TextOf(body, "Code");              // "NoSuchKey"; "" when absent
//   for (std::string_view rest = body; auto contents = s3::NextElement(rest, "Contents");) ...
//
// Pure. What is no XML gives what is absent.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace starling::blob::s3 {

// What stands in the next <name>...</name>; `rest` goes on behind it.
std::optional<std::string_view> NextElement(std::string_view& rest, std::string_view name);
// The text of the first such element, "&amp;" and the like decoded.
std::string TextOf(std::string_view xml, std::string_view name);

}  // namespace starling::blob::s3
