// Text for HTML and SVG.
#pragma once

#include <string>
#include <string_view>

namespace starling {

// For an element or a quoted attribute: & < > " and ' become entities, control characters, line
// breaks too, spaces. O(size).
std::string EscapeHtml(std::string_view text);

}  // namespace starling
