#pragma once

namespace starling {
inline constexpr char kVersion[] = "0.1.0";
}
