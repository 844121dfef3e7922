// How a piece of a caller's document is shown in an error: short, and never as half a character.
#pragma once

#include <string>
#include <string_view>

namespace starling::json {

// At most 40 bytes of it.
std::string Shown(std::string_view text);

// The first character of `rest`: "'x'", "the byte 0x0c", "the end of the document".
std::string ShownCharacter(std::string_view rest);

}  // namespace starling::json
