// UTF-8: what is valid, and how code points are written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace starling::json {

// Length of the valid UTF-8 sequence at the start of `text`, 0 when there is none: overlong forms,
// surrogates and what is above U+10FFFF are not valid (RFC 3629).
size_t Utf8SequenceLength(std::string_view text);

// code_point: at most 0x10FFFF and no surrogate.
void AppendUtf8(uint32_t code_point, std::string& out);

}  // namespace starling::json
