// Words as shops write them, made fit for people.
#pragma once

#include <string>
#include <string_view>

namespace starling::import {

// Without spaces around, and with one where there were several.
std::string Tidy(std::string_view text);

// "ICE - CRUSHED/CUBED" -> "Ice - Crushed/Cubed". ASCII alone; a word that begins with a digit
// stays as it is.
std::string TitleCase(std::string_view text);

// Whether a description names a product, and is no remark of the warehouse: at least four
// characters, no '?', and more capital letters than small ones ("damaged", "lost in space").
bool NamesAProduct(std::string_view description);

}  // namespace starling::import
